"""Gets the vectors of styles: from pictures, or from a bank alone."""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PBegin, PCollection, TaggedOutput

from transforms.elements import Count, Failure, ImageError, ImageRef
from transforms.images.load import ImageBytes, LoadedImage, load_image
from transforms.images.thumbnails import STYLE, is_shown, write_preview
from transforms.steps.equal_bytes import EqualImages, GroupEqualBytes
from transforms.steps.one_behind import OneBehindDoFn
from transforms.steps.outcome import count_one
from transforms.steps.try_map import FAILED
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of
from transforms.stylize.cells import StyleShare
from transforms.stylize.network import StyleEncoder
from transforms.stylize.style_bank import (
    BankFile,
    BankSettings,
    EncodedStyle,
    load_bank,
    shared_bank,
)

_STAGE: Final = "EncodeStyle"  # for the failure rows


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """What a bank says of the styles of some bytes."""

    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    ids: frozenset[str]


# Styles of equal bytes, and their vectors: there, on their way, or why there are none.
_Begun = tuple[
    Sequence[ImageRef],
    Sequence[StyleShare],
    "_Known | concurrent.futures.Future[_Known] | ImageError",
]


class _EncodeDoFn(OneBehindDoFn):
    """Turns the bytes of styles into their vectors, from the bank where it has them.

    The network is at one style while the step reads, decodes and shows the next.

    Args:
        output: Where the previews go.
        known: The bank of an earlier run, which is looked into first.
        settings: What the bank is bound to.
        encoder: Encodes what the bank lacks.
        previews: Whether there is a gallery to show the styles.
    """

    def __init__(
        self,
        output: OutputFolder,
        known: BankFile | None,
        settings: BankSettings,
        encoder: StyleEncoder,
        previews: bool,
    ) -> None:
        self._output = output
        self._known = known
        self._settings = settings
        self._encoder = encoder
        self._previews = previews
        self._done = Metrics.counter(_STAGE, "done")
        self._failed = Metrics.counter(_STAGE, "failed")

    def setup(self) -> None:
        self._executor = concurrent.futures.ThreadPoolExecutor(1)

    def teardown(self) -> None:
        self._executor.shutdown()

    def begin(self, styles: EqualImages) -> _Begun:
        progress_of(self._output)  # Its clock starts with the first image read.
        image, refs = styles
        shares = [StyleShare(ref.id, ref.key, image.sha256) for ref in refs]
        try:
            return refs, shares, self._vectors(image, shares)
        except ImageError as error:
            return refs, shares, error

    def end(self, begun: _Begun) -> Iterator[Any]:
        refs, shares, vectors = begun
        try:
            if isinstance(vectors, ImageError):
                raise vectors
            found = vectors if isinstance(vectors, _Known) else vectors.result()
        except ImageError as error:
            for ref in refs:
                self._failed.inc()
                yield TaggedOutput(FAILED, ref.failure(_STAGE, error))
            return
        self._done.inc()
        for share in shares:
            yield EncodedStyle(share, found.mean, found.std)

    def _vectors(
        self, image: ImageBytes, shares: Sequence[StyleShare]
    ) -> "_Known | concurrent.futures.Future[_Known]":
        """Return the vectors that styles share, or what will give them.

        Raises:
            ImageError: The image cannot be decoded.
        """
        known = _known(self._known, self._settings).get(image.sha256)
        new = [share for share in shares if not self._is_there(share, known)]
        if known is not None and not new:
            return known
        loaded = load_image(image, self._settings.style_size)
        for share in new if self._previews else ():
            write_preview(self._output, _preview_name(share), loaded.pixels)
        if known is None:
            return self._executor.submit(self._encode, loaded, len(new))
        progress_of(self._output).add(styles_encoded=len(new))
        return known

    def _encode(self, loaded: LoadedImage, count: int) -> "_Known":
        mean, std = self._encoder(loaded)
        progress_of(self._output).add(styles_encoded=count)
        return _Known(mean, std, frozenset())

    def _is_there(self, share: StyleShare, known: "_Known | None") -> bool:
        """Return whether the preview of a style is there and shows these bytes."""
        is_known = known is not None and share.id in known.ids
        return is_known and (
            not self._previews or is_shown(self._output, _preview_name(share))
        )


