"""The regions of a photograph: its objects in layers, and the pixels of each style."""

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_masks

from transforms.annotations.geometry import Journey, decode_mask, follow
from transforms.annotations.objects import ImageObject

Mask = npt.NDArray[np.uint8]

PHOTOGRAPH: Final = -1
"""Place of the style of what stays as the photograph is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """One object, and the style that it takes.

    Attributes:
        item: The object, in the pixels of the photograph before its resize.
        place: Which of the styles of the picture.
    """

    item: ImageObject
    place: int


@dataclasses.dataclass(frozen=True, slots=True)
class Layers:
    """The objects of a photograph from front to back.

    Attributes:
        objects: The objects that take a style.
        rest: Which style takes what they leave; -1 where the photograph stays.
    """

    objects: tuple[Layer, ...]
    rest: int = PHOTOGRAPH

    def places(
        self, original: tuple[int, int], kept: tuple[int, int]
    ) -> npt.NDArray[np.int32]:
        """Return which style each pixel takes: int32 [height, width].

        The pixels of an object are those that COCO's tools make of what the manifest
        says of it: objects first follow the photograph to its size.

        Args:
            original: Width and height of the photograph before its resize.
            kept: Width and height of the photograph as it is stylized.
        """
        width, height = kept
        way = Journey(*original, 1, width, height)
        places = np.full((height, width), self.rest, np.int32)
        for layer in reversed(self.objects):
            pixels = object_mask(follow(layer.item, way), height, width)
            places[pixels != 0] = layer.place
        return places


def object_mask(item: ImageObject, height: int, width: int) -> Mask:
    """Return the pixels of an object: its mask, its outline, or else its box.

    Args:
        item: An object of a picture.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        uint8 [height, width], 1 where the object is. A pixel is in a box where its
        middle is.
    """
    if item.mask:
        return decode_mask(item.mask, height, width)
    if item.polygons:
        codes = coco_masks.frPyObjects(
            [list(polygon) for polygon in item.polygons], height, width
        )
        found: Mask = coco_masks.decode(coco_masks.merge(codes))
        return found
    left, top, across, down = item.box
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    inside = np.outer(
        (top <= rows) & (rows < top + down),
        (left <= columns) & (columns < left + across),
    )
    return inside.astype(np.uint8)
