"""The style bank: each style is encoded once, into two vectors.

They are 4 KB together in the paper's network, 8 KB with AdaIN at four taps.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.pvalue import PCollection

from transforms.storage.files import open_file, read_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import table_bytes
from transforms.storage.parts import GroupByKnownKey
from transforms.storage.schemas import STYLE_BANK
from transforms.stylize.cells import BANK_NAME, StyleShare

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class BankSettings:
    """What a style bank is bound to.

    Attributes:
        encoder_sha256: Of the encoder's weights.
        style_size: Shortest side of the styles in pixels; 0 for their own size.
        precision: Of the encoder's convolutions.
        taps: Whose statistics the vectors are, in order; empty, and missing in the
            file, for relu4_1 alone.
        network_sha256: Of what an encoder with several taps is made of.
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
        path: Of the Parquet file.
        sha256: Of its bytes, so that no process uses an older one it has in memory.
    """

    path: str
    sha256: str


def load_bank(path: str, settings: BankSettings | None = None) -> StyleBank | None:
    """Load a style bank; None where there is none or it has other settings.

    Args:
        path: Of the Parquet file.
        settings: What it must be bound to; None takes any.
    """
    try:
        with open_file(path) as file:
            table = pq.read_table(file)
    except FileNotFoundError:
        return None
    found = table.schema.metadata or {}
    if settings is not None and settings.difference(found):
        return None
    rows = table.select(["id", "key", "sha256"]).to_pylist()
    return StyleBank(
        tuple(StyleShare(row["id"], row["key"], row["sha256"]) for row in rows),
        _matrix(table["mean"]),
        _matrix(table["std"]),
    )


def _matrix(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    flat = column.combine_chunks().flatten().to_numpy()
    return flat.reshape(len(column), -1) if len(column) else flat.reshape(0, 0)


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
    """Return the bank that an earlier run left, or None."""
    return bank_file(output.path(BANK_NAME)) if output.exists(BANK_NAME) else None


def bank_file(path: str) -> BankFile:
    """Return a bank by its path.

    Raises:
        OSError: It cannot be read.
    """
    return BankFile(path, hashlib.sha256(read_file(path)).hexdigest())


def check_bank(path: str, settings: BankSettings) -> StyleBank:
    """Return a bank that somebody gave, checked.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no style bank, or one of another encoder, size or precision.
    """
    try:
        with open_file(path) as file:
            found = pq.read_schema(file).metadata or {}
    except pa.ArrowInvalid as error:
        raise ValueError(f"not a style bank: {error}") from error
    difference = settings.difference(found)
    if difference:
        name, theirs, ours = difference
        raise ValueError(
            f"it was made with {name} {theirs}, this run has {ours}. Use the same, or "
            "let the styles be encoded anew"
        )
    bank = load_bank(path, settings)
    if bank is None or not bank.styles:
        raise ValueError("there is no style in it")
    return bank


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
    columns: dict[str, Any] = {
        "id": [style.share.id for style in ordered],
        "key": [style.share.key for style in ordered],
        "sha256": [style.share.sha256 for style in ordered],
        "mean": [style.mean for style in ordered],
        "std": [style.std for style in ordered],
    }
    schema = STYLE_BANK.with_metadata(settings.metadata())
    data = table_bytes(pa.Table.from_pydict(columns, schema))
    output.write(name, data)
    return BankFile(output.path(name), hashlib.sha256(data).hexdigest())
