"""Label maps of pictures: where they are, and the segments of those that have some.

Their values are classes or segments, never colours; `map_pixels` reads them.
"""

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

from transforms.annotations.objects import Box
from transforms.elements import ImageRef
from transforms.inputs.reading import read_image


@dataclasses.dataclass(frozen=True, slots=True)
class MapFile:
    """An encoded label map, or where it is.

    Attributes:
        ref: Where the file is; None where its bytes are here.
        data: The bytes.
        sha256: The sha256 of the bytes; '' where nobody looked at them yet.
    """

    ref: ImageRef | None = None
    data: bytes = b""
    sha256: str = ""

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            ImageError: They cannot be read.
        """
        return self.data if self.ref is None else read_image(self.ref)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "ref": None if self.ref is None else dataclasses.astuple(self.ref),
            "data": base64.b64encode(self.data).decode(),
            "sha256": self.sha256,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any] | None) -> "MapFile | None":
        """Return what `to_json` made; None where there is nothing."""
        if content is None:
            return None
        ref = content["ref"] and ImageRef(*content["ref"])
        return cls(ref, base64.b64decode(content["data"]), content["sha256"])


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a panoptic map; its fields are columns of `segments`.

    Attributes:
        id: Its value in the map.
        category: Name of its class.
        category_id: Id of its class in the file.
        box: Left, top, width and height in pixels.
        area: How many pixels it has.
        crowd: Whether it stands for several objects that nobody told apart.
        more: Fields of the file that have no name here, as a JSON object; '' when none.
        note: What a reader should know; '' when nothing.
    """

    id: int
    category: str
    category_id: int
    box: Box = (0.0, 0.0, 0.0, 0.0)
    area: int = 0
    crowd: bool = False
    more: str = ""
    note: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return it as a value of the column `segments`, and as JSON."""
        row = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**row, "box": list(self.box)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Segment":
        """Return what `to_row` made."""
        return cls(**{**row, "box": tuple(row["box"])})
