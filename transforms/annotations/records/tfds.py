"""Data sets of TensorFlow Datasets that were generated before, in TFRecord files.

TFDS tells what features and files there are; the pictures are read by their places.
TensorFlow is imported late.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from transforms.annotations.records.examples import Place, Values, examples
from transforms.annotations.records.fields import annotation_of_fields
from transforms.annotations.records.record_set import Found
from transforms.annotations.records.tfds_root import TfdsRoot, image_feature
from transforms.annotations.sources import SPLIT_NAMES, Annotation
from transforms.elements import ImageRef
from transforms.storage.files import open_file

# A longer text is no caption.
_MOST_TEXT: Final = 1 << 24


@dataclasses.dataclass(frozen=True)
class TfdsPictures:
    """The pictures of a TFDS data set.

    Attributes:
        builder: Name for `tfds.builder`, or the folder of a data set.
        split: The split that is wanted; '' for all.
    """

    builder: str
    split: str = ""

    def folder(self) -> str:
        """Return the folder that the data set is read from.

        Raises:
            ValueError: There is no such data set, or it has no pictures.
        """
        return TfdsRoot("", self.builder).folder()

    def records(
        self, source: str, found: Found
    ) -> Iterator[tuple[ImageRef, Annotation]]:
        """Yield the pictures and what is known of each, split by split.

        The key is the feature `key` where there is one, else `<split>/<id of TFDS>`.

        Raises:
            ValueError: There is no such data set or split, it has no pictures, or its
                files cannot be read by place.
            OSError: A file cannot be read.
        """
        builder = TfdsRoot("", self.builder).load()
        splits = sorted(builder.info.splits)
        if self.split and self.split not in splits:
            raise ValueError(
                f"the TFDS data set {self.builder!r} has no split {self.split!r}, only "
                f"{', '.join(splits)}"
            )
        kind = str(builder.info.file_format.value)
        if kind != "tfrecord":
            raise ValueError(
                f"the TFDS data set {self.builder!r} is stored as {kind}, and only "
                f"tfrecord is read. Build it so: tfds build {self.builder} "
                "--file_format=tfrecord"
            )
        features = _Features(builder, found)
        for split in [self.split] if self.split else splits:
            for path in builder.info.splits[split].filepaths:
                yield from self._file(str(path), split, source, features)

    def _file(
        self, path: str, split: str, source: str, features: "_Features"
    ) -> Iterator[tuple[ImageRef, Annotation]]:
        name = path.rsplit("/", 1)[-1]
        with open_file(path) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                for number, (frame, values) in enumerate(examples(file, size)):
                    said = features.annotation(values, SPLIT_NAMES.get(split, split))
                    own = values.get("key")
                    key = f"{split}/{name}__{number}"
                    if own is not None and own.items:
                        key = _plain(own.items[0]) or key
                    picture = values.get(features.image, Values([], []))
                    place = picture.places[0] if picture.places else Place(0, 0)
                    ref = ImageRef(key, source, path, "", *place, frame=frame)
                    yield ref, said
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error


class _Features:
    """What the features of a data set mean.

    Args:
        builder: Its builder.
        found: Takes its classes.
    """

    def __init__(self, builder: Any, found: Found) -> None:
        self._found = found
        features = builder.info.features
        self.image = str(image_feature(builder))
        self._lists: dict[str, tuple[str, ...]] = {}
        self._boxes: set[str] = set()
        self._pictures: set[str] = set()
        for name, feature in features.items():
            self._look(str(name), feature)
        names = getattr(dict(features.items()).get("label"), "names", None)
        if names:
            found.classes.labels, found.classes.named = list(names), True

    def _look(self, name: str, feature: Any) -> None:
        import tensorflow_datasets as tfds

        if isinstance(feature, tfds.features.Image):
            self._pictures.add(name)
        inner = getattr(feature, "feature", feature)
        if isinstance(inner, tfds.features.FeaturesDict):
            fields = dict(inner.items())
            self._lists[name] = tuple(map(str, fields))
            for field, kind in fields.items():
                if isinstance(kind, tfds.features.BBoxFeature):
                    self._boxes.add(f"{name}/{field}")
                names = getattr(kind, "names", None)
                if names and field in ("label", "category"):
                    classes = self._found.classes
                    classes.objects = {text: n for n, text in enumerate(names)}
                    classes.numbered = True

    def annotation(self, values: Mapping[str, Values], split: str) -> Annotation:
        """Return what an example says of its picture."""
        fields: dict[str, Any] = {}
        relative = False
        for name, inner in self._lists.items():
            columns: dict[str, Any] = {}
            for field in inner:
                items = values.get(f"{name}/{field}", Values([], [])).items
                if f"{name}/{field}" in self._boxes:
                    columns["bbox"] = [
                        _left_first(items[place : place + 4])
                        for place in range(0, len(items) - 3, 4)
                    ]
                    relative = True
                elif field != "area":  # in pixels of a picture of unknown size
                    columns[field] = [_plain(item) for item in items]
            count = len(columns.get("bbox", ()))
            if "bbox" in columns:
                fields[name] = {n: v for n, v in columns.items() if len(v) == count}
            else:
                fields[name] = columns
        taken = tuple(f"{name}/" for name in self._lists)
        for name, found in values.items():
            if name in self._pictures or name == "key" or name.startswith(taken):
                continue
            items = [
                _plain(item) for item in found.items if not isinstance(item, Place)
            ]
            fields[name] = items[0] if len(items) == 1 and name != "captions" else items
        boxes = fields.get("objects")
        if relative and "bbox" not in (boxes or {}):
            fields["objects"] = fields.pop(next(iter(self._boxes)).partition("/")[0])
        said = annotation_of_fields(
            {name: value for name, value in fields.items() if value != []},
            self._found.classes,
        )
        return dataclasses.replace(said, split=split, relative=relative)


def _left_first(box: list[float]) -> list[float]:
    """Return TFDS's box, y first and relative, as left, top, width and height."""
    top, left, bottom, right = box
    return [left, top, right - left, bottom - top]


def _plain(value: Any) -> Any:
    r"""Return bytes as text, one that is no UTF-8 as `\xNN`."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value
