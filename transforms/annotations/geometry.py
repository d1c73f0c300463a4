"""How boxes, outlines and masks follow a picture that is turned, cropped or resized.

Pure functions. A picture is first put upright by its EXIF orientation, then resized, as
`transforms.images.decoder` does it. Points follow exactly. A mask is turned exactly;
its new pixel (i, j) is the old one at (⌊(i + ½) h / h'⌋, ⌊(j + ½) w / w'⌋), in whole
numbers: the nearest one, and never a class that was not there.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from transforms.annotations.objects import Box, ImageObject, Polygon
from transforms.elements import ImageError, Reason

Grid = Literal["unknown", "stored", "upright"]
"""Which pixels an annotation means."""

Mask = npt.NDArray[Any]

# Orientations of EXIF that exchange width and height.
_QUARTER: Final = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Journey:
    """What became of the pixels that annotations mean.

    Attributes:
        width: Width of the picture that they mean, in pixels.
        height: Height of the picture that they mean, in pixels.
        orientation: EXIF orientation, 1 to 8, by which it was put upright.
        new_width: Width of the picture as it is kept.
        new_height: Height of the picture as it is kept.
    """

    width: int
    height: int
    orientation: int
    new_width: int
    new_height: int

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height once upright, before the resize."""
        quarter = self.orientation >= _QUARTER
        return (self.height, self.width) if quarter else (self.width, self.height)

    @property
    def is_none(self) -> bool:
        """Whether every pixel stayed where it was."""
        new = (self.new_width, self.new_height)
        return self.orientation == 1 and (self.width, self.height) == new

    @property
    def scale(self) -> tuple[float, float]:
        """How much wider and higher the picture is kept than it stood upright."""
        width, height = self.upright
        return self.new_width / width, self.new_height / height


def journey(
    annotated: tuple[int, int],
    upright: tuple[int, int],
    orientation: int,
    kept: tuple[int, int],
    grid: Grid = "unknown",
) -> Journey:
    """Return what became of the pixels that annotations mean.

    The annotation's own width and height say whether it means the pixels as stored or
    upright. Where they fit both, in a square, a mirrored or an upside-down picture,
    `grid` says it.

    Args:
        annotated: Width and height that the annotation gives; 0, 0 where it gives none.
        upright: Width and height of the upright picture, before any resize.
        orientation: EXIF orientation of the file, 1 to 8.
        kept: Width and height of the picture as it is kept.
        grid: Which pixels are meant where the sizes do not tell.

    Raises:
        ImageError: bad_annotation: the sizes fit neither, or nobody tells.
    """
    stored = upright[::-1] if orientation >= _QUARTER else upright
    if annotated != (0, 0) and annotated not in (stored, upright):
        raise ImageError(
            Reason.BAD_ANNOTATION,
            f"its annotations are of a picture of {annotated[0]}x{annotated[1]}, the "
            f"file has {stored[0]}x{stored[1]}",
        )
    if orientation == 1:
        return Journey(*stored, 1, *kept)
    if annotated != (0, 0) and stored != upright:
        meant = "stored" if annotated == stored else "upright"
    elif grid != "unknown":
        meant = grid
    else:
        raise ImageError(
            Reason.BAD_ANNOTATION,
            f"EXIF turns it (orientation {orientation}), and its size does not tell "
            "whether its annotations mean the pixels before or after that. "
            "--annotated-as stored or upright says it",
        )
    if meant == "stored":
        return Journey(*stored, orientation, *kept)
    return Journey(*upright, 1, *kept)


def follow(item: ImageObject, way: Journey) -> ImageObject:
    """Return an object of a picture in the picture that it became."""
    if way.is_none:
        return item
    width, height = way.scale
    return dataclasses.replace(
        item,
        box=_follow_box(item.box, way),
        area=item.area * width * height,
        polygons=tuple(_follow_points(polygon, way) for polygon in item.polygons),
        mask=_follow_code(item.mask, way) if item.mask else "",
        keypoints=_follow_keypoints(item.keypoints, way),
        parts=tuple(
            dataclasses.replace(part, box=_follow_box(part.box, way))
            for part in item.parts
        ),
    )


def _follow_box(box: Box, way: Journey) -> Box:
    width, height = way.scale
    box = turn_box(box, way)
    return box[0] * width, box[1] * height, box[2] * width, box[3] * height


def turn_box(box: Box, way: Journey) -> Box:
    """Return a box in the upright picture, before the resize."""
    left, top, width, height = box
    corners = (left, top, left + width, top + height)
    x1, y1, x2, y2 = _turn(corners, way)
    if way.orientation >= _QUARTER:
        width, height = height, width
    return min(x1, x2), min(y1, y2), width, height


def follow_mask(mask: Mask, way: Journey) -> Mask:
    """Return a mask of a picture as a mask of the picture that it became.

    Args:
        mask: [height, width], any type; classes or ids, which are never mixed.
        way: What became of the picture.

    Returns:
        [new height, new width], of the same type.
    """
    turned = turn_mask(mask, way.orientation)
    return resize_mask(turned, way.new_height, way.new_width)


def turn_mask(mask: Mask, orientation: int) -> Mask:
    """Return a mask as its EXIF orientation, 1 to 8, says that it should be seen.

    >>> turn_mask(np.array([[1, 2, 3], [4, 5, 6]]), 6)
    array([[4, 1],
           [5, 2],
           [6, 3]])
    """
    if orientation in (2, 3):
        mask = mask[:, ::-1]
    if orientation in (3, 4):
        mask = mask[::-1]
    if orientation >= _QUARTER:
        mask = mask.T
    if orientation in (6, 7):
        mask = mask[:, ::-1]
    if orientation in (7, 8):
        mask = mask[::-1]
    return mask


