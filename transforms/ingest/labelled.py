"""What a record and a row of a data set of version 2 have beside those of version 1."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from transforms.annotations.coco_objects import Category
from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.geometry import follow, journey
from transforms.annotations.label_maps import MapFile, Segment
from transforms.annotations.map_pixels import VOID, encode_map
from transforms.annotations.sources import Annotation
from transforms.descriptions.tfds_files import object_values
from transforms.images.decoder import DecodedImage
from transforms.ingest.labelled_maps import placed_maps
from transforms.storage.parquet import Row
from transforms.storage.tfrecords import Value

_MASK: Final = "semantic/mask"
_PANOPTIC: Final = "panoptic/map"


def placed(
    annotation: Annotation, image: DecodedImage, settings: DatasetSettings
) -> Annotation:
    """Return what is known of a picture, its objects where they are in the kept one.

    Args:
        annotation: What is known, its objects in the pixels that they mean.
        image: The picture as it is kept.
        settings: Settings of the data set.

    Raises:
        ImageError: bad_annotation: it cannot be told where the objects are.
    """
    annotation = dataclasses.replace(
        annotation, label_index=settings.class_index(annotation.label)
    )
    annotation = placed_maps(annotation, image, settings)
    if not annotation.objects:
        return annotation
    height, width, _ = image.pixels.shape
    way = journey(
        (annotation.width, annotation.height),
        (image.original_width, image.original_height),
        image.orientation,
        (width, height),
        settings.annotated_as,
    )
    if annotation.relative:
        # Shares of a picture are pixels of one that is a single pixel.
        way = dataclasses.replace(way, width=1, height=1)
    objects = tuple(follow(item, way) for item in annotation.objects)
    return dataclasses.replace(
        annotation, objects=objects, width=width, height=height, relative=False
    )


def columns_of(annotation: Annotation) -> Row:
    """Return the columns that a row of version 2 has more."""
    objects = annotation.objects
    return {
        "label_index": annotation.label_index,
        "license": annotation.license,
        "license_url": annotation.license_url,
        "url": annotation.url,
        "annotations": annotation.given,
        "wrong_annotations": list(annotation.wrong),
        "objects": None if objects is None else [item.to_row() for item in objects],
        "objects_from": annotation.objects_from,
        "more": annotation.more,
        "metadata": annotation.metadata,
        "segments": (
            None
            if annotation.segments is None
            else [segment.to_row() for segment in annotation.segments]
        ),
        **{
            f"{name}_{what}": value
            for name, file in (
                ("mask", annotation.mask),
                ("panoptic", annotation.panoptic),
            )
            if file is not None
            for what, value in (("length", len(file.data)), ("sha256", file.sha256))
        },
    }


def map_places(annotation: Annotation, offsets: Mapping[str, int]) -> Row:
    """Return where in a record the maps of a picture begin, as its row says it.

    Args:
        annotation: What is known of the picture.
        offsets: Where the features of its record begin.
    """
    places = {}
    if annotation.mask is not None:
        places["mask_offset"] = offsets[_MASK]
    if annotation.panoptic is not None:
        places["panoptic_offset"] = offsets[_PANOPTIC]
    return places


def features_of(
    annotation: Annotation, height: int, width: int, settings: DatasetSettings
) -> dict[str, Value]:
    """Return the features that a record of version 2 has more, or otherwise.

    Args:
        annotation: What is known of the picture, as `placed` returned it.
        height: Height of the kept picture in pixels.
        width: Width of the kept picture in pixels.
        settings: Settings of the data set.
    """
    features: dict[str, Value] = {}
    if settings.classes:
        features["label"] = annotation.label_index
    if settings.has_masks:
        nothing = np.full((height, width), VOID, np.uint8)
        features |= _map_features(_MASK, annotation.mask, nothing)
        features["semantic/known"] = int(annotation.mask is not None)
    if settings.has_panoptic:
        nothing = np.zeros((height, width), np.uint32)
        features |= _map_features(_PANOPTIC, annotation.panoptic, nothing)
        features["panoptic/known"] = int(annotation.panoptic is not None)
        features |= _segments(annotation.segments or (), settings.segment_categories)
    if settings.has_metadata:
        features["metadata"] = annotation.metadata
    if settings.has_objects:
        features |= {
            "license": annotation.license,
            "license_url": annotation.license_url,
            "url": annotation.url,
            "objects_known": int(annotation.objects is not None),
            **object_values(
                annotation.objects or (), height, width, settings.categories
            ),
        }
    return features


def _map_features(
    name: str, file: MapFile | None, nothing: npt.NDArray[Any]
) -> dict[str, Value]:
    """Return a map as a feature: one that is void all over where there is none."""
    return {name: encode_map(nothing) if file is None else file.data}


def _segments(
    segments: tuple[Segment, ...], categories: tuple[Category, ...]
) -> dict[str, Value]:
    """Return segments as lists, in the order of the file."""
    places = {category.id: place for place, category in enumerate(categories)}
    return {
        "panoptic/segments/area": np.array([s.area for s in segments], np.int64),
        "panoptic/segments/id": np.array([s.id for s in segments], np.int64),
        "panoptic/segments/is_crowd": np.array([s.crowd for s in segments], np.int64),
        "panoptic/segments/label": np.array(
            [places[s.category_id] for s in segments], np.int64
        ),
    }
