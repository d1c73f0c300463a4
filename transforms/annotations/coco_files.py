"""COCO files of stylized pictures, so that a detector's loader opens them unchanged.

Every picture is an image of its own, under a number of its own, in the order of the
manifest. It has the objects and the captions of its content. Pictures whose objects
nobody knows are not in the instance file: there they would have none.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import ToList

from transforms.annotations.coco_objects import Category, SegmentCategory
from transforms.annotations.dataset_source import manifest_rows
from transforms.annotations.kinds.panoptic import segment_info
from transforms.annotations.label_maps import Segment
from transforms.annotations.objects import ImageObject
from transforms.elements import CellStatus
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row

ANNOTATIONS: Final = "annotations"

_KINDS: Final = ("instances", "captions", "panoptic")
_PICTURES: Final = "images/"
_NO_SPLIT: Final = "all"

_COLUMNS: Final = ["path", "status", "width", "height", "styles", "annotation"]
_STYLE: Final = "style_annotations"


@dataclasses.dataclass
class WriteCocoFiles(beam.PTransform[PCollection[str], PCollection[str]]):
    """Writes `annotations/instances_<split>.json`, `captions_…` and `panoptic_…`.

    Input: names of the manifest's parts, all of them done. Output: the names of the
    files. Idempotent. The manifest is read in passes and never held.

    Attributes:
        output: The output of `stylize`.
        categories: Classes of the objects, by id.
        segments: Classes of the panoptic segments, by id.
    """

    output: OutputFolder
    categories: tuple[Category, ...]
    segments: tuple[SegmentCategory, ...] = ()

    def expand(self, parts: PCollection[str]) -> PCollection[str]:
        """Wait for all parts, then write the files."""
        return (
            parts
            | "CollectParts" >> ToList()
            | "WriteFiles"
            >> beam.FlatMap(_write, self.output, self.categories, self.segments)
        )


def _write(
    _parts: list[str],
    output: OutputFolder,
    categories: tuple[Category, ...],
    segments: tuple[SegmentCategory, ...],
) -> list[str]:
    return write_coco_files(output, categories, segments)


def write_coco_files(
    output: OutputFolder,
    categories: tuple[Category, ...],
    segments: tuple[SegmentCategory, ...] = (),
) -> list[str]:
    """Write the COCO files of an output; return their names.

    Args:
        output: The output of `stylize`, its manifest complete.
        categories: Classes of the objects, by id.
        segments: Classes of the panoptic segments, by id.

    Raises:
        OSError: A file cannot be written.
    """
    licenses: dict[tuple[str, str], int] = {}
    places: dict[tuple[str, str], None] = {}
    for _, row in _rows(output):
        said = row["annotation"]
        for kind in _KINDS:
            if _has(kind, said):
                places[kind, said["split"] or _NO_SPLIT] = None
        if said["license"] or said["license_url"]:
            about = (said["license"], said["license_url"])
            licenses.setdefault(about, len(licenses) + 1)
    written = []
    for kind, split in sorted(places):
        name = f"{ANNOTATIONS}/{kind}_{split}.json"
        with output.create(name) as file, _object(file) as add:
            rows = _File(output, kind, split, licenses)
            add("annotations", rows.annotations())
            if kind != "captions":
                classes = categories if kind == "instances" else segments
                add("categories", map(dataclasses.asdict, classes))
            add("images", rows.images())
            add("licenses", _licenses(licenses))
        written.append(name)
    return written


def coco_names(said: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the COCO files that tell of a picture.

    Args:
        said: What its row says of its content.
    """
    for kind in _KINDS:
        if _has(kind, said):
            yield f"{ANNOTATIONS}/{kind}_{said['split'] or _NO_SPLIT}.json"


@dataclasses.dataclass(frozen=True)
class _File:
    """What stands in one file, read from the manifest as it is written."""

    output: OutputFolder
    kind: str
    split: str
    licenses: dict[tuple[str, str], int]

    def _rows(self) -> Iterator[tuple[int, Row]]:
        for number, row in _rows(self.output):
            said = row["annotation"]
            if (said["split"] or _NO_SPLIT) == self.split and _has(self.kind, said):
                yield number, row

    def images(self) -> Iterator[dict[str, Any]]:
        for number, row in self._rows():
            said = row["annotation"]
            facts = row.get(_STYLE) or [{}] * len(row["styles"])
            yield {
                "id": number,
                "file_name": row["path"].removeprefix(_PICTURES),
                "width": row["width"],
                "height": row["height"],
                "license": self.licenses.get((said["license"], said["license_url"]), 0),
                "coco_url": said["url"],
                "source_id": said["coco_id"],
                "label": said["label"],
                "styles": [
                    {"key": style["key"], **about}
                    for style, about in zip(row["styles"], facts, strict=True)
                ],
            }

    def annotations(self) -> Iterator[dict[str, Any]]:
        if self.kind == "panoptic":
            for number, row in self._rows():
                yield _panoptic(number, row)
            return
        place = 0
        for number, row in self._rows():
            said = row["annotation"]
            found: list[dict[str, Any]]
            if self.kind == "captions":
                found = [{"caption": caption} for caption in said["captions"]]
            else:
                found = [
                    ImageObject.from_row(item).to_coco(row["height"], row["width"])
                    for item in said["objects"]
                ]
            for about in found:
                place += 1
                more = {"source_id": about["id"]} if "id" in about else {}
                yield {**about, **more, "id": place, "image_id": number}


def _panoptic(number: int, row: Row) -> dict[str, Any]:
    """Return the segments of a picture; to COCO's tools one without a pixel is none."""
    path = row["path"].removeprefix(_PICTURES).rpartition(".")[0]
    segments = map(Segment.from_row, row["annotation"]["segments"])
    return {
        "image_id": number,
        "file_name": f"{path}.png",
        "segments_info": [segment_info(s) for s in segments if s.area],
    }


def _rows(output: OutputFolder) -> Iterator[tuple[int, Row]]:
    """Yield the pictures of which something is known, numbered from 1."""
    number = 0
    for row in manifest_rows(output, [*_COLUMNS, _STYLE]):
        if row["status"] == CellStatus.DONE and row.get("annotation"):
            number += 1
            yield number, row


def _has(kind: str, said: dict[str, Any]) -> bool:
    if kind == "captions":
        return bool(said["captions"])
    if kind == "panoptic":
        return said.get("segments") is not None
    return said["objects"] is not None and not said.get("objects_from")


def _licenses(licenses: dict[tuple[str, str], int]) -> Iterator[dict[str, Any]]:
    for (name, url), number in licenses.items():
        yield {"id": number, "name": name, "url": url}


@contextlib.contextmanager
def _object(file: IO[bytes]) -> Iterator[Callable[[str, Iterator[Any]], None]]:
    """Write a JSON object of lists, none of which is held."""
    names = 0

    def add(name: str, values: Iterator[Any]) -> None:
        nonlocal names
        file.write(f'{"," if names else "{"}\n"{name}": ['.encode())
        names += 1
        for number, value in enumerate(values):
            text = json.dumps(value, sort_keys=True, ensure_ascii=False)
            file.write(f"{',' if number else ''}\n{text}".encode())
        file.write(b"\n]")

    yield add
    file.write(b"\n}\n" if names else b"{}\n")
