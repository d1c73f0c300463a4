"""Blocks: one content and some of its pictures, what the network takes at a time."""

import concurrent.futures
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.networks.tiling import MAX_TILE_PIXELS
from transforms.elements import ImageError, ImageRef
from transforms.images.load import LoadedImage
from transforms.stylize.plan import Painting, PlannedContent
from transforms.stylize.style_bank import BankFile, StyleBank, shared_bank

Vectors = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

# Pixels in the network at a time: a batch of four at 256 px. More is no faster.
BLOCK_PIXELS = 4 * 256 * 256

# Pixels of finished pictures that a block holds: a content in tiles is encoded once for
# all pictures of its block.
CANVAS_PIXELS = 64 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class StylizeBlock:
    """One content and some of its pictures: what the network sees at a time.

    Attributes:
        content: The decoded content.
        refs: All contents with its bytes.
        paintings: The pictures to make.
        style_mean: float32 [paintings, channels], blends blended; of a masked picture,
            which is alone in its block, [styles, channels]; an original has none.
        style_std: float32, in the shape of `style_mean`.
        styles: Where the styles are, by id: only where their pixels are needed.
    """

    content: LoadedImage
    paintings: Sequence[Painting]
    style_mean: Vectors
    style_std: Vectors
    styles: Mapping[str, ImageRef] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of pictures, which RunInference counts."""
        return len(self.paintings)

    @property
    def num_bytes(self) -> int:
        """Bytes of the content's pixels."""
        return self.content.pixels.nbytes


@dataclasses.dataclass(frozen=True, slots=True)
class Painted:
    """A picture.

    Attributes:
        pixels: uint8 RGB [height, width, 3] of the content's size.
        note: What a reader should know of it.
        metrics: Quality of the picture, where that was wanted and can be measured.
    """

    pixels: Pixels
    note: str | None = None
    metrics: Mapping[str, float | str] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class StylizedBlock:
    """What becomes of a block, while the network may still be at it.

    Attributes:
        block: What was asked for; its pixels are in memory anyway.
        future: For each painting the picture, or why there is none.
    """

    block: StylizeBlock
    future: "concurrent.futures.Future[list[Painted | ImageError]]"

    @property
    def pictures(self) -> list[Painted | ImageError]:
        """The pictures, waited for."""
        return self.future.result()

    def __reduce__(self) -> Any:
        """Wait for the pictures: Beam pickles a few elements to learn their size."""
        return _finished_block, (self.block, self.pictures)


def _finished_block(
    block: StylizeBlock, pictures: list[Painted | ImageError]
) -> StylizedBlock:
    future: concurrent.futures.Future[list[Painted | ImageError]]
    future = concurrent.futures.Future()
    future.set_result(pictures)
    return StylizedBlock(block, future)


@dataclasses.dataclass(frozen=True, slots=True)
class DecodedContent:
    """A decoded content and the pictures to make of it.

    Attributes:
        planned: The content and its paintings.
        image: Pixels of the content; None where all its cells are there already.
    """

    planned: PlannedContent
    image: LoadedImage | None


def split_blocks(
    content: DecodedContent,
    bank_file: BankFile,
    style_refs: Mapping[str, ImageRef],
) -> Iterator[StylizeBlock]:
    """Yield the pictures of one content in blocks that fit into the pixel budget."""
    if content.image is None:
        return
    bank = shared_bank(bank_file)
    height, width, _ = content.image.pixels.shape
    large = height * width > MAX_TILE_PIXELS
    size = max(1, (CANVAS_PIXELS if large else BLOCK_PIXELS) // (height * width))
    paintings = content.planned.paintings
    together = [p for p in paintings if p.recipe.is_blended]
    for start in range(0, len(together), size):
        yield _block(content, together[start : start + size], bank, style_refs)
    for painting in paintings:
        if not painting.recipe.is_blended:
            yield _block(content, [painting], bank, style_refs)


def _block(
    content: DecodedContent,
    paintings: Sequence[Painting],
    bank: StyleBank,
    style_refs: Mapping[str, ImageRef],
) -> StylizeBlock:
    if content.image is None:
        raise ValueError("A content without pixels has no blocks.")
    vectors = [_vectors(painting, bank) for painting in paintings]
    mean, std = (np.concatenate(part) for part in zip(*vectors, strict=True))
    ids = {share.id for p in paintings for share in p.recipe.styles}
    styles = {name: style_refs[name] for name in sorted(ids) if name in style_refs}
    return StylizeBlock(content.image, paintings, mean, std, styles)


def _vectors(painting: Painting, bank: StyleBank) -> tuple[Any, Any]:
    """Return the statistics of a painting: blended, or style by style for masks."""
    places = list(painting.recipe.places)
    mean, std = bank.mean[places], bank.std[places]
    if len(places) == 1 or not painting.recipe.is_blended:
        return mean, std
    weights = [share.weight for share in painting.recipe.styles]
    return blend(weights, mean, std)


def blend(
    weights: Sequence[float], mean: Vectors, std: Vectors
) -> tuple[Vectors, Vectors]:
    """Return the statistics of a blend: sum of w AdaIN(x, y) is AdaIN of the sums.

    Huang & Belongie 2017, eq. 15: AdaIN is linear in the style's mean and standard
    deviation, so the vectors are mixed and not the feature maps.

    Args:
        weights: One a style, not negative, not all zero; scaled to add up to 1.
        mean: float32 [styles, channels].
        std: float32 [styles, channels].

    Returns:
        float32 [1, channels] each.

    >>> blend([3.0, 1.0], np.eye(2, dtype="f4"), np.ones((2, 2), "f4"))[0]
    array([[0.75, 0.25]], dtype=float32)
    """
    shares = np.array(weights, np.float64) / np.sum(weights)
    mixed = [
        (shares @ part.astype(np.float64)).astype(np.float32)[None]
        for part in (mean, std)
    ]
    return mixed[0], mixed[1]
