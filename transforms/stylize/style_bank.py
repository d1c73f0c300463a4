"""The style bank: each style is encoded once, into two vectors.

They are 4 KB together in the paper's network, 8 KB with AdaIN at four taps.
"""

import dataclasses
import functools
import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Final, cast

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from apache_beam.pvalue import PCollection

from model.checksums import DamagedFileError
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import open_table, sealed_writer
from transforms.storage.parts import GroupByKnownKey
from transforms.storage.schemas import STYLE_BANK
from transforms.stylize.cells import BANK_NAME, StyleShare

FORMAT_VERSION = 1

_LOGGER = logging.getLogger(__name__)

_VECTORS: Final = ("mean", "std")
_ANEW: Final = "let the styles be encoded anew"

# Of all vectors of a bank: a million styles of the paper's network.
_MAX_BYTES: Final = 1 << 32

_STYLES_AT_A_TIME: Final = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class BankSettings:
    """What a style bank is bound to.

    Attributes:
        encoder_sha256: The sha256 of the encoder's weights.
        style_size: Shortest side of the styles in pixels; 0 for their own size.
        precision: Type of the encoder's convolutions.
        taps: Whose statistics the vectors are, in order; empty, and missing in the
            file, for relu4_1 alone.
        network_sha256: The sha256 of what an encoder with several taps is made of.
    """

    encoder_sha256: str
    style_size: int
    precision: str
    taps: str = ""
    network_sha256: str = ""

    def metadata(self) -> dict[bytes, bytes]:
        """Return the settings as the metadata of the Parquet file."""
        found = {
            "encoder_sha256": self.encoder_sha256,
            "format_version": str(FORMAT_VERSION),
            "precision": self.precision,
            "style_size": str(self.style_size),
            "taps": self.taps,
            "network_sha256": self.network_sha256,
        }
        return {name.encode(): text.encode() for name, text in found.items() if text}

    def difference(self, found: Mapping[bytes, bytes]) -> tuple[str, str, str] | None:
        """Return the first setting in which a bank differs: name, its value, ours."""
        wanted = self.metadata()
        for name in (*wanted, b"taps", b"network_sha256"):
            if found.get(name) != wanted.get(name):
                theirs, ours = (v.get(name, b"none") for v in (found, wanted))
                return name.decode(), theirs.decode(errors="replace"), ours.decode()
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedStyle:
    """A row of the style bank.

    Attributes:
        share: The style.
        mean: float32 [channels].
        std: float32 [channels].
    """

    share: StyleShare
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class StyleBank:
    """The styles of a job in the order of their keys.

    Attributes:
        styles: The styles.
        mean: float32 [styles, channels].
        std: float32 [styles, channels].
    """

    styles: tuple[StyleShare, ...]
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class BankFile:
    """Where the bank is: what crosses to the content stage instead of the vectors.

    Attributes:
        path: Path of the Parquet file.
        sha256: The sha256 of its bytes, so that no process uses an older one it has in
            memory.
    """

    path: str
    sha256: str


def load_bank(path: str, settings: BankSettings | None = None) -> StyleBank | None:
    """Load a style bank; None where there is none or it has other settings.

    Args:
        path: Path of the Parquet file.
        settings: What it must be bound to; None takes any.

    Raises:
        DamagedFileError: It is not as it was written.
    """
    shares: list[StyleShare] = []
    vectors: dict[str, list[npt.NDArray[np.float32]]] = {n: [] for n in _VECTORS}
    try:
        with open_table(path) as file:
            parquet = pq.ParquetFile(file, pre_buffer=False)
            found = parquet.schema_arrow.metadata or {}
            if settings is not None and settings.difference(found):
                return None
            _check_columns(parquet.schema_arrow, path)
            # A table of all the rows would take several times what is kept of them.
            for batch in parquet.iter_batches(_STYLES_AT_A_TIME, use_threads=False):
                _check_values(batch, path)
                rows = batch.select(["id", "key", "sha256"]).to_pylist()
                shares += [StyleShare(r["id"], r["key"], r["sha256"]) for r in rows]
                for name, parts in vectors.items():
                    parts.append(_matrix(batch[name]))
    except FileNotFoundError:
        return None
    return StyleBank(tuple(shares), *(_stacked(parts) for parts in vectors.values()))


def _check_columns(schema: pa.Schema, path: str) -> None:
    """Refuse a table that is no bank: what has no seal may hold anything."""
    for field in STYLE_BANK:
        place = schema.get_field_index(field.name)
        if place < 0 or not schema.field(place).type.equals(field.type):
            kind = "none" if place < 0 else str(schema.field(place).type)
            raise DamagedFileError(
                f"{path} is not a style bank: expected a column {field.name} of "
                f"{field.type}, found {kind}"
            )


def _check_values(batch: pa.RecordBatch, path: str) -> None:
    for field in STYLE_BANK:
        if batch[field.name].null_count:
            raise DamagedFileError(
                f"{path} cannot be used: column {field.name} has rows without a value"
            )


def _matrix(column: pa.Array) -> npt.NDArray[np.float32]:
    """Return vectors as float32 [styles, channels].

    Raises:
        ValueError: They have not all the same length, or a value is missing.
    """
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    flat = pc.list_flatten(column)
    if len(lengths) > 1 or lengths == [None] or flat.null_count:
        raise ValueError(f"its vectors are of several lengths or lack values; {_ANEW}")
    width = lengths[0] if lengths else 0
    return flat.to_numpy(zero_copy_only=False).reshape(len(column), width)


