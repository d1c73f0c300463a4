"""The pixels of label maps: PNG, decoded to values, moved with their picture, encoded.

A semantic map has a class in each pixel, 0 to 255, where 255 is void as everywhere. A
panoptic map has the id of a segment in each pixel, its three bytes from red to blue the
lowest first, and 0 is void (COCO). Values are never mixed.
"""

import dataclasses
import io
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from transforms.annotations.geometry import (
    Grid,
    Journey,
    follow_mask,
    journey,
    turn_mask,
)
from transforms.annotations.label_maps import Segment
from transforms.elements import ImageError, Reason
from transforms.images.crash_notes import survivable
from transforms.images.decoder import check_size
from transforms.images.formats import ORIENTATION, load_pixels, open_image
from transforms.images.limits import MAX_PIXELS

Classes = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.uint32]

VOID: Final = 255
"""The value of pixels of no class in a semantic map."""

# Modes of Pillow whose values are what stands in the file.
_PLAIN: Final = ("1", "L", "P")


@survivable
def decode_classes(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[Classes, int]:
    """Decode a semantic map.

    The values count and never a colour: those of a palette are its indices, a map of
    one bit is of 0 and 1, and one of 16 bits must have none above 255. A map in colours
    passes where its three channels are equal.

    Args:
        data: The whole file.
        max_pixels: Largest accepted width × height.

    Returns:
        uint8 [height, width] as it is stored, and its own EXIF orientation, 1 to 8.

    Raises:
        ImageError: Its reasons are those of `decode_image`, and bad_annotation.
    """
    image = _load(data, max_pixels)
    if image.mode in _PLAIN:
        return np.array(image, np.uint8), image.info[ORIENTATION]
    values = np.asarray(image)
    if image.mode == "RGB" and (values == values[..., :1]).all():
        return np.array(values[..., 0], np.uint8), image.info[ORIENTATION]
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise ImageError(
            Reason.BAD_ANNOTATION,
            f"a map of classes is a grey PNG or one with a palette, found {image.mode}",
        )
    if values.min() < 0 or values.max() > VOID:
        raise ImageError(
            Reason.BAD_ANNOTATION,
            f"its values go from {values.min()} to {values.max()}; a map of classes "
            f"has 0 to {VOID}",
        )
    return values.astype(np.uint8), image.info[ORIENTATION]


@survivable
def decode_ids(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[Ids, int]:
    """Decode a panoptic map.

    Args:
        data: The whole file.
        max_pixels: Largest accepted width × height.

    Returns:
        uint32 [height, width], ids of segments, and its own EXIF orientation, 1 to 8.

    Raises:
        ImageError: Its reasons are those of `decode_image`, and bad_annotation.
    """
    image = _load(data, max_pixels)
    if image.mode != "RGB":
        raise ImageError(
            Reason.BAD_ANNOTATION,
            f"a panoptic map is a PNG in RGB (id = R + 256 G + 65536 B), found "
            f"{image.mode}",
        )
    red, green, blue = np.moveaxis(np.asarray(image).astype(np.uint32), 2, 0)
    return red + 256 * green + 65536 * blue, image.info[ORIENTATION]


def encode_map(values: npt.NDArray[Any]) -> bytes:
    """Return a label map as PNG: grey from uint8 [height, width], RGB from uint32."""
    if values.dtype != np.uint8:
        values = np.stack([values >> shift & 255 for shift in (0, 8, 16)], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def placed_map(
    values: npt.NDArray[Any],
    own_turn: int,
    upright: tuple[int, int],
    orientation: int,
    kept: tuple[int, int],
    grid: Grid,
) -> npt.NDArray[Any]:
    """Return a map in the pixels of the picture as it is kept.

    Args:
        values: [height, width], as the file stores it.
        own_turn: EXIF orientation of the map itself: one that has any is put upright by
            it, and means the upright picture.
        upright: Width and height of the upright picture, before any resize.
        orientation: EXIF orientation of the picture.
        kept: Width and height of the picture as it is kept.
        grid: Which pixels are meant where the size does not tell.

    Raises:
        ImageError: bad_annotation: it is of another size, or nobody tells.
    """
    if own_turn != 1:
        values = turn_mask(values, own_turn)
        orientation = 1
    height, width = values.shape
    way = journey((width, height), upright, orientation, kept, grid)
    return follow_mask(values, way)


def resized_map(data: bytes, height: int, width: int, *, ids: bool) -> bytes:
    """Return an encoded map of ours at another size; the same bytes at its own.

    Args:
        data: A map that `encode_map` made.
        height: Height in pixels.
        width: Width in pixels.
        ids: Whether it is a panoptic one.

    Raises:
        ImageError: It is no such map.
    """
    values, _ = (decode_ids if ids else decode_classes)(data)
    if values.shape == (height, width):
        return data
    old = values.shape
    return encode_map(follow_mask(values, Journey(old[1], old[0], 1, width, height)))


def measured(segment: Segment, ids: npt.NDArray[Any]) -> Segment:
    """Return a segment with the box and the area that it has in a map."""
    rows, columns = np.nonzero(ids == segment.id)
    if not rows.size:
        note = "no pixel of it is left at this size"
        return dataclasses.replace(segment, box=(0.0, 0.0, 0.0, 0.0), area=0, note=note)
    left, top = int(columns.min()), int(rows.min())
    width, height = int(columns.max()) + 1 - left, int(rows.max()) + 1 - top
    box = (float(left), float(top), float(width), float(height))
    return dataclasses.replace(segment, box=box, area=int(rows.size))


def _load(data: bytes, max_pixels: int) -> Image.Image:
    if not data:
        raise ImageError(Reason.EMPTY_FILE, "the file has no bytes")
    try:
        image = open_image(data, max_pixels)
        if image.format != "PNG":
            raise ImageError(
                Reason.BAD_ANNOTATION,
                f"a label map is a PNG, found {image.format}, which may mix values",
            )
        check_size(*image.size, max_pixels, 1)
        load_pixels(image, data)
    except MemoryError as error:
        raise ImageError(Reason.OUT_OF_MEMORY, "no memory to decode it") from error
    return image
