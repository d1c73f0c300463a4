"""What is known of the content and the styles of a cell, for its row and its id."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from transforms.annotations.annotation_index import digest_of, read_annotation
from transforms.annotations.cell_maps import placed_maps
from transforms.annotations.geometry import Journey, follow, journey
from transforms.annotations.sources import Annotation
from transforms.elements import CellStatus, ImageError, ImageRef, Reason
from transforms.storage.files import read_file
from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.parquet import Row

_STYLES: Final = f"{TEMPORARY}/annotations/style-facts.json"

# Label, artist and title.
Facts = tuple[str, str, str]
_NO_FACTS: Final[Facts] = ("", "", "")

_FACTS: Final = ("label", "artist", "title")


@dataclasses.dataclass(frozen=True, slots=True)
class CellAnnotations:
    """What is known of contents and styles: small, and sent to the workers.

    Attributes:
        output: Output of the job.
        known: Whether anything is known of any content.
        classes: How many classes of contents there are.
        styles: Digest of what is known of the styles; '' where nothing is.
        held: What is known of the styles, where it is not written for workers.
    """

    output: OutputFolder
    known: bool = False
    classes: int = 0
    styles: str = ""
    held: Mapping[str, Facts] | None = None

    def digest(self, ref: ImageRef, styles: Sequence[str]) -> str:
        """Return what changes with all that is known of a cell; '' where nothing is.

        Args:
            ref: The content.
            styles: Ids of the styles.
        """
        facts = [self._facts(style) for style in styles] if self.styles else []
        if not any(map(any, facts)):
            return digest_of(ref.about)
        return f"{digest_of(ref.about)} {json.dumps(facts)}"

    def check(self, ref: ImageRef) -> None:
        """Refuse a content of which it cannot be told what is known.

        Raises:
            ImageError: bad_annotation: what is said of it cannot be used.
        """
        if self.known and ref.about:
            read_annotation(self.output, ref.about).checked()

    def check_turned(
        self, ref: ImageRef, upright: tuple[int, int], orientation: int
    ) -> None:
        """Refuse a content whose objects lie elsewhere once EXIF has turned it.

        Args:
            ref: The content.
            upright: Its width and height, upright.
            orientation: EXIF orientation of the file, 1 to 8.

        Raises:
            ImageError: bad_annotation: they mean the pixels before that, another
                picture, or nobody tells.
        """
        if not self.known or not ref.about:
            return
        said = read_annotation(self.output, ref.about)
        if not said.objects and said.mask is None and said.panoptic is None:
            return
        if orientation == 1 and not (said.objects and said.width):
            return
        size = (said.width, said.height)
        way = journey(size, upright, orientation, upright)
        if way.orientation != 1:
            raise ImageError(
                Reason.BAD_ANNOTATION,
                "its objects mean the pixels before EXIF turns it (orientation "
                f"{orientation}). Ingest the pictures first: there objects are turned",
            )

    def columns(self, ref: ImageRef, row: Row) -> Row:
        """Return what a row of the manifest says of its content and its styles.

        Args:
            ref: The content.
            row: The row without this.

        Raises:
            ImageError: A label map cannot be read.
        """
        found: Row = {"annotation": None, "style_annotations": None}
        if self.known:
            said = read_annotation(self.output, ref.about)
            if row["status"] == CellStatus.DONE:
                maps = placed_maps(said, row["height"], row["width"])
                said = dataclasses.replace(said, segments=maps.segments)
                found |= {"mask": maps.mask, "panoptic": maps.panoptic}
            found["annotation"] = self._content(said, row)
        if self.styles:
            found["style_annotations"] = [
                dict(zip(_FACTS, self._facts(share["id"]), strict=True))
                for share in row["styles"]
            ]
        return found

    def _content(self, said: Annotation, row: Row) -> dict[str, Any]:
        objects = said.objects
        if objects:
            size = (row["original_width"], row["original_height"])
            way = Journey(*size, 1, row["width"], row["height"])
            if said.relative:
                # Shares of a picture are pixels of one that is a single pixel.
                way = Journey(1, 1, 1, row["width"], row["height"])
            objects = tuple(follow(item, way) for item in objects)
        return {
            "label": said.label,
            "label_index": said.label_index if self.classes else None,
            "artist": said.artist,
            "title": said.title,
            "captions": list(said.captions),
            "coco_id": said.coco_id,
            "split": said.split,
            "license": said.license,
            "license_url": said.license_url,
            "url": said.url,
            "objects": None if objects is None else [item.to_row() for item in objects],
            "objects_from": said.objects_from,
            "more": said.more,
            "metadata": said.metadata,
            "segments": (
                None
                if said.segments is None
                else [segment.to_row() for segment in said.segments]
            ),
        }

    def _facts(self, style: str) -> Facts:
        known = self.held
        if known is None:
            known = _read_facts(self.output.path(_STYLES), self.styles)
        return known.get(style, _NO_FACTS)


def facts_of(annotations: Iterable[tuple[str, Annotation]]) -> Mapping[str, Facts]:
    """Return what is known of styles by their ids, those of which nothing is left out.

    Args:
        annotations: Ids of styles, and what is known of each.
    """
    facts = {
        style: (said.label, said.artist, said.title) for style, said in annotations
    }
    return {style: texts for style, texts in facts.items() if any(texts)}


def facts_digest(facts: Mapping[str, Facts]) -> str:
    """Return the digest of what is known of styles; '' where nothing is."""
    return hashlib.sha256(_facts_json(facts)).hexdigest()[:16] if facts else ""


def write_facts(output: OutputFolder, facts: Mapping[str, Facts]) -> None:
    """Write what is known of styles where workers find it."""
    output.write(_STYLES, _facts_json(facts))


def _facts_json(facts: Mapping[str, Facts]) -> bytes:
    return json.dumps(facts, sort_keys=True).encode()


@functools.lru_cache(maxsize=2)
def _read_facts(path: str, _digest: str) -> Mapping[str, Facts]:
    facts = json.loads(read_file(path))
    return {style: tuple(texts) for style, texts in facts.items()}