def _stacked(parts: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Return matrices as one, and let go of each as soon as it is in there."""
    if len({part.shape[1] for part in parts}) > 1:
        raise ValueError(f"its vectors are of several lengths; {_ANEW}")
    width = parts[0].shape[1] if parts else 0
    matrix = np.empty((sum(map(len, parts)), width), np.float32)
    place = 0
    parts.reverse()
    while parts:
        part = parts.pop()
        matrix[place : place + len(part)] = part
        place += len(part)
    return matrix


@functools.lru_cache(maxsize=1)
def shared_bank(bank: BankFile) -> StyleBank:
    """Return the bank, loaded once a process.

    Raises:
        FileNotFoundError: It was deleted while the job ran.
    """
    loaded = load_bank(bank.path)
    if loaded is None:
        raise FileNotFoundError(
            f"The style bank {bank.path!r} was deleted while the job ran."
        )
    return loaded


def existing_bank(output: OutputFolder) -> BankFile | None:
    """Return the bank that an earlier run left, or None.

    A damaged one is passed over with a warning: its styles are encoded again.
    """
    if not output.exists(BANK_NAME):
        return None
    path = output.path(BANK_NAME)
    try:
        load_bank(path)
    except DamagedFileError as error:
        _LOGGER.warning("%s; the styles are encoded again", error)
        return None
    return bank_file(path)


def bank_file(path: str) -> BankFile:
    """Return a bank by its path.

    Raises:
        OSError: It cannot be read.
    """
    with open_file(path) as file:
        return BankFile(
            path, hashlib.file_digest(cast(Any, file), "sha256").hexdigest()
        )


def check_bank(path: str, settings: BankSettings, channels: int) -> StyleBank:
    """Return a bank that somebody gave, checked.

    Args:
        path: Path of the bank.
        settings: What it must be bound to.
        channels: Numbers that each of its vectors must have.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no style bank, is damaged, is one of another encoder, size or
            precision, or its vectors are not finite numbers, so many of them each.
    """
    with open_table(path) as file:
        parquet = pq.ParquetFile(file)
        found = parquet.schema_arrow.metadata or {}
        _check_columns(parquet.schema_arrow, path)
    difference = settings.difference(found)
    if difference:
        name, theirs, ours = difference
        raise ValueError(
            f"it was made with {name} {theirs}, this run has {ours}. Use the same, or "
            f"{_ANEW}"
        )
    _check_lengths(parquet.metadata, channels)
    bank = load_bank(path, settings)
    if bank is None or not bank.styles:
        raise ValueError("there is no style in it")
    for name, vectors in (("mean", bank.mean), ("std", bank.std)):
        if not np.isfinite(vectors).all():
            raise ValueError(f"{name} has a value that is no finite number; {_ANEW}")
    return bank


def _check_lengths(metadata: pq.FileMetaData, channels: int) -> None:
    """Check the number of values that the file has, before any is read."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            column = group.column(place)
            name = column.path_in_schema.partition(".")[0]
            wanted = group.num_rows * channels
            if name in _VECTORS and column.num_values != wanted:
                raise ValueError(
                    f"{name} of its {group.num_rows} styles has {column.num_values} "
                    f"values, this bundle needs {channels} each; {_ANEW}"
                )
    if 8 * metadata.num_rows * channels > _MAX_BYTES:
        raise ValueError(
            f"its {metadata.num_rows} styles take more than {_MAX_BYTES} bytes. Use "
            "several banks"
        )


@dataclasses.dataclass
class WriteStyleBank(beam.PTransform[PCollection[EncodedStyle], PCollection[BankFile]]):
    """Writes all encoded styles as one `styles.parquet`, sorted by key.

    Input: `EncodedStyle`. Output: one `BankFile`, also when there is no style at all.
    A style takes 4 KB, 8 KB with four taps: 80,000 paintings are 328 MB, or 614 MB, in
    the one process that writes. Idempotent.

    Attributes:
        output: Where to.
        settings: What the bank is bound to.
    """

    output: OutputFolder
    settings: BankSettings

    def expand(self, styles: PCollection[EncodedStyle]) -> PCollection[BankFile]:
        """Gather all styles in one process, and write them."""
        return (
            styles
            | "KeyByBank" >> beam.WithKeys(BANK_NAME)
            | "Group" >> GroupByKnownKey([BANK_NAME])
            | "Write" >> beam.Map(_write_bank, self.output, self.settings)
        )


def _write_bank(
    grouped: tuple[str, list[EncodedStyle]],
    output: OutputFolder,
    settings: BankSettings,
) -> BankFile:
    name, styles = grouped
    ordered = sorted(styles, key=lambda style: style.share.key)
    schema = STYLE_BANK.with_metadata(settings.metadata())
    with output.create(name) as file, sealed_writer(file, schema) as writer:
        for place in range(0, max(1, len(ordered)), _STYLES_AT_A_TIME):
            some = ordered[place : place + _STYLES_AT_A_TIME]
            columns: dict[str, Any] = {
                "id": [style.share.id for style in some],
                "key": [style.share.key for style in some],
                "sha256": [style.share.sha256 for style in some],
                "mean": [style.mean for style in some],
                "std": [style.std for style in some],
            }
            writer.write_table(pa.Table.from_pydict(columns, schema))
    return bank_file(output.path(name))