def resize_mask(mask: Mask, height: int, width: int) -> Mask:
    """Return a mask of another size, each pixel the nearest one of the old.

    >>> resize_mask(np.array([[1, 2, 3, 4]]), 1, 2)
    array([[2, 4]])
    """
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for old, new in zip(mask.shape, (height, width), strict=True)
    )
    return mask[rows[:, None], columns]


def crop(
    item: ImageObject, size: tuple[int, int], window: tuple[int, int, int, int]
) -> ImageObject | None:
    """Return an object in a part of its picture; None where it is wholly outside.

    The box is cut to the window and the area shrinks with it. Polygons keep their
    corners, also those outside, as readers of COCO clip them on drawing.

    Args:
        item: The object.
        size: Width and height of the picture.
        window: Left, top, width and height of the part.
    """
    left, top, width, height = window
    x1, y1 = max(item.box[0], left), max(item.box[1], top)
    x2 = min(item.box[0] + item.box[2], left + width)
    y2 = min(item.box[1] + item.box[3], top + height)
    if x2 <= x1 or y2 <= y1:
        return None
    share = (x2 - x1) * (y2 - y1) / (item.box[2] * item.box[3])
    mask = ""
    if item.mask:
        whole = decode_mask(item.mask, size[1], size[0])
        mask = encode_mask(whole[top : top + height, left : left + width])
    shifts = (left, top)
    return dataclasses.replace(
        item,
        box=(x1 - left, y1 - top, x2 - x1, y2 - y1),
        area=item.area * share,
        polygons=tuple(
            tuple(value - shifts[i % 2] for i, value in enumerate(polygon))
            for polygon in item.polygons
        ),
        mask=mask,
        keypoints=tuple(
            value
            if i % 3 == 2 or not item.keypoints[i - i % 3 + 2]
            else value - shifts[i % 3]
            for i, value in enumerate(item.keypoints)
        ),
        parts=tuple(
            dataclasses.replace(
                part, box=(part.box[0] - left, part.box[1] - top, *part.box[2:])
            )
            for part in item.parts
        ),
    )


def decode_mask(code: str, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return the mask of a run-length code of COCO: uint8 [height, width], 0 and 1.

    Raises:
        ImportError: pycocotools is not installed.
    """
    mask = _coco_masks()
    found: npt.NDArray[np.uint8] = mask.decode(
        {"size": [height, width], "counts": code.encode("ascii")}
    )
    return found


def check_code(counts: Any, height: int, width: int) -> str:
    """Return a run-length code of COCO, compressed or a list of lengths, compressed.

    Raises:
        ImportError: pycocotools is not installed.
        ValueError: It is no code, or of a mask of another size.
    """
    if isinstance(counts, list):
        lengths = [n for n in counts if type(n) is int and n >= 0]
        if len(lengths) != len(counts) or sum(lengths) != height * width:
            raise ValueError(f"its lengths do not add up to {height} x {width}")
        code = {"size": [height, width], "counts": counts}
        return str(_coco_masks().frPyObjects(code, height, width)["counts"], "ascii")
    if not isinstance(counts, str) or not counts.isascii():
        raise ValueError("its counts are neither a list nor a text")
    if _code_length(counts) != height * width:
        raise ValueError(f"its code is not of {height} x {width} pixels")
    return counts


def _code_length(code: str) -> int:
    """Return how many pixels a compressed code is of; -1 where it is none.

    Groups of five bits, lowest first, the sixth says that more follow; from the third
    length on the difference to the last but one (`rleFrString` of cocoapi).
    """
    lengths: list[int] = []
    value = shift = 0
    for character in code:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return -1
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        if lengths[-1] < 0:
            return -1
        value = shift = 0
    return -1 if shift else sum(lengths)


def encode_mask(mask: Mask) -> str:
    """Return COCO's compressed run-length code of a mask.

    Args:
        mask: [height, width]; what is not 0 belongs to the object.

    Raises:
        ImportError: pycocotools is not installed.
    """
    column_major = np.asfortranarray(mask != 0, np.uint8)
    return str(_coco_masks().encode(column_major)["counts"], "ascii")


def _coco_masks() -> Any:
    from pycocotools import mask

    return mask


def _turn(points: Sequence[float], way: Journey) -> tuple[float, ...]:
    """Return points x, y, x, y, … in the upright picture, before the resize."""
    if way.orientation == 1:
        return tuple(points)
    width, height = way.width, way.height
    across, down = list(points[::2]), list(points[1::2])
    if way.orientation in (2, 3, 7, 8):
        across = [width - x for x in across]
    if way.orientation in (3, 4, 6, 7):
        down = [height - y for y in down]
    if way.orientation >= _QUARTER:
        across, down = down, across
    turned = [0.0] * len(points)
    turned[::2], turned[1::2] = across, down
    return tuple(turned)


def _follow_points(points: Polygon, way: Journey) -> Polygon:
    # A set has millions of points: whole lists at a time.
    width, height = way.scale
    found = list(_turn(points, way))
    found[::2] = [x * width for x in found[::2]]
    found[1::2] = [y * height for y in found[1::2]]
    return tuple(found)


def _follow_keypoints(keypoints: tuple[float, ...], way: Journey) -> tuple[float, ...]:
    """Return keypoints in the new picture; those that nobody labelled stay 0, 0, 0."""
    found: list[float] = []
    for i in range(0, len(keypoints), 3):
        x, y, visible = keypoints[i : i + 3]
        found += (*(_follow_points((x, y), way) if visible else (x, y)), visible)
    return tuple(found)


def _follow_code(code: str, way: Journey) -> str:
    return encode_mask(follow_mask(decode_mask(code, way.height, way.width), way))
