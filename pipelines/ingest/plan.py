"""What the launcher of `ingest` finds out before anything is written."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

from pipelines.command.apart import check_place
from pipelines.command.inputs import Inputs, find_inputs, tell_left_out
from pipelines.errors import UsageError
from pipelines.ingest.annotated import (
    INDEX,
    Annotated,
    annotate,
    labelled_identity,
    labelled_settings,
    with_strays,
)
from pipelines.ingest.annotation_inputs import AnnotationInputs
from pipelines.ingest.config import IngestConfig
from pipelines.ingest.curated import (
    curated_identity,
    find_class_map,
    parsed_filters,
)
from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.coco import read_coco
from transforms.annotations.dataset_layout import (
    DatasetSettings,
    count_shards,
    fingerprint_of,
)
from transforms.annotations.sources import AnnotationSource
from transforms.inputs.listed import Listing
from transforms.storage.files import read_file


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IngestPlan:
    """What the launcher found out before anything is written.

    Attributes:
        inputs: The input roots.
        listing: Every image of them.
        settings: Settings of the data set.
        identity: What decides its bytes, by the names of the flags.
        annotated: What there is besides the pictures.
    """

    inputs: Inputs
    listing: Listing
    settings: DatasetSettings
    identity: Mapping[str, Any]
    annotated: Annotated


def plan(config: IngestConfig) -> IngestPlan:
    """Look at the inputs and the annotations; writes nothing.

    Raises:
        UsageError: An input or a file of annotations cannot be used.
    """
    annotations = AnnotationSource(
        config.kind,
        config.captions,
        config.wikiart_list,
        config.instances,
        config.labels,
        config.split_from == "folder",
    )
    flag = "--captions" if config.captions else "--wikiart-list"
    if config.instances:
        flag = f"{flag}, --instances" if config.captions else "--instances"
    try:
        # Before the inputs, which may take long.
        annotations.named()
        coco = read_coco(config.instances, config.captions).sha256
        hashes: dict[str, Any] = {
            "captions": coco.get(config.captions, ""),
            "wikiart-list": [_sha256(path) for path in config.wikiart_list],
        }
        if config.instances:
            hashes["instances"] = coco[config.instances]
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"{flag}: {error}") from error
    others = AnnotationInputs(config)
    class_map = find_class_map(config)
    listing = Listing()
    index = AnnotationIndex(INDEX)
    try:
        inputs = find_inputs(config.input)
        others.list_into(listing, inputs.files, config.output)
        output = f"--output {config.output}"
        for root in inputs.tfds:
            check_place(root.builder, root.folder(), output, config.output)
            root.list_into(listing)
        tell_left_out(inputs.own)
        classes = dict.fromkeys(name for own in inputs.own for name in own.classes())
        numbers = {name: place for place, name in enumerate(classes)}
        for own in inputs.own:
            for ref in own.list_pictures(index, numbers):
                listing.add(ref)
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"--input: {error}") from error
    if not listing.count:
        raise UsageError(f"--input {' '.join(config.input)}: no images found")
    given, own_pictures, known = listing, index.count, index.digest
    listing, annotated = annotate(annotations, others.files, given, index)
    annotated = with_strays(annotated, inputs.own)
    shards = config.shards or count_shards(listing.size, config.shard_mb)
    labelled: dict[str, Any] = {}
    asked = config.labels != "none" or config.split_from != "hash"
    asked = asked or bool(config.class_map) or config.near_duplicates != "keep"
    if asked or config.instances or config.has_annotation_files or own_pictures:
        labelled = labelled_settings(
            config, annotations, annotated, inputs, given, class_map
        )
    filters = parsed_filters(config, labelled.get("classes", ()))
    identity = {
        "inputs": f"{listing.count} images, {listing.size} bytes, {listing.digest}",
        "name": config.name,
        "kind": config.kind,
        "size": config.size,
        "val-fraction": config.val_fraction,
        "shards": shards,
        "encode": config.encode,
        "quality": config.quality,
        "min-side": config.min_side,
        "max-pixels": config.max_pixels,
        **hashes,
        **others.identity(),
        **labelled_identity(config, labelled),
        **({"known": known} if own_pictures else {}),
        **curated_identity(config, filters),
    }
    settings = DatasetSettings(
        name=config.name,
        size=config.size,
        val_fraction=config.val_fraction,
        shards=shards,
        encode=config.encode,
        quality=config.quality,
        min_side=config.min_side,
        max_pixels=config.max_pixels,
        annotations=annotations,
        fingerprint=fingerprint_of(identity),
        class_map=class_map,
        filters=filters,
        near_duplicates=config.near_duplicates,
        **labelled,
    )
    return IngestPlan(
        inputs=inputs,
        listing=listing,
        settings=settings,
        identity=identity,
        annotated=annotated,
    )


def _sha256(path: str) -> str:
    return hashlib.sha256(read_file(path)).hexdigest()
