"""The label maps of a content at the size of its stylized pictures."""

import dataclasses
import functools
import hashlib

from transforms.annotations.label_maps import MapFile, Segment
from transforms.annotations.map_pixels import decode_ids, measured, resized_map
from transforms.annotations.sources import Annotation
from transforms.elements import ImageError, Reason


@dataclasses.dataclass(frozen=True, slots=True)
class CellMaps:
    """Label maps of a picture, PNG; None where it has none.

    Attributes:
        mask: Its map of classes.
        panoptic: Its map of segments.
        segments: The segments of that map; None where there is none.
    """

    mask: bytes | None = None
    panoptic: bytes | None = None
    segments: tuple[Segment, ...] | None = None


def placed_maps(said: Annotation, height: int, width: int) -> CellMaps:
    """Return the maps of a content as they are for a picture of some size.

    Args:
        said: What is known of the content.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Raises:
        ImageError: One cannot be read, or is another one than it was.
    """
    mask = panoptic = None
    segments = said.segments
    if said.mask is not None:
        mask = _placed(said.mask, height, width, False)
    if said.panoptic is not None:
        panoptic = _placed(said.panoptic, height, width, True)
        segments = _measured(panoptic, segments or ())
    return CellMaps(mask, panoptic, segments)


# A content meets its styles one after the other.
@functools.lru_cache(maxsize=4)
def _placed(file: MapFile, height: int, width: int, ids: bool) -> bytes:
    data = file.read()
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise ImageError(
            Reason.UNREADABLE, "its label map was changed since it was listed"
        )
    return resized_map(data, height, width, ids=ids)


@functools.lru_cache(maxsize=4)
def _measured(data: bytes, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    values, _ = decode_ids(data)
    return tuple(measured(segment, values) for segment in segments)
