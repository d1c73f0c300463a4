"""The regions of a photograph: its parts in layers, and the pixels of each style."""

import dataclasses
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_masks

from transforms.annotations.geometry import Journey, decode_mask, follow, follow_mask
from transforms.annotations.label_maps import MapFile
from transforms.annotations.map_pixels import decode_classes, decode_ids
from transforms.annotations.objects import ImageObject

Mask = npt.NDArray[np.uint8]

PHOTOGRAPH: Final = -1
"""Place of the style of what stays as the photograph is."""


@dataclasses.dataclass(frozen=True, slots=True)
class MapValue:
    """The pixels of a label map that have one value.

    Attributes:
        file: The map, in the pixels of the photograph before its resize.
        value: A class, or the id of a segment.
        is_segment: Whether the map is a panoptic one.
    """

    file: MapFile
    value: int
    is_segment: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """A part of a photograph, and the style that it takes.

    Attributes:
        part: The part, in the pixels of the photograph before its resize.
        place: Which of the styles of the picture.
    """

    part: ImageObject | MapValue
    place: int


@dataclasses.dataclass(frozen=True, slots=True)
class Layers:
    """The parts of a photograph from front to back.

    Attributes:
        parts: The parts that take a style.
        rest: Which style takes what they leave; -1 where the photograph stays.
    """

    parts: tuple[Layer, ...]
    rest: int = PHOTOGRAPH

    def places(
        self, original: tuple[int, int], kept: tuple[int, int]
    ) -> npt.NDArray[np.int32]:
        """Return which style each pixel takes: int32 [height, width].

        The pixels of a part are those of what the manifest says of it: parts first
        follow the photograph to its size, then COCO's tools draw objects.

        Args:
            original: Width and height of the photograph before its resize.
            kept: Width and height of the photograph as it is stylized.

        Raises:
            ImageError: A map cannot be read.
        """
        width, height = kept
        way = Journey(*original, 1, width, height)
        maps: dict[MapFile, npt.NDArray[Any]] = {}
        places = np.full((height, width), self.rest, np.int32)
        for layer in reversed(self.parts):
            part = layer.part
            if isinstance(part, ImageObject):
                pixels = object_mask(follow(part, way), height, width) != 0
            else:
                if part.file not in maps:
                    maps[part.file] = _placed(part, way)
                pixels = maps[part.file] == part.value
            places[pixels] = layer.place
        return places


def _placed(part: MapValue, way: Journey) -> npt.NDArray[Any]:
    decode = decode_ids if part.is_segment else decode_classes
    values: npt.NDArray[Any] = decode(part.file.read())[0]
    return follow_mask(values, way)


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