def _preview_name(share: StyleShare) -> str:
    return f"{STYLE}/{share.id}.jpg"


@functools.lru_cache(maxsize=1)
def _known(file: BankFile | None, settings: BankSettings) -> Mapping[str, _Known]:
    bank = load_bank(file.path, settings) if file else None
    known: dict[str, _Known] = {}
    if bank is None:
        return known
    for place, share in enumerate(bank.styles):
        before = known.get(share.sha256)
        ids = frozenset({share.id}) | (before.ids if before else frozenset())
        known[share.sha256] = _Known(bank.mean[place], bank.std[place], ids)
    return known


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


@dataclasses.dataclass
class ReadStyleBank(beam.PTransform[PBegin, EncodedStyles]):
    """Takes the styles from a bank alone, without their pictures.

    Input: the pipeline. Output: `EncodedStyles`. Idempotent. Previews are taken from
    the output that the bank lies in, where it has them.

    Attributes:
        output: Where the previews go.
        bank: The bank.
        previews: Whether there is a gallery to show the styles.
    """

    output: OutputFolder
    bank: BankFile
    previews: bool = True

    def expand(self, pbegin: PBegin) -> EncodedStyles:
        """Read the bank, once."""
        encoded = (
            pbegin
            | "Bank" >> beam.Create([self.bank])
            | "ReadBank" >> beam.FlatMap(_bank_styles, self.output, self.previews)
        )
        counts = encoded | "CountDecoded" >> beam.Map(count_one, Count.STYLES_DECODED)
        failures = pbegin | "NoFailures" >> beam.Create([]).with_output_types(Failure)
        return EncodedStyles(encoded, counts, failures)


def _bank_styles(
    bank_file: BankFile, output: OutputFolder, previews: bool
) -> Iterator[EncodedStyle]:
    bank = shared_bank(bank_file)
    origin = OutputFolder(bank_file.path.rpartition("/")[0] or ".")
    for place, share in enumerate(bank.styles):
        name = _preview_name(share)
        if previews and not is_shown(output, name) and is_shown(origin, name):
            output.write(name, origin.read(name))
        yield EncodedStyle(share, bank.mean[place], bank.std[place])


@dataclasses.dataclass
class EncodeStyles(beam.PTransform[PCollection[ImageRef], EncodedStyles]):
    """Turns each style into its two vectors.

    Input: `ImageRef` of styles, shuffled. Output: `EncodedStyles`. Styles of equal
    bytes are encoded once. Idempotent.

    Attributes:
        output: Where the previews go.
        settings: What the bank is bound to.
        known: The bank of an earlier run, which is looked into first.
        encoder: Encodes what the bank lacks.
        previews: Whether there is a gallery to show the styles.
    """

    output: OutputFolder
    settings: BankSettings
    known: BankFile | None
    encoder: StyleEncoder
    previews: bool = True

    def expand(self, styles: PCollection[ImageRef]) -> EncodedStyles:
        """Group styles by their bytes, and encode each group once."""
        encode = _EncodeDoFn(
            self.output, self.known, self.settings, self.encoder, self.previews
        )
        read = styles | "ReadStyles" >> GroupEqualBytes("ReadStyle")
        step = beam.ParDo(encode).with_outputs(FAILED, main="encoded")
        found = read.groups | _STAGE >> step
        encoded = found.encoded
        failures = (read.failures, found[FAILED]) | "Failures" >> beam.Flatten()
        counts = (
            encoded | "CountDecoded" >> beam.Map(count_one, Count.STYLES_DECODED),
            failures | "CountFailed" >> beam.Map(count_one, Count.STYLES_FAILED),
        ) | "Counts" >> beam.Flatten()
        return EncodedStyles(encoded, counts, failures)
