"""The style bank: each style is encoded once, into two vectors of 4 KB together."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.pvalue import PBegin, PCollection

from transforms.decode import ImageBytes, load_bytes, load_image
from transforms.elements import Failure, ImageRef
from transforms.failures import FAILED, TryMap
from transforms.inference import StyleEncoder
from transforms.output import OutputFolder, open_file, read_file
from transforms.pair import StyleShare
from transforms.previews import write_preview
from transforms.progress import progress_of
from transforms.schemas import STYLE_BANK
from transforms.tables import table_bytes

BANK_NAME = "styles.parquet"

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class BankSettings:
    """What a style bank is bound to.

    Attributes:
        encoder_sha256: Of the encoder's weights.
        style_size: Shortest side of the styles in pixels; 0 for their own size.
        precision: Of the encoder's convolutions.
    """

    encoder_sha256: str
    style_size: int
    precision: str

    def metadata(self) -> dict[bytes, bytes]:
        """Return the settings as the metadata of the Parquet file."""
        return {
            b"encoder_sha256": self.encoder_sha256.encode(),
            b"format_version": str(FORMAT_VERSION).encode(),
            b"precision": self.precision.encode(),
            b"style_size": str(self.style_size).encode(),
        }


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
    if settings is not None and not settings.metadata().items() <= found.items():
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


@dataclasses.dataclass
class EncodeStyle:
    """Turns the bytes of a style into its vectors, from the bank where it has them.

    Attributes:
        output: Where the preview goes.
        known: The bank of an earlier run, which is looked into first.
        settings: What the bank is bound to.
        encoder: Encodes what the bank lacks.
    """

    output: OutputFolder
    known: BankFile | None
    settings: BankSettings
    encoder: StyleEncoder

    def __call__(self, image: ImageBytes) -> EncodedStyle:
        """Return the encoded style.

        Raises:
            ImageError: The image cannot be decoded or encoded.
        """
        progress_of(self.output)  # Its clock starts with the first image read.
        share = StyleShare(image.ref.id, image.ref.key, image.sha256)
        known = _known(self.known, self.settings).get(image.sha256)
        preview = f"gallery/style/{share.id}.jpg"
        if known is not None and known[2] == share.id and self.output.exists(preview):
            return EncodedStyle(share, known[0], known[1])
        loaded = load_image(image, self.settings.style_size)
        write_preview(self.output, preview, loaded.pixels)
        mean, std = known[:2] if known is not None else self.encoder(loaded)
        progress_of(self.output).add(styles_encoded=1)
        return EncodedStyle(share, mean, std)


@functools.lru_cache(maxsize=1)
def _known(
    file: BankFile | None, settings: BankSettings
) -> Mapping[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], str]]:
    bank = load_bank(file.path, settings) if file else None
    if bank is None:
        return {}
    return {
        share.sha256: (bank.mean[i], bank.std[i], share.id)
        for i, share in enumerate(bank.styles)
    }


class EncodedStyles(NamedTuple):
    """What `EncodeStyles` gives back.

    Attributes:
        encoded: The styles.
        counts: (name, amount) pairs to be added up.
        failures: Styles that could not be read, decoded or encoded.
    """

    encoded: PCollection[EncodedStyle]
    counts: PCollection[tuple[str, int]]
    failures: PCollection[Failure]


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
    for name, value in settings.metadata().items():
        if found.get(name) != value:
            shown = found.get(name, b"none").decode(errors="replace")
            raise ValueError(
                f"it was made with {name.decode()} {shown}, this run has "
                f"{value.decode()}. Use the same, or let the styles be encoded anew"
            )
    bank = load_bank(path, settings)
    if bank is None or not bank.styles:
        raise ValueError("there is no style in it")
    return bank


@dataclasses.dataclass
class ReadStyleBank(beam.PTransform[PBegin, EncodedStyles]):
    """Takes the styles from a bank alone, without their pictures.

    Input: the pipeline. Output: `EncodedStyles`. Idempotent. Previews are taken from
    the output that the bank lies in, where it has them.

    Attributes:
        output: Where the previews go.
        bank: The bank.
    """

    output: OutputFolder
    bank: BankFile

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, pbegin: PBegin) -> EncodedStyles:
        """Wire the step."""
        encoded = (
            pbegin
            | "Bank" >> beam.Create([self.bank])
            | "ReadBank" >> beam.FlatMap(_bank_styles, self.output)
        )
        counts = encoded | "CountDecoded" >> beam.Map(_one, "styles_decoded")
        failures = pbegin | "NoFailures" >> beam.Create([]).with_output_types(Failure)
        return EncodedStyles(encoded, counts, failures)


def _bank_styles(bank_file: BankFile, output: OutputFolder) -> Iterator[EncodedStyle]:
    bank = shared_bank(bank_file)
    origin = OutputFolder(bank_file.path.rpartition("/")[0] or ".")
    for place, share in enumerate(bank.styles):
        name = f"gallery/style/{share.id}.jpg"
        if not output.exists(name) and origin.exists(name):
            output.write(name, origin.read(name))
        yield EncodedStyle(share, bank.mean[place], bank.std[place])


@dataclasses.dataclass
class EncodeStyles(beam.PTransform[PCollection[ImageRef], EncodedStyles]):
    """Turns each style into its two vectors.

    Input: `ImageRef` of styles, shuffled. Output: `EncodedStyles`. Idempotent.

    Attributes:
        output: Where the previews go.
        settings: What the bank is bound to.
        known: The bank of an earlier run, which is looked into first.
        encoder: Encodes what the bank lacks.
    """

    output: OutputFolder
    settings: BankSettings
    known: BankFile | None
    encoder: StyleEncoder

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, styles: PCollection[ImageRef]) -> EncodedStyles:
        """Wire the step."""
        encode = EncodeStyle(self.output, self.known, self.settings, self.encoder)
        read = styles | "Read" >> TryMap(load_bytes, "ReadStyle", _itself)
        encoded = read.main | "Encode" >> TryMap(encode, "EncodeStyle", _bytes_ref)
        failures = (read[FAILED], encoded[FAILED]) | "Failures" >> beam.Flatten()
        counts = (
            encoded.main | "CountDecoded" >> beam.Map(_one, "styles_decoded"),
            failures | "CountFailed" >> beam.Map(_one, "styles_failed"),
        ) | "Counts" >> beam.Flatten()
        return EncodedStyles(encoded.main, counts, failures)


def _itself(ref: ImageRef) -> tuple[ImageRef, ...]:
    return (ref,)


def _bytes_ref(image: ImageBytes) -> tuple[ImageRef, ...]:
    return (image.ref,)


def _one(_element: Any, name: str) -> tuple[str, int]:
    return name, 1


@dataclasses.dataclass
class WriteStyleBank(beam.PTransform[PCollection[EncodedStyle], PCollection[BankFile]]):
    """Writes all encoded styles as one `styles.parquet`, sorted by key.

    Input: `EncodedStyle`. Output: one `BankFile`, also when there is no style at all.
    A style takes 4 KB: 80,000 paintings are 328 MB in the one process that writes.
    Idempotent.

    Attributes:
        output: Where to.
        settings: What the bank is bound to.
    """

    output: OutputFolder
    settings: BankSettings

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, styles: PCollection[EncodedStyle]) -> PCollection[BankFile]:
        """Wire the step."""
        nothing = styles.pipeline | "Nothing" >> beam.Create([(None, None)])
        keyed = styles | "Key" >> beam.Map(_key_by_none)
        return (
            (keyed, nothing)
            | "Flatten" >> beam.Flatten()
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.Map(_write_bank, self.output, self.settings)
        )


def _key_by_none(style: EncodedStyle) -> tuple[None, EncodedStyle | None]:
    return None, style


def _write_bank(
    grouped: tuple[None, Iterable[EncodedStyle | None]],
    output: OutputFolder,
    settings: BankSettings,
) -> BankFile:
    ordered = sorted(
        (style for style in grouped[1] if style is not None), key=lambda s: s.share.key
    )
    columns: dict[str, Any] = {
        "id": [style.share.id for style in ordered],
        "key": [style.share.key for style in ordered],
        "sha256": [style.share.sha256 for style in ordered],
        "mean": [style.mean for style in ordered],
        "std": [style.std for style in ordered],
    }
    schema = STYLE_BANK.with_metadata(settings.metadata())
    data = table_bytes(pa.Table.from_pydict(columns, schema))
    output.write(BANK_NAME, data)
    return BankFile(output.path(BANK_NAME), hashlib.sha256(data).hexdigest())
