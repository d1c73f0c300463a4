"""Masks: which part of a content a style is for."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from transforms.elements import ImageError, Reason
from transforms.images.decoder import decode_image
from transforms.storage.files import read_file
from transforms.stylize.pairing import Recipe

Mask = npt.NDArray[np.float32]


def load_mask(path: str, height: int, width: int) -> Mask:
    """Return a mask as float32 [height, width] in [0, 1], white being 1.

    A mask of another size is resized without mixing its values (nearest).

    Raises:
        ImageError: It cannot be read or decoded.
    """
    mask = _grey(path)
    if mask.size != (width, height):
        mask = mask.resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(mask, np.float32) / np.float32(255)


@functools.lru_cache(maxsize=4)
def _grey(path: str) -> Image.Image:
    try:
        data = read_file(path)
    except OSError as error:
        raise ImageError(Reason.NOT_FOUND, f"mask: {error.strerror}") from error
    pixels = decode_image(data, min_side=1).pixels
    return Image.fromarray(pixels).convert("L")


def regions_of(
    masks: Sequence[Mask | None], weights: Sequence[float], names: Sequence[str]
) -> tuple[npt.NDArray[np.float32], list[int], str | None]:
    """Return the regions of a content, those that are not empty.

    A style without a mask is for what the masks leave. What the mask of a single style
    leaves stays as the content is; what several masks leave is for all their styles.

    Args:
        masks: float32 [height, width] of each style, or None.
        weights: Weight of each style, which scales its mask.
        names: Keys of the styles, for the note.

    Returns:
        Shares float32 [regions, height, width]; for each region the place of its style,
        -1 for the content itself; and a note where a style's region is empty.
    """
    given = [mask for mask in masks if mask is not None]
    rest = np.clip(1 - np.sum(given, axis=0), 0, 1).astype(np.float32)
    shares: list[Any] = []
    places: list[int] = []
    empty = []
    for place, (mask, weight) in enumerate(zip(masks, weights, strict=True)):
        share = rest if mask is None else mask
        if share.any():
            shares.append(share * np.float32(weight / max(weights)))
            places.append(place)
        else:
            empty.append(names[place])
    if len(masks) == 1 and rest.any():
        shares.append(rest)
        places.append(-1)
    if not shares:
        shares, places = [np.ones_like(rest)] * len(masks), list(range(len(masks)))
    note = f"empty region: {', '.join(empty)}" if empty else None
    return np.stack(shares), places, note


def load_regions(
    recipe: Recipe, height: int, width: int
) -> tuple[npt.NDArray[np.float32], list[int], str | None]:
    """Return the regions of a masked picture, as `regions_of`.

    Raises:
        ImageError: A mask cannot be read or decoded.
    """
    return regions_of(
        [load_mask(path, height, width) if path else None for path in recipe.masks],
        [share.weight for share in recipe.styles],
        [share.key for share in recipe.styles],
    )
