"""Parquet of pictures, as Hugging Face's `datasets` writes it.

A picture is a struct of `bytes` and `path`, or bytes alone. All other columns are
annotations, by the names of `fields`; what the file's metadata says of them is used.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.annotations.label_maps import MapFile
from transforms.annotations.records.fields import annotation_of_fields
from transforms.annotations.records.record_set import Found
from transforms.annotations.records.splits import split_of_shard
from transforms.annotations.sources import Annotation
from transforms.elements import ImageError, ImageRef
from transforms.inputs.parquet_cells import ENDING, cell_name, is_damage, read_cell
from transforms.inputs.roots import printable
from transforms.inputs.shards import find_shards
from transforms.storage.files import open_file
from transforms.storage.text import shown

_PICTURES: Final = ("image", "img", "picture", "photo", "jpg", "png", "jpeg", "webp")
_MASKS: Final = ("mask", "label", "annotation", "segmentation", "seg")

_ROWS: Final = 256
_BUFFER: Final = 1 << 20
_MOST_DIGITS: Final = 6


@dataclasses.dataclass(frozen=True)
class ParquetPictures:
    """Parquet files of pictures.

    Attributes:
        pattern: What was named: a file, a folder of them, or a pattern.
    """

    pattern: str

    def records(
        self, source: str, found: Found
    ) -> Iterator[tuple[ImageRef, Annotation]]:
        """Yield the pictures and what is known of each, file by file.

        Raises:
            ValueError: There is no file, or one has no pictures or cannot be read.
            OSError: One cannot be read.
        """
        for name, path in find_shards(self.pattern, (ENDING,)):
            try:
                yield from _File(path, printable(name), source, found).records()
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                if not is_damage(error):
                    raise
                raise ValueError(
                    f"{path} is no Parquet file, or only a part of it: "
                    f"{shown(str(error), 200)}. Fetch it again"
                ) from error


@dataclasses.dataclass
class _File:
    """One file while it is read.

    Attributes:
        path: Its path.
        name: Its name, with which keys begin.
        source: Name of the input root.
        found: What was found beside the pictures.
    """

    path: str
    name: str
    source: str
    found: Found

    def records(self) -> Iterator[tuple[ImageRef, Annotation]]:
        with open_file(self.path, _BUFFER) as file:
            parquet = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
            schema = parquet.schema_arrow
            about = _features(schema)
            pictures = _picture_columns(schema, about)
            if not pictures:
                raise ValueError(
                    f"{self.path} has no column of pictures (a struct of bytes and "
                    "path, or bytes called image); its columns are "
                    f"{', '.join(map(str, schema.names))}"
                )
            column, *others = pictures
            masks = [name for name in others if name in _MASKS][:1]
            for name in others:
                if name not in masks:
                    self.found.left_out[f"column {name}"] += 1
            self._take_classes(about)
            columns = []
            for field in schema:
                if _is_bytes(field.type) and field.name not in pictures:
                    self.found.left_out[f"column {field.name}"] += 1
                elif field.name not in pictures:
                    columns.append(field.name)
            columns += [f"{column}.path"] * pa.types.is_struct(
                schema.field(column).type
            )
            yield from self._groups(parquet, column, masks, columns)

    def _groups(
        self,
        parquet: pq.ParquetFile,
        column: str,
        masks: list[str],
        columns: list[str],
    ) -> Iterator[tuple[ImageRef, Annotation]]:
        split = split_of_shard(self.name)
        number = 0
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            size = _bytes_a_row(parquet, group, column)
            for row, values in enumerate(_rows(parquet, group, columns, count)):
                path = (values.pop(column, None) or {}).get("path") or ""
                key = f"{self.name}/{number:0{_MOST_DIGITS}d}"
                if path:
                    key += f"-{printable(path).replace('/', '_')}"
                ref = self._ref(key, column, group, row, size)
                said = annotation_of_fields(values, self.found.classes)
                if not said.split:
                    said = dataclasses.replace(said, split=split)
                for mask in masks:
                    said = self._masked(said, self._ref(key, mask, group, row, 0))
                number += 1
                yield ref, said

    def _ref(self, key: str, column: str, group: int, row: int, size: int) -> ImageRef:
        member = cell_name(column, group, row)
        return ImageRef(key, self.source, self.path, member, -1, size)

    def _masked(self, said: Annotation, ref: ImageRef) -> Annotation:
        try:
            digest = hashlib.sha256(read_cell(ref)).hexdigest()
        except ImageError as error:
            return dataclasses.replace(said, problem=f"its mask: {error.message}")
        return dataclasses.replace(said, mask=MapFile(ref, b"", digest))

    def _take_classes(self, about: Mapping[str, Any]) -> None:
        """Take over the names of classes that the metadata has."""
        classes = self.found.classes
        for name in ("label", "class", "cls"):
            if (names := _class_names(about.get(name))) is not None:
                if classes.named and classes.labels != names:
                    raise ValueError(
                        f"{self.path} has other classes than the files before it"
                    )
                classes.labels, classes.named = names, True
        for name in ("objects", "annotations"):
            found = about.get(name)
            found = found[0] if isinstance(found, list) and found else found
            for inner in ("feature", None):
                holder = found.get(inner, found) if isinstance(found, dict) else {}
                for key in ("category", "categories", "label", "labels"):
                    about_key = holder.get(key) if isinstance(holder, dict) else None
                    names = _class_names(about_key)
                    if names is not None:
                        classes.objects = {text: n for n, text in enumerate(names)}
                        classes.numbered = True


def _features(schema: pa.Schema) -> Mapping[str, Any]:
    """Return what Hugging Face's metadata says of the columns, if there is any."""
    text = (schema.metadata or {}).get(b"huggingface")
    try:
        found = json.loads(text)["info"]["features"] if text else {}
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _picture_columns(schema: pa.Schema, about: Mapping[str, Any]) -> list[str]:
    """Return the columns of pictures, that of the pictures themselves first."""
    found = []
    for field in schema:
        kind = field.type
        said = about.get(field.name)
        is_image = isinstance(said, dict) and said.get("_type") == "Image"
        holds_bytes = _is_bytes(kind) and (is_image or field.name in _PICTURES)
        is_struct = pa.types.is_struct(kind) and any(
            inner.name == "bytes" and _is_bytes(inner.type) for inner in kind
        )
        if holds_bytes or is_struct:
            found.append(field.name)
    named = [name for name in _PICTURES if name in found]
    return named[:1] + [name for name in found if name not in named[:1]]


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _class_names(about: Any) -> list[str] | None:
    """Return the names of a ClassLabel, or of lists of it; None for anything else."""
    while isinstance(about, dict) and "feature" in about:
        about = about["feature"]
    while isinstance(about, list) and about:
        about = about[0]
    if isinstance(about, dict) and about.get("_type") == "ClassLabel":
        names = about.get("names")
        return [str(name) for name in names] if names else None
    return None


def _bytes_a_row(parquet: pq.ParquetFile, group: int, column: str) -> int:
    """Return how many bytes a picture of a row group has on average."""
    meta = parquet.metadata.row_group(group)
    chunks = [meta.column(number) for number in range(meta.num_columns)]
    size = sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if chunk.path_in_schema in (column, f"{column}.bytes")
    )
    return size // max(1, meta.num_rows)


def _rows(
    parquet: pq.ParquetFile, group: int, columns: list[str], count: int
) -> Iterator[dict[str, Any]]:
    if not columns:
        yield from ({} for _ in range(count))
        return
    for batch in parquet.iter_batches(_ROWS, row_groups=[group], columns=columns):
        yield from batch.to_pylist()
