"""Cuts the pictures of a content into blocks that the network takes at a time."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from model.networks.tiling import MAX_TILE_PIXELS
from transforms.elements import ImageRef
from transforms.images.load import LoadedImage
from transforms.stylize.blend import blend
from transforms.stylize.handler import StylizeBlock
from transforms.stylize.plan import Painting, PlannedContent
from transforms.stylize.style_bank import BankFile, StyleBank, shared_bank

# Pixels in the network at a time: a batch of four at 256 px. More is no faster.
BLOCK_PIXELS = 4 * 256 * 256

# Pixels of finished pictures that a block holds: a content in tiles is encoded once for
# all pictures of its block.
CANVAS_PIXELS = 64 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class DecodedContent:
    """A decoded content and the pictures to make of it.

    Attributes:
        planned: The content and its paintings.
        image: Its pixels; None where all its cells are there already.
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
    together = [p for p in paintings if not p.recipe.masks]
    for start in range(0, len(together), size):
        yield _block(content, together[start : start + size], bank, style_refs)
    for painting in paintings:
        if painting.recipe.masks:
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
    if painting.recipe.masks or len(places) == 1:
        return mean, std
    weights = [share.weight for share in painting.recipe.styles]
    return blend(weights, mean, std)
