"""What a record and a row of a data set of version 2 have beside those of version 1."""

import dataclasses
from collections.abc import Mapping

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.geometry import follow, journey
from transforms.annotations.sources import Annotation
from transforms.descriptions.tfds_files import object_values
from transforms.descriptions.tfds_maps import MASK, PANOPTIC, map_values
from transforms.images.decoder import DecodedImage
from transforms.ingest.labelled_maps import placed_maps
from transforms.storage.parquet import Row
from transforms.storage.tfrecords import Value


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
        places["mask_offset"] = offsets[MASK]
    if annotation.panoptic is not None:
        places["panoptic_offset"] = offsets[PANOPTIC]
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
    mask, panoptic = annotation.mask, annotation.panoptic
    features |= map_values(
        settings.known,
        None if mask is None else mask.data,
        None if panoptic is None else panoptic.data,
        annotation.segments or (),
        annotation.metadata,
        (height, width),
        settings.segment_categories,
    )
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
