"""Masks: which part of a picture a style is for."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from transforms.elements import ImageError, Reason
from transforms.images.load import LoadedImage
from transforms.images.mask_values import Mask, decode_mask
from transforms.inputs.roots import printable
from transforms.run_cache import kept_for_a_run
from transforms.storage.files import MAX_BYTES, read_file

WHITE: Final = 255


@dataclasses.dataclass(frozen=True, slots=True)
class Regions:
    """The regions of a content, those that are not empty.

    Attributes:
        shares: Share of each region in a pixel, uint8 [regions, height, width], 255 for
            all.
        weights: What scales the shares of each region, float32 [regions].
        places: Place of the style of each region, -1 for the content itself.
        note: What a reader should know: whose region is empty, which way was up.
    """

    shares: npt.NDArray[np.uint8]
    weights: npt.NDArray[np.float32]
    places: Sequence[int]
    note: str | None = None


def load_mask(
    path: str, sha256: str | None, content: LoadedImage
) -> tuple[Mask, str | None]:
    """Return a mask in the size of a content, and what a reader should know of it.

    A mask has the shape of the content as it is seen, upright, in any size; it is
    resized without mixing its values (nearest).

    Args:
        path: Path of its file.
        sha256: The sha256 of its bytes when the job was planned; None for any.
        content: What it is for.

    Returns:
        uint8 [height, width], 255 where the style applies, and a note: whether nothing
        tells that the mask was not drawn on a photograph that its EXIF turns.

    Raises:
        ImageError: It cannot be read or decoded; or bad_pair: it is no mask, not one
            of the shape of the content, or not the one that was planned. The message
            holds nothing of its contents.
    """
    name = printable(path.rsplit("/", 1)[-1])
    try:
        mask = _read_mask(path, sha256)
        note = _check_shape(mask, content)
    except FileNotFoundError as error:
        raise ImageError(Reason.NOT_FOUND, f"mask {name!r}: no such file") from error
    except OSError as error:
        raise ImageError(
            Reason.UNREADABLE, f"mask {name!r}: {error.strerror or 'cannot be read'}"
        ) from error
    except ImageError as error:
        # A decoder's own words may quote the file, which may be a secret.
        ours = error.message if error.__cause__ is None else "no picture, or damaged"
        raise ImageError(error.reason, f"mask {name!r}: {ours}") from error
    height, width, _ = content.pixels.shape
    if mask.shape != (height, width):
        image = Image.fromarray(mask)
        mask = np.asarray(image.resize((width, height), Image.Resampling.NEAREST))
    return mask, note and f"mask {name!r}: {note}"


@kept_for_a_run(maxsize=2)  # those of a pair of styles; 89 MB at most
def _read_mask(path: str, sha256: str | None) -> Mask:
    data = read_file(path, MAX_BYTES)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ImageError(
            Reason.BAD_PAIR, "its file has changed since the job began. Run it again"
        )
    return decode_mask(data)


def _check_shape(mask: Mask, content: LoadedImage) -> str | None:
    """Compare the shape of a mask with that of its content; return a note.

    Raises:
        ImageError: bad_pair: it has another shape, or that before the EXIF turned it.
    """
    if mask.min() == mask.max():
        return None  # the same everywhere, whatever its shape
    size = mask.shape[1], mask.shape[0]
    seen = content.original_width, content.original_height
    stored = seen[::-1] if content.orientation >= 5 else seen
    found, wanted = ("{}x{}".format(*pair) for pair in (size, seen))
    if size != seen and (size == stored or not _same_shape(size, seen)):
        if _same_shape(size, stored):
            raise ImageError(
                Reason.BAD_PAIR,
                f"{found} pixels, the photograph is {wanted} once its EXIF orientation "
                f"({content.orientation}) turns it. Turn the mask as well",
            )
        raise ImageError(
            Reason.BAD_PAIR,
            f"{found} pixels have another aspect than the photograph's {wanted}. "
            "Draw the mask on the whole photograph",
        )
    if content.orientation > 1 and _same_shape(size, stored):
        return (
            "taken as drawn on the photograph as it is seen, after its EXIF "
            f"orientation ({content.orientation})"
        )
    return None


def _same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether sizes differ by a scale, and by the rounding of both sides."""
    return abs(size[0] * other[1] - size[1] * other[0]) < sum(other)


def regions_of(
    masks: Sequence[Mask | None],
    weights: Sequence[float],
    names: Sequence[str],
    notes: Sequence[str] = (),
) -> Regions:
    """Return the regions of a content, those that are not empty.

    A style without a mask is for what the masks leave. What the mask of a single style
    leaves stays as the content is; what several masks leave is for all their styles.

    Args:
        masks: uint8 [height, width] of each style, or None.
        weights: Weight of each style, which scales its mask.
        names: Keys of the styles, for the note.
        notes: What a reader should know of the masks.
    """
    given = [mask for mask in masks if mask is not None]
    rest = np.full_like(given[0], WHITE)
    for mask in given:
        rest -= np.minimum(rest, mask)
    shares: list[Mask] = []
    places: list[int] = []
    empty = []
    for place, own in enumerate(masks):
        share = rest if own is None else own
        if share.any():
            shares.append(share)
            places.append(place)
        else:
            empty.append(names[place])
    scales = [weights[place] / max(weights) for place in places]
    if len(masks) == 1 and rest.any():
        shares.append(rest)
        places.append(-1)
        scales.append(1.0)
    if not shares:
        shares, places = [rest] * len(masks), list(range(len(masks)))
        scales = [1.0] * len(masks)
    told = [f"empty region: {', '.join(empty)}"] if empty else []
    note = "; ".join([*told, *notes]) or None
    return Regions(np.stack(shares), np.array(scales, np.float32), places, note)
