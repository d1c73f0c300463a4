"""Annotation files beside pictures: which files they are, and what each of them says.

A file belongs to a picture by its name. `beside` means those among the inputs
themselves, which then are no pictures.
"""

import concurrent.futures
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from transforms.annotations.coco_objects import Category, SegmentCategory
from transforms.annotations.kinds import metadata_tables, voc, yolo
from transforms.annotations.kinds.found_by_name import FoundByName
from transforms.annotations.kinds.panoptic import PanopticFile
from transforms.annotations.label_maps import MapFile
from transforms.annotations.sources import Annotation
from transforms.buckets.places import is_remote
from transforms.elements import ImageError, ImageRef, Reason
from transforms.inputs.reading import read_image
from transforms.storage.text import shown

_MASK: Final = ".mask.png"
_PNG: Final = ".png"

# Annotations of one picture are some kilobytes.
_MOST_BYTES: Final = 1 << 24

# How many files are read together, and by how many threads from a bucket.
_TOGETHER: Final = 256
_READERS: Final = 16

# Folders of annotations, and those of the pictures that stand beside them.
_TWINS: Final = {"labels": "images", "Annotations": "JPEGImages"}

# What drawing tools write beside the labels of pictures.
_NO_LABELS: Final = frozenset({"classes.txt", "labels.txt", "README.txt"})


@dataclasses.dataclass(slots=True)
class AnnotationFiles:
    """What files say of pictures, beside COCO's instances and captions.

    Attributes:
        kind: What the objects come in: voc, yolo, or anything else for none.
        yolo_data: What data.yaml says.
        objects: Objects by the names of pictures; None without such files.
        masks: Maps of classes; None without.
        panoptic: Maps of segments; None without.
        metadata: Columns of tables; None without.
        segment_categories: Classes of segments.
        strays: What is wrong with each annotation that belongs to no picture.
    """

    kind: str = ""
    yolo_data: yolo.YoloData | None = None
    objects: FoundByName | None = None
    masks: FoundByName | None = None
    panoptic: FoundByName | None = None
    metadata: FoundByName | None = None
    segment_categories: tuple[SegmentCategory, ...] = ()
    strays: list[str] = dataclasses.field(default_factory=list)
    _names: set[str] = dataclasses.field(default_factory=set)
    _waiting: list[tuple[ImageRef, str]] = dataclasses.field(default_factory=list)
    _categories: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def found(self) -> Sequence[FoundByName]:
        """What there is."""
        all_kinds = (self.objects, self.masks, self.panoptic, self.metadata)
        return [kind for kind in all_kinds if kind is not None]

    @property
    def categories(self) -> tuple[Category, ...]:
        """The classes of the objects."""
        if self.yolo_data is not None:
            return self.yolo_data.categories
        return voc.voc_categories(self._names)

    def takes(self, ref: ImageRef, beside: Mapping[str, bool]) -> bool:
        """Take in an input that is a file of annotations; return whether it is one.

        Args:
            ref: The input.
            beside: What of `objects`, `masks` and `metadata` is among the
                inputs.
        """
        name = ref.key.lower()
        if beside["objects"] and name.endswith(self.ending):
            self.add_objects(ref, ref.key)
        elif beside["masks"] and name.endswith(_MASK):
            self.add_mask(ref, ref.key)
        elif beside["metadata"] and name.rpartition("/")[2] in metadata_tables.NAMES:
            self.add_table(ref, ref.key)
        else:
            return False
        return True

    @property
    def ending(self) -> str:
        """How the names of the files of objects end."""
        return ".xml" if self.kind == voc.KIND else ".txt"

    def add_objects(self, ref: ImageRef, name: str) -> None:
        """Take in the objects of a picture.

        Args:
            ref: The file.
            name: Its name below its folder.
        """
        file = name.rpartition("/")[2]
        if not name.lower().endswith(self.ending) or file in _NO_LABELS:
            return
        self._waiting.append((ref, name))
        if len(self._waiting) == _TOGETHER:
            self.finish()

    def finish(self) -> None:
        """Read the files that wait: before the first picture is asked for."""
        waiting, self._waiting = self._waiting, []
        refs = [ref for ref, _ in waiting]
        # A bucket answers late, and each of these files is small.
        readers = _READERS if any(is_remote(ref.path) for ref in refs) else 1
        with concurrent.futures.ThreadPoolExecutor(readers) as pool:
            read = pool.map(_read, refs) if readers > 1 else map(_read, refs)
            for (_, name), data in zip(waiting, read, strict=True):
                self._add_objects(name, data)

    def _add_objects(self, name: str, read: bytes | ImageError) -> None:
        if self.objects is None:
            self.objects = FoundByName(f"{self.kind} files", stems=True)
        said: dict[str, Any] = {}
        data = b""
        try:
            if isinstance(read, ImageError):
                raise read
            data = read
            if self.yolo_data is None:
                said = self._voc(data, name)
            else:
                said = _yolo(data, self.yolo_data)
        except (ImageError, ValueError) as error:
            problem = error.message if isinstance(error, ImageError) else error
            said = {"wrong": [f"{shown(name)}: {problem}"]}
        given = Annotation.from_json(said).given
        self.objects.add(_twin(name), said, given, data, name)

    def add_mask(self, ref: ImageRef, name: str) -> None:
        """Take in the map of classes of a picture, which workers read."""
        if self.masks is None:
            self.masks = FoundByName("label maps", stems=True)
        if name.lower().endswith(_MASK):
            name = name[: -len(_MASK)] + _PNG
        if name.lower().endswith(_PNG):
            file = MapFile(ref)
            self.masks.add(name, {"mask": file.to_json()}, 1, _size(ref))

    def add_panoptic(self, path: str, maps: Iterable[tuple[str, ImageRef]]) -> None:
        """Take in a panoptic file of COCO.

        Args:
            path: Path or URL of the JSON.
            maps: Names and places of its maps.

        Raises:
            OSError: It cannot be read.
            ValueError: It is no such file.
        """
        said = PanopticFile(path)
        self.panoptic = FoundByName("panoptic maps", stems=False)
        places = FoundByName("maps", stems=False)
        for name, ref in maps:
            places.add(name, MapFile(ref).to_json(), 0, _size(ref))
        self.segment_categories = said.categories
        for image, map_name, segments, wrong in said.entries():
            annotation: dict[str, Any] = {"wrong": wrong}
            try:
                file = places.find(map_name)
            except ImageError as error:
                file = None
                annotation["wrong"] = [*wrong, f"{shown(map_name)}: {error.message}"]
            else:
                if file is None:
                    missing = f"its panoptic map {shown(map_name)} is missing"
                    annotation["wrong"] = [*wrong, missing]
            if file is None:
                lost = "its panoptic map cannot be used"
                annotation["wrong"] += [f"segment {s.id}: {lost}" for s in segments]
            else:
                rows = [segment.to_row() for segment in segments]
                annotation |= {"panoptic": file, "segments": rows}
            given = Annotation.from_json(annotation).given
            told = repr((annotation["wrong"], annotation.get("segments"))).encode()
            self.panoptic.add(image, annotation, given, told)
        self.strays += said.strays

    def add_table(self, ref: ImageRef, name: str) -> None:
        """Take in a table of metadata; its names are relative to its folder.

        Args:
            ref: The file.
            name: Its name below the folder of the pictures.
        """
        if self.metadata is None:
            self.metadata = FoundByName("rows of metadata", stems=False)
        folder = name.rpartition("/")[0]
        try:
            data = read_image(ref)
            for file, columns, wrong in metadata_tables.metadata_rows(data, name):
                where = f"{folder}/{file}" if folder else file
                if not file:
                    self.strays.append(f"{shown(name)}, {wrong}")
                elif wrong:
                    self.metadata.add(where, {"wrong": [wrong]}, 1, wrong.encode())
                else:
                    said = {"metadata": columns}
                    self.metadata.add(where, said, 1, columns.encode())
        except ImageError as error:
            raise ValueError(f"{name}: {error.message}") from error
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def claim(self, key: str) -> None:
        """Note that there is a picture of a key: every one, before any is asked."""
        for found in self.found:
            found.claim(key)

    def of(self, key: str) -> Annotation:
        """Return what the files say of the picture of a key.

        Where it cannot be told which file is of it, that is a `problem`.
        """
        if not self._categories:
            self._categories = {c.name: c.id for c in self.categories}
        found = Annotation()
        for kind in self.found:
            try:
                said = kind.find(key)
            except ImageError as error:
                # The others of the picture are counted with it.
                said = {"problem": error.message}
            if said is not None:
                found = joined(found, Annotation.from_json(said))
        if found.objects:
            numbered = tuple(
                dataclasses.replace(item, category_id=self._categories[item.category])
                for item in found.objects
            )
            found = dataclasses.replace(found, objects=numbered)
        return found

    def _voc(self, data: bytes, name: str) -> dict[str, Any]:
        said = voc.read_voc(data)
        stem = _stem(name.rpartition("/")[2])
        named = said.filename.replace("\\", "/").rpartition("/")[2]
        if named and stem not in (named, _stem(named)):
            raise ValueError(
                f"its <filename> is {shown(named)}, and the file itself is of "
                f"{shown(stem)}"
            )
        self._names.update(item.category for item in said.objects)
        return {
            "objects": [item.to_row() for item in said.objects],
            "wrong": list(said.wrong),
            "width": said.width,
            "height": said.height,
            "more": said.more,
            "objects_from": voc.KIND,
        }


