"""Writes what an output of `stylize` tells of itself, all of it from its manifest."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import ToList

from transforms.descriptions.croissant import (
    CROISSANT,
    IMAGE,
    INTEGER,
    NUMBER,
    PARQUET,
    TEXT,
    Field,
    Files,
    Records,
    croissant,
)
from transforms.descriptions.data_card import DataCard, write_card
from transforms.descriptions.tfds_files import (
    DATASET_INFO,
    FEATURES,
    SplitFiles,
    class_files,
    dataset_info,
)
from transforms.elements import CellStatus
from transforms.shards.entries import SHARDS, Names, record_features
from transforms.shards.tfds_shards import (
    COUNTS,
    DATASET_NAME,
    Generation,
    generation_of,
    shard_counts,
    split_name,
)
from transforms.storage.folder import OutputFolder
from transforms.storage.parts import parts_in
from transforms.stylize.manifest import MANIFEST_TABLE

_COLUMNS: Final = [
    "content_id",
    "styles.list.element.key",
    "status",
    "shard",
    "annotation.label",
    "annotation.split",
    "annotation.license",
    "annotation.license_url",
    "annotation.objects.list.element.id",
]

_FACTS: Final = (
    "bundle_id",
    "seed",
    "content_size",
    "style_size",
    "precision",
    "format",
    "quality",
    "preserve_color",
    "layout",
    "output_format",
)

# What `datasets` calls the splits.
_HUGGING_FACE: Final = {"val": "validation"}

_RIGHTS: Final = (
    "These are the licences of the photographs, as far as the inputs told them. A "
    "stylized picture is made from a photograph and a painting, and may be used only "
    "as both allow; nothing is known here of the rights in the paintings."
)


@dataclasses.dataclass
class DescribeOutput(beam.PTransform[PCollection[Any], PCollection[str]]):
    """Writes the data card, Croissant, and what TFDS reads, when all else is there.

    Input: anything; the manifest is read when all of it is there. Output: the names of
    the files. Idempotent. `dataset_info.json` comes last: with it, the new set counts.

    Attributes:
        output: The output of `stylize`.
        identity: Its identity, as `job.json` keeps it.
        command: The command line that made it.
    """

    output: OutputFolder
    identity: Mapping[str, Any]
    command: str

    def expand(self, done: PCollection[Any]) -> PCollection[str]:
        """Wait for all that is done, then write."""
        return (
            done
            | "CollectDone" >> ToList()
            | "Describe"
            >> beam.FlatMap(_describe, self.output, dict(self.identity), self.command)
        )


def _describe(
    _done: list[Any], output: OutputFolder, identity: Mapping[str, Any], command: str
) -> list[str]:
    return describe(output, identity, command)


@dataclasses.dataclass
class _Tally:
    """Sums over the pictures of a manifest.

    Attributes:
        splits: Pictures by split, '' for none.
        classes: Pictures by split and class.
        rights: Pictures by name and URL of the licence of their photograph.
        shards: Pictures by shard.
        styles: Keys of the styles.
        contents: How many photographs there are.
        annotated: Pictures of which anything is known.
        with_objects: Pictures whose objects are known.
        objects: Objects in them.
    """

    splits: Counter[str] = dataclasses.field(default_factory=Counter)
    classes: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    rights: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    shards: Counter[str] = dataclasses.field(default_factory=Counter)
    styles: set[str] = dataclasses.field(default_factory=set)
    contents: int = 0
    annotated: int = 0
    with_objects: int = 0
    objects: int = 0
    _content: str = ""

    @property
    def pictures(self) -> int:
        """How many pictures there are."""
        return sum(self.splits.values())

    def add(self, table: pa.Table) -> None:
        """Count the pictures of some rows, in the order of the manifest."""
        table = table.filter(pc.equal(table["status"], str(CellStatus.DONE)))
        if not len(table):
            return
        contents = table["content_id"].to_pylist()
        for content in contents:
            self.contents += content != self._content
            self._content = content
        styles = pc.list_flatten(table["styles"])
        self.styles.update(pc.struct_field(styles, "key").unique().to_pylist())
        self.shards.update(filter(None, table["shard"].to_pylist()))
        said = _columns(table)
        self.annotated += len(table) - said["label"].null_count
        labels, splits, names, urls = (
            pc.fill_null(said[name], "").to_pylist()
            for name in ("label", "split", "license", "license_url")
        )
        self.splits.update(splits)
        self.classes.update(zip(splits, labels, strict=True))
        self.rights.update(zip(names, urls, strict=True))
        self.with_objects += len(table) - said["objects"].null_count
        self.objects += pc.sum(pc.list_value_length(said["objects"])).as_py() or 0


def _columns(table: pa.Table) -> dict[str, Any]:
    """Return what is known of contents, by name; null where nothing is."""
    names = ("label", "split", "license", "license_url", "objects")
    if "annotation" not in table.column_names:
        empty = pa.nulls(len(table), pa.string())
        objects = pa.nulls(len(table), pa.list_(pa.int64()))
        return {name: objects if name == "objects" else empty for name in names}
    return {name: pc.struct_field(table["annotation"], name) for name in names}


def describe(
    output: OutputFolder, identity: Mapping[str, Any], command: str
) -> list[str]:
    """Write what an output tells of itself; return the names of the files.

    Args:
        output: The output of `stylize`, its manifest and shards complete.
        identity: Its identity, as `job.json` keeps it.
        command: The command line that made it; '' where nobody knows.

    Raises:
        OSError: A file cannot be read or written.
        RuntimeError: A shard is gone that the manifest tells of.
    """
    tally = _Tally()
    for part in parts_in(output, MANIFEST_TABLE.folder):
        for table in MANIFEST_TABLE.tables(output, part, _COLUMNS):
            tally.add(table)
    card = _card(tally, identity, command)
    write_card(output, card)
    output.write_json(CROISSANT, _croissant(tally, identity, card))
    if identity["output_format"] == "tfrecord":
        names = Names.from_identity(identity)
        for name, data in class_files(names.classes, names.categories).items():
            output.write(name, data)
        output.write_json(COUNTS, shard_counts(output, tally.shards))
        output.write_json(FEATURES, record_features(names))
        info = dataset_info(DATASET_NAME, card.summary, _splits(output, tally))
        output.write_json(DATASET_INFO, info)
    return list(_names(identity))


def _names(identity: Mapping[str, Any]) -> Iterator[str]:
    yield CROISSANT
    if identity["output_format"] == "tfrecord":
        yield from (FEATURES, DATASET_INFO)


def _splits(output: OutputFolder, tally: _Tally) -> dict[str, SplitFiles]:
    """Return the shards of each split, as the rows tell of them."""
    lengths: dict[Generation, Counter[int]] = {}
    for name, pictures in tally.shards.items():
        found = generation_of(name)
        if found is not None:
            generation, shard = found
            lengths.setdefault(generation, Counter())[shard] = pictures
    splits: dict[str, SplitFiles] = {}
    for generation, counts in sorted(lengths.items(), key=lambda item: item[0].split):
        if generation.split in splits:
            raise RuntimeError(
                f"the manifest of {output.root} tells of two generations of the split "
                f"{generation.split}. Run the same command again, which packs it anew."
            )
        shards = range(generation.shards)
        sizes = [output.size(generation.name(shard)) or 0 for shard in counts]
        splits[generation.split] = SplitFiles(
            generation.template, sum(sizes), tuple(counts[shard] for shard in shards)
        )
    return splits


def _card(tally: _Tally, identity: Mapping[str, Any], command: str) -> DataCard:
    known = (
        f" Of {tally.with_objects} of them the objects are known, {tally.objects} in "
        "all; of the others nobody knows them, which is not the same as none."
        if tally.with_objects
        else ""
    )
    classes = tally.classes if any(name for _, name in tally.classes) else {}
    output_format = identity["output_format"]
    return DataCard(
        title="Stylized pictures",
        summary=(
            f"{tally.pictures} pictures of {tally.contents} photographs in "
            f"{len(tally.styles)} styles, made by stylebeam.{known}"
        ),
        splits=dict(sorted(tally.splits.items())),
        classes=classes,
        rights=tally.rights,
        about_rights=_RIGHTS,
        facts={k: identity[k] for k in _FACTS if identity.get(k) is not None},
        command=command,
        files=_READERS[output_format],
        data_files=_data_files(tally) if output_format == "parquet" else {},
    )


_MANIFEST: Final = (
    "`manifest/*.parquet` has a row for each picture: path, photograph, styles, alpha, "
    "and what is known of them; of those with the status `failed` there is no picture."
)

_READERS: Final[Mapping[str, tuple[str, ...]]] = {
    "files": ("`images/` has the pictures.", _MANIFEST),
    "tfrecord": (
        '`tfds.builder_from_directory("OUT").as_dataset(split=…)` reads the shards.',
        _MANIFEST,
    ),
    "webdataset": (
        "`webdataset.WebDataset([…])` reads `shards/*.tar`; the split is in the name.",
        _MANIFEST,
    ),
    "parquet": (
        '`datasets.load_dataset("OUT")` reads the shards, a split each.',
        _MANIFEST,
    ),
}


def _data_files(tally: _Tally) -> dict[str, str]:
    """Return the pattern of the shards of each split, for `datasets`."""
    patterns = {}
    for split in sorted(tally.splits):
        name = split_name(split, tally.splits)
        # A name without a split has a number where others have theirs.
        middle = f"*-{split}-" if split else "*[0-9]-"
        pattern = f"{SHARDS}/part-{middle}{'[0-9a-f]' * 12}.parquet"
        patterns[_HUGGING_FACE.get(name, name)] = pattern
    return patterns


_ROWS: Final = "manifest"
_TABLES: Final = "shards"

_FILES: Final = {
    "files": Files("images", "the pictures", "images/*", "image/*"),
    "tfrecord": Files(
        _TABLES, "records, as TFDS reads them", f"{SHARDS}/*", "application/x-tfrecord"
    ),
    "webdataset": Files(
        _TABLES,
        "tars, as WebDataset reads them",
        f"{SHARDS}/*.tar",
        "application/x-tar",
    ),
    "parquet": Files(
        _TABLES, "pictures and what is known of them", f"{SHARDS}/*.parquet", PARQUET
    ),
}


def _croissant(
    tally: _Tally, identity: Mapping[str, Any], card: DataCard
) -> dict[str, Any]:
    output_format = identity["output_format"]
    manifest = Files(_ROWS, "a row for each picture", "manifest/*.parquet", PARQUET)
    records = [Records("pictures", _MANIFEST, _ROWS, _fields(tally))]
    if output_format == "parquet":
        about = "The pictures themselves, and what is known of them."
        records.append(Records("images", about, _TABLES, _TABLE_FIELDS))
    licenses = sorted({url or name for name, url in tally.rights if url or name})
    return croissant(
        DATASET_NAME, card.summary, licenses, [manifest, _FILES[output_format]], records
    )


def _fields(tally: _Tally) -> list[Field]:
    fields = [
        Field(
            "cell_id", "changes with everything that makes a picture", TEXT, "cell_id"
        ),
        Field("path", "name of the picture, and of its file", TEXT, "path"),
        Field("content_key", "the photograph", TEXT, "content_key"),
        Field("content_sha256", "sha256 of its file", TEXT, "content_sha256"),
        Field("alpha", "strength of the style, 0 to 1", NUMBER, "alpha"),
        Field("width", "pixels", INTEGER, "width"),
        Field("height", "pixels", INTEGER, "height"),
        Field("sha256", "sha256 of the picture", TEXT, "sha256"),
        Field("status", "`done`, or `failed`: there is no picture", TEXT, "status"),
        Field("shard", "file that the picture is in, if not `path`", TEXT, "shard"),
        Field("offset", "byte in the shard that it begins at", INTEGER, "offset"),
        Field("bytes", "bytes of the picture", INTEGER, "bytes"),
    ]
    if tally.annotated:
        fields += [
            Field("label", "class, '' when none", TEXT, "annotation", "label"),
            Field("split", "train, val, test or ''", TEXT, "annotation", "split"),
        ]
    return fields


_TABLE_FIELDS: Final = (
    Field("name", "name of the picture", TEXT, "image", "path"),
    Field("image", "the picture", IMAGE, "image", "bytes"),
    Field("label", "number of its class, -1 when none", INTEGER, "label"),
    Field("class_name", "its class, '' when none", TEXT, "class_name"),
    Field("content_key", "the photograph", TEXT, "content_key"),
    Field("alpha", "strength of the style, 0 to 1", NUMBER, "alpha"),
    Field("split", "train, val, test or ''", TEXT, "split"),
    Field(
        "captions", "sentences about the photograph", TEXT, "captions", repeated=True
    ),
    Field("license", "licence of the photograph", TEXT, "license"),
)
