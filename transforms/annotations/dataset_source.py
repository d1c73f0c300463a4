"""Our own outputs as inputs: pictures and what is known of them, by their manifests.

A data set of `ingest` keeps its pictures in shards, an output of `stylize` in files or
shards. The manifest says where each is, so that a preview or a thumbnail is never taken
for one. A picture is read in place.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.coco_objects import Category, SegmentCategory
from transforms.annotations.dataset_layout import FORMAT_VERSIONS, MANIFEST
from transforms.annotations.label_maps import MapFile
from transforms.annotations.sources import Annotation
from transforms.buckets.places import is_remote
from transforms.elements import CellStatus, ImageRef, ImageStatus
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, stream_rows

Maker = Literal["ingest", "stylize"]

CATEGORIES: Final = "categories.json"
SEGMENT_CATEGORIES: Final = "segment_categories.json"
KNOWN: Final = "known.json"
"""Which of `SPECIAL` pictures of an output of `stylize` may have."""

SPECIAL: Final = ("masks", "panoptic", "metadata")

CLASSES: Final = "labels.txt"

_INGEST: Final = "ingest.json"
_JOB: Final = "job.json"
_PICTURES: Final = "images/"

# Columns of a manifest that are fields of an annotation.
_FACTS: Final = (
    "label",
    "artist",
    "title",
    "captions",
    "coco_id",
    "split",
    "license",
    "license_url",
    "url",
    "objects",
    "objects_from",
    "more",
    "metadata",
    "segments",
)
_MAPS: Final = ("mask", "panoptic")


@dataclasses.dataclass(frozen=True, slots=True)
class DatasetRoot:
    """An output of ours as an input root.

    Attributes:
        name: Name of the root.
        path: Local path or URL of the folder.
        maker: Which command made it.
        prefix: What every key begins with: empty, or the name and a slash.
        split: The split that is wanted of a data set of `ingest`; '' for all.
    """

    name: str
    path: str
    maker: Maker
    prefix: str = ""
    split: str = ""

    def named(self, prefix: str) -> "DatasetRoot":
        """Return it with another beginning of its keys."""
        return dataclasses.replace(self, prefix=prefix)

    @property
    def of_version_1(self) -> bool:
        """Whether it is a local data set that TFDS reads with all that is in it."""
        if self.maker != "ingest" or is_remote(self.path):
            return False
        try:
            found = OutputFolder(self.path).read_json(_INGEST)
        except ValueError:
            return True  # Whoever reads it says what is wrong.
        return not isinstance(found, dict) or found.get("format_version") != 2

    def about(self) -> Mapping[str, Any]:
        """Return what `ingest.json` says; nothing of an output of `stylize`.

        Raises:
            ValueError: It is of a version that is not known here.
        """
        if self.maker == "stylize":
            return {}
        found: Mapping[str, Any] = OutputFolder(self.path).read_json(_INGEST)
        version = found.get("format_version")
        if version not in FORMAT_VERSIONS:
            raise ValueError(
                f"the data set {self.path} has format_version {version!r}, this "
                f"stylebeam reads {' and '.join(map(str, FORMAT_VERSIONS))}. Ingest "
                "the pictures again"
            )
        return found

    def classes(self) -> Sequence[str]:
        """Return its classes in the order of their numbers; else its labels, sorted."""
        output = OutputFolder(self.path)
        if self.maker == "stylize":
            if not output.exists(CLASSES):
                return ()
            return output.read(CLASSES).decode().splitlines()
        found = self.about().get("classes")
        if found is not None:
            return tuple(found)
        labels = {row["label"] for row in self._rows(["label"]) if row["label"]}
        return tuple(sorted(labels))

    def categories(self) -> tuple[Category, ...]:
        """Return the classes of its objects."""
        output = OutputFolder(self.path)
        if self.maker == "ingest":
            found = self.about().get("categories", [])
        elif output.exists(CATEGORIES):
            found = json.loads(output.read(CATEGORIES))
        else:
            found = []
        return tuple(Category(**category) for category in found)

    def segment_categories(self) -> tuple[SegmentCategory, ...]:
        """Return the classes of its panoptic segments."""
        output = OutputFolder(self.path)
        if self.maker == "ingest":
            found = self.about().get("segment_categories", [])
        elif output.exists(SEGMENT_CATEGORIES):
            found = json.loads(output.read(SEGMENT_CATEGORIES))
        else:
            found = []
        return tuple(map(SegmentCategory.from_json, found))

    def has(self, what: str) -> bool:
        """Return whether any of its pictures may have something.

        Args:
            what: `masks`, `panoptic` or `metadata`.
        """
        output = OutputFolder(self.path)
        if self.maker == "ingest":
            return bool(self.about().get(f"has_{what}", False))
        if not output.exists(KNOWN):
            return False
        return what in json.loads(output.read(KNOWN))

    def list_pictures(
        self, index: AnnotationIndex | None = None, classes: Mapping[str, int] = {}
    ) -> Iterator[ImageRef]:
        """Yield its pictures, copies and failures left out.

        Args:
            index: Where to write down what is known of each; None for nowhere.
            classes: Numbers of the classes.

        Raises:
            ValueError: It is no data set that can be read here.
        """
        about = self.about()
        for row in self._rows():
            ref = (
                self._ingested(row, about)
                if self.maker == "ingest"
                else self._stylized(row)
            )
            if ref is None:
                continue
            if index is not None:
                found = annotation_of(row, self.maker, classes)
                if found is not None:
                    found = dataclasses.replace(found, **_maps(row, ref, self.maker))
                    ref = dataclasses.replace(ref, about=index.add(found))
            yield ref

    def _rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        return manifest_rows(OutputFolder(self.path), columns)

    def _ingested(self, row: Row, about: Mapping[str, Any]) -> ImageRef | None:
        if row["status"] != ImageStatus.ACCEPTED:
            return None
        if self.split and row["split"] != self.split:
            return None
        shard = about["splits"][row["split"]]["shards"][row["shard"]]["name"]
        return ImageRef(
            self.prefix + row["key"],
            self.name,
            OutputFolder(self.path).path(shard),
            offset=row["image_offset"],
            size=row["image_length"],
            frame=row["byte_offset"],
        )

    def _stylized(self, row: Row) -> ImageRef | None:
        if row["status"] != CellStatus.DONE:
            return None
        inside = row["shard"] is not None
        return ImageRef(
            self.prefix + row["path"].removeprefix(_PICTURES),
            self.name,
            OutputFolder(self.path).path(row["shard"] if inside else row["path"]),
            offset=row["offset"] if inside else -1,
            size=row["bytes"],
        )


def manifest_rows(
    output: OutputFolder, columns: Sequence[str] | None = None
) -> Iterator[Row]:
    """Yield the rows of a manifest, part by part.

    Args:
        output: Output of `ingest` or `stylize`.
        columns: Columns wanted; None for all. Tables of before may lack some.
    """
    for name in sorted(_parts(output)):
        yield from stream_rows(output.path(name), columns)


def dataset_root(name: str, path: str, prefix: str = "") -> DatasetRoot | None:
    """Return an output of ours as an input root; None where a folder is none.

    Args:
        name: Name of the root.
        path: Local path or URL of the folder.
        prefix: What every key begins with.

    Raises:
        OSError: It cannot be looked at.
        RuntimeError: A package for remote files is missing.
    """
    maker = maker_of(path)
    return None if maker is None else DatasetRoot(name, path, maker, prefix)


def _parts(output: OutputFolder) -> Collection[str]:
    """Return the names of the parts of a manifest."""
    # Late: evaluate and --help go without Beam.
    from transforms.storage.parts import parts_in

    return parts_in(output, MANIFEST)


def maker_of(path: str) -> Maker | None:
    """Return which command made a folder, where its pictures are known by a manifest.

    Args:
        path: Local path or URL.
    """
    output = OutputFolder(path)
    if output.exists(_INGEST):
        return "ingest"
    if not output.exists(_JOB) or not _parts(output):
        return None
    try:
        job = output.read_json(_JOB)
    except ValueError:
        return None
    is_stylize = isinstance(job, dict) and job.get("command") == "stylize"
    return "stylize" if is_stylize else None


def annotation_of(
    row: Row, maker: Maker, classes: Mapping[str, int]
) -> Annotation | None:
    """Return what a row of a manifest says of its picture; None where it says nothing.

    Args:
        row: A row of a manifest.
        maker: Which command made it.
        classes: Numbers of the classes.
    """
    said = row if maker == "ingest" else row.get("annotation")
    if said is None:
        return None
    facts = {name: said[name] for name in _FACTS if said.get(name) is not None}
    label = facts.get("label", "")
    return Annotation.from_json(
        {
            **facts,
            "label_index": classes.get(label, -1),
            "width": row["width"],
            "height": row["height"],
        }
    )


def _maps(row: Row, ref: ImageRef, maker: Maker) -> dict[str, Any]:
    """Return the label maps of a picture: beside it in its shard, or in its row."""
    found: dict[str, Any] = {}
    for name in _MAPS:
        if maker == "stylize" and row.get(name):
            data = row[name]
            found[name] = MapFile(None, data, hashlib.sha256(data).hexdigest())
        elif maker == "ingest" and row.get(f"{name}_length"):
            place = dataclasses.replace(
                ref, offset=row[f"{name}_offset"], size=row[f"{name}_length"]
            )
            found[name] = MapFile(place, b"", row[f"{name}_sha256"])
    return found