def _read(ref: ImageRef) -> bytes | ImageError:
    if ref.size > _MOST_BYTES:
        return ImageError(
            Reason.BAD_ANNOTATION,
            f"{ref.size} bytes; of one picture at most {_MOST_BYTES} are read",
        )
    try:
        return read_image(ref)
    except ImageError as error:
        return error


def _yolo(data: bytes, about: yolo.YoloData) -> dict[str, Any]:
    objects, wrong = yolo.read_yolo(data, about)
    return {
        "objects": [item.to_row() for item in objects],
        "wrong": list(wrong),
        "relative": True,
        "objects_from": yolo.KIND,
    }


def joined(one: Annotation, other: Annotation) -> Annotation:
    """Return what two kinds of files say of one picture together."""
    nothing = Annotation()
    changes = {
        field.name: getattr(other, field.name)
        for field in dataclasses.fields(Annotation)
        if getattr(other, field.name) != getattr(nothing, field.name)
    }
    return dataclasses.replace(one, **{**changes, "wrong": (*one.wrong, *other.wrong)})


def _twin(name: str) -> str:
    """Return a name with the folder of pictures in place of that of annotations."""
    *folders, file = name.split("/")
    for place in reversed(range(len(folders))):
        if folders[place] in _TWINS:
            folders[place] = _TWINS[folders[place]]
            break
    return "/".join([*folders, file])


def _stem(file: str) -> str:
    return file.rpartition(".")[0] or file


def _size(ref: ImageRef) -> bytes:
    return str(ref.size).encode()
