"""Annotation files beside stylized pictures: of the kind that came in.

Pascal VOC, YOLO, label maps and tables of metadata; `coco_files` writes COCO's JSON.
Every picture has the annotations of its content, and so files of its own. They are made
of the manifest alone.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import ToList

from transforms.annotations.coco_objects import Category
from transforms.annotations.dataset_source import manifest_rows
from transforms.annotations.kinds import metadata_tables, voc, yolo
from transforms.annotations.objects import ImageObject
from transforms.elements import CellStatus
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, stream_rows

MASKS: Final = "masks"
METADATA: Final = "images/metadata.jsonl"

_ANNOTATIONS: Final = "annotations"
_VOC: Final = f"{_ANNOTATIONS}/voc"
_PICTURES: Final = "images/"
_NO_SPLIT: Final = "all"

_SPLITS: Final = ("train", "val", "test", _NO_SPLIT)

LISTS: Final = tuple(f"yolo_{split}.txt" for split in _SPLITS)
"""Names of the lists of pictures that YOLO's tools read."""

_COLUMNS: Final = ["path", "status", "width", "height", "annotation"]

# A kind and a split, a column of metadata, or a number of keypoints.
_Told = tuple[str, str]


@dataclasses.dataclass
class WriteKindFiles(beam.PTransform[PCollection[str], PCollection[str]]):
    """Writes the annotation files of all pictures but those of COCO.

    Input: names of the manifest's parts, all of them done. Output: the names of the
    files that tell of many pictures. Idempotent. Each part is read as a stream.

    Attributes:
        output: The output of `stylize`.
        categories: Classes of the objects, by id.
    """

    output: OutputFolder
    categories: tuple[Category, ...]

    def expand(self, parts: PCollection[str]) -> PCollection[str]:
        """Write the files of each picture part by part, then the lists of them."""
        return (
            parts
            # They come from one worker.
            | "SpreadParts" >> beam.Reshuffle()
            | "WritePart" >> beam.FlatMap(_write_part, self.output)
            | "CollectKinds" >> ToList()
            | "WriteLists" >> beam.FlatMap(_write_lists, self.output, self.categories)
        )


def files_of(row: Row) -> Iterator[tuple[str, bytes]]:
    """Yield the files of annotations of a picture: name and bytes.

    Args:
        row: Its row of the manifest.
    """
    said = row["annotation"] or {}
    path, size = row["path"], (row["width"], row["height"])
    split = said.get("split") or _NO_SPLIT
    names = names_of(path, split)
    if said.get("objects") is not None:
        objects = map(ImageObject.from_row, said["objects"])
        if said["objects_from"] == voc.KIND:
            inside = path.removeprefix(_PICTURES)
            yield names["voc"], voc.voc_xml(inside, size, objects, said["more"])
        elif said["objects_from"] == yolo.KIND:
            yield names["yolo"], yolo.yolo_text(objects, size)
    for kind in ("mask", "panoptic"):
        if row.get(kind):
            yield names[kind], row[kind]


def names_in(row: Row) -> Iterator[str]:
    """Yield the names of all files that tell of a picture, those of COCO left out.

    Args:
        row: Its row of the manifest.
    """
    for name, _ in files_of(row):
        yield name
    said = row["annotation"] or {}
    split = said.get("split") or _NO_SPLIT
    if said.get("objects") is not None and said["objects_from"] == voc.KIND:
        yield f"{_ANNOTATIONS}/voc_{split}.txt"
    elif said.get("objects") is not None and said["objects_from"]:
        yield from (f"yolo_{split}.txt", yolo.DATA)
    if said.get("metadata"):
        yield METADATA


def names_left(path: str) -> Iterator[str]:
    """Yield the names of the files that a picture may have had in an earlier run.

    Args:
        path: Path of the picture.
    """
    names = (names_of(path, split).values() for split in _SPLITS)
    yield from dict.fromkeys(name for group in names for name in group)


def names_of(path: str, split: str) -> dict[str, str]:
    """Return the names that files of annotations of a picture may have.

    Args:
        path: Path of the picture.
        split: Its split, or `all`.
    """
    inside = path.removeprefix(_PICTURES).rpartition(".")[0]
    return {
        "voc": f"{_VOC}/{inside}.xml",
        "yolo": yolo.labels_path(path),
        "mask": f"{MASKS}/{inside}.png",
        "panoptic": f"{_ANNOTATIONS}/panoptic_{split}/{inside}.png",
    }


def _write_part(part: str, output: OutputFolder) -> Iterator[_Told]:
    """Write the files of the pictures of a part; yield what there is, each once."""
    found: set[_Told] = set()
    for row in stream_rows(output.path(part), [*_COLUMNS, "mask", "panoptic"]):
        said = row["annotation"]
        if row["status"] != CellStatus.DONE or said is None:
            continue
        for name, data in files_of(row):
            output.write(name, data)
        split = said["split"] or _NO_SPLIT
        if said["objects"] is not None and said["objects_from"]:
            found.add((said["objects_from"], split))
            counts = {len(item["keypoints"]) // 3 for item in said["objects"]}
            found |= {("keypoints", str(count)) for count in counts if count}
        if said["metadata"]:
            names = json.loads(said["metadata"])
            found |= {("metadata", name) for name in names}
    yield from sorted(found)


def _write_lists(
    told: list[_Told], output: OutputFolder, categories: tuple[Category, ...]
) -> list[str]:
    found = sorted(set(told))
    splits = {
        kind: [split for about, split in found if about == kind]
        for kind in (voc.KIND, yolo.KIND)
    }
    columns = [name for kind, name in found if kind == "metadata"]
    names = {
        **{(voc.KIND, s): f"{_ANNOTATIONS}/voc_{s}.txt" for s in splits[voc.KIND]},
        **{(yolo.KIND, s): f"yolo_{s}.txt" for s in splits[yolo.KIND]},
        **({("metadata", ""): METADATA} if columns else {}),
    }
    with contextlib.ExitStack() as stack:
        files = {
            key: stack.enter_context(output.create(name)) for key, name in names.items()
        }
        if files:
            _write_lines(output, files, columns)
    written = [*names.values()]
    if splits[yolo.KIND]:
        lists = [(split, f"yolo_{split}.txt") for split in splits[yolo.KIND]]
        keypoints = max((int(n) for k, n in found if k == "keypoints"), default=0)
        output.write(yolo.DATA, yolo.yolo_data(categories, lists, keypoints))
        written.append(yolo.DATA)
    return written


def _write_lines(
    output: OutputFolder,
    files: dict[tuple[str, str], IO[bytes]],
    columns: Iterable[str],
) -> None:
    for row in manifest_rows(output, _COLUMNS):
        said: dict[str, Any] | None = row["annotation"]
        if row["status"] != CellStatus.DONE or said is None:
            continue
        inside = row["path"].removeprefix(_PICTURES)
        if said["objects"] is not None and said["objects_from"]:
            kind = said["objects_from"]
            line = f"./{row['path']}\n"
            if kind == voc.KIND:
                line = f"{inside.rpartition('.')[0]}\n"
            files[kind, said["split"] or _NO_SPLIT].write(line.encode())
        if table := files.get(("metadata", "")):
            table.write(
                metadata_tables.metadata_line(inside, said["metadata"], columns)
            )
