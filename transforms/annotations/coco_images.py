"""One image of COCO's files: what an entry of them says of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from transforms.annotations.coco_objects import NO_ID, id_of
from transforms.annotations.json_stream import HALF_CHARACTER
from transforms.inputs.names import composed
from transforms.storage.text import shown


@dataclasses.dataclass(slots=True)
class CocoImage:
    """What the files say of one image.

    Attributes:
        name: Its `file_name`, composed, with slashes.
        id: Its id; -1 where it is none.
        width: Width in pixels; 0 when none is given.
        height: Height in pixels; 0 when none is given.
        license: Name of its licence; '' when none.
        license_url: Where the licence can be read; '' when none.
        url: Where the image came from; '' when none.
        problem: Why nothing that is said of it can be used; '' when it can.
        captions: Sentences about it, in the order of the file.
        objects: Its annotations as the instance file has them; None where that file
            does not list it, so that nobody knows its objects.
    """

    name: str
    id: int
    width: int = 0
    height: int = 0
    license: str = ""
    license_url: str = ""
    url: str = ""
    problem: str = ""
    captions: list[str] = dataclasses.field(default_factory=list)
    objects: list[Mapping[str, Any]] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; 0, 0 when none are given."""
        return (self.width, self.height) if self.width and self.height else (0, 0)

    @property
    def annotations(self) -> int:
        """How many annotations the files have of it."""
        return len(self.captions) + len(self.objects or ())


def image_of(entry: Mapping[str, Any]) -> CocoImage:
    """Return an entry of `images`, without its licence and its annotations.

    Raises:
        KeyError: It has no `id` or `file_name`.
        TypeError: It is no object.
        AttributeError: Its name is no text.
    """
    name = composed(entry["file_name"].replace("\\", "/")).lstrip("/")
    identifier = id_of(entry["id"])
    problem = ""
    if identifier == NO_ID:
        problem = f"its id {shown(entry['id'])} is not a whole number of 64 bits"
    width, height = (id_of(entry.get(side, 0)) for side in ("width", "height"))
    if min(width, height) < 0:
        given = f"{shown(entry.get('width'))} by {shown(entry.get('height'))}"
        problem = problem or f"its size in the annotation file is {given}"
    return CocoImage(
        name,
        identifier,
        max(0, width),
        max(0, height),
        url=said(entry.get("coco_url")) or said(entry.get("flickr_url")),
        problem=problem,
    )


def said(value: Any) -> str:
    """Return a text that was found; '' for anything else."""
    return value if isinstance(value, str) and not _half_character(value) else ""


def caption_problem(caption: Any) -> str:
    """Return why a caption cannot be used; '' when it can."""
    if not isinstance(caption, str):
        return f"its caption {shown(caption)} is not a text"
    if _half_character(caption):
        return f"its caption {shown(caption)} has half a character (a lone surrogate)"
    return ""


def _half_character(text: str) -> bool:
    return HALF_CHARACTER in text
