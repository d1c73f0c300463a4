"""Label maps of a picture, put where the pixels of the kept picture are."""

import dataclasses
import hashlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from transforms.annotations.coco_objects import NO_ID
from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.label_maps import MapFile, Segment
from transforms.annotations.map_pixels import (
    decode_classes,
    decode_ids,
    encode_map,
    measured,
    placed_map,
)
from transforms.annotations.sources import Annotation
from transforms.elements import ImageError, Reason
from transforms.images.decoder import DecodedImage

_CALLED: Final = {"mask": "map of classes", "panoptic": "panoptic map"}

_Values = npt.NDArray[Any]


def placed_maps(
    annotation: Annotation, image: DecodedImage, settings: DatasetSettings
) -> Annotation:
    """Return what is known of a picture, its maps encoded in the kept one's pixels.

    A map that cannot be used is a wrong annotation, and stops no picture.

    Args:
        annotation: What is known, its maps in the pixels that they mean.
        image: The picture as it is kept.
        settings: Settings of the data set.

    Raises:
        ImageError: bad_annotation: it cannot be told which pixels a map means.
    """
    for name, decode in (("mask", decode_classes), ("panoptic", decode_ids)):
        file: MapFile | None = getattr(annotation, name)
        if file is None:
            continue
        try:
            values, own_turn = decode(file.read(), settings.max_pixels)
            _check_size(values, own_turn, image)
            wrong: tuple[str, ...] = ()
            if name == "panoptic":
                annotation, wrong = _checked_segments(annotation, values)
        except ImageError as error:
            annotation = _without(annotation, name, error)
            continue
        height, width, _ = image.pixels.shape
        values = placed_map(
            values,
            own_turn,
            (image.original_width, image.original_height),
            image.orientation,
            (width, height),
            settings.annotated_as,
        )
        segments = annotation.segments
        if name == "panoptic" and segments is not None:
            values = np.where(np.isin(values, [s.id for s in segments]), values, 0)
            segments = tuple(measured(segment, values) for segment in segments)
        data = encode_map(values)
        placed: Any = MapFile(None, data, hashlib.sha256(data).hexdigest())
        annotation = dataclasses.replace(
            annotation,
            **{name: placed},
            segments=segments,
            wrong=(*annotation.wrong, *wrong),
        )
    return annotation


def _check_size(values: _Values, own_turn: int, image: DecodedImage) -> None:
    """Refuse a map of another size than its picture."""
    upright = (image.original_height, image.original_width)
    shapes = {upright, upright[::-1] if image.orientation >= 5 else upright}
    shape = values.shape
    if own_turn != 1:
        shape = shape[::-1] if own_turn >= 5 else shape
        shapes = {upright}
    if shape not in shapes:
        raise ImageError(
            Reason.BAD_ANNOTATION,
            f"it is of {shape[1]}x{shape[0]}, the picture of {upright[1]}x{upright[0]}",
        )


def _checked_segments(
    annotation: Annotation, ids: _Values
) -> tuple[Annotation, tuple[str, ...]]:
    """Return an annotation with the segments that can be used, and what is wrong."""
    there = set(np.unique(ids).tolist()) - {0}
    good: list[Segment] = []
    wrong = []
    for segment in annotation.segments or ():
        if segment.category_id == NO_ID:
            wrong.append(f"segment {segment.id}: {segment.note}")
        elif segment.id not in there and not segment.note:
            wrong.append(f"segment {segment.id}: no pixel of its map has this id")
        else:  # also one that an earlier resize left without a pixel
            good.append(segment)
    unlisted = there - {segment.id for segment in annotation.segments or ()}
    if unlisted:
        raise ImageError(
            Reason.BAD_ANNOTATION,
            f"it has the segment {min(unlisted)}, which segments_info lacks",
        )
    return dataclasses.replace(annotation, segments=tuple(good)), tuple(wrong)


def _without(annotation: Annotation, name: str, error: ImageError) -> Annotation:
    """Return an annotation without a map, and without its segments."""
    wrong = [f"its {_CALLED[name]} cannot be used: {error.message}"]
    segments = annotation.segments
    if name == "panoptic":
        lost = (f"segment {s.id}: its map cannot be used" for s in segments or ())
        wrong += lost
        segments = None
    changes: Any = {name: None}
    return dataclasses.replace(
        annotation, **changes, segments=segments, wrong=(*annotation.wrong, *wrong)
    )
