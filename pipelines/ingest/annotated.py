"""What `ingest` finds out about labels, objects and splits before it begins."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pipelines.command.inputs import (
    DataSet,
    Inputs,
    all_categories,
    all_segment_categories,
)
from pipelines.errors import UsageError
from pipelines.ingest.config import IngestConfig
from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.class_map import ClassMap
from transforms.annotations.coco import read_coco
from transforms.annotations.coco_index import CocoImages
from transforms.annotations.coco_objects import Category, SegmentCategory
from transforms.annotations.dataset_layout import (
    SPLITS,
    SplitFrom,
    count_shards,
    split_named,
    split_of,
)
from transforms.annotations.kinds.annotation_files import AnnotationFiles, joined
from transforms.annotations.records.record_set import RecordSet
from transforms.annotations.records.tfds_root import TfdsRoot
from transforms.annotations.sources import (
    Annotation,
    AnnotationSource,
    Split,
    listed_name,
)
from transforms.elements import ImageError, ImageRef
from transforms.inputs.listed import Listing
from transforms.inputs.names import composed

INDEX: Final = "inputs"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Annotated:
    """What there is besides the pictures.

    Attributes:
        index: What files say of each picture; None without such files.
        named: How many images the files name.
        absent: How many of them are not among the inputs.
        one_absent: Name of one of those; '' where there is none.
        unused: What kind of files, how many there are, how many of those are of no
            picture of the inputs, and the name of one: of each kind of which some are.
        categories: Classes of objects.
        segment_categories: Classes of segments.
        annotations: How many annotations the files have.
        elsewhere: How many of them are of images that are not among the inputs, or
            that fit several.
        strays: What is wrong with each annotation that belongs to no image.
    """

    index: AnnotationIndex | None = None
    named: int = 0
    absent: int = 0
    one_absent: str = ""
    unused: tuple[tuple[str, int, int, str], ...] = ()
    categories: tuple[Category, ...] = ()
    segment_categories: tuple[SegmentCategory, ...] = ()
    annotations: int = 0
    elsewhere: int = 0
    strays: Iterable[str] = ()


def annotate(
    source: AnnotationSource,
    files: AnnotationFiles,
    listing: Listing,
    index: AnnotationIndex,
) -> tuple[Listing, Annotated]:
    """Return a listing whose references say where their annotations are.

    Args:
        source: Where annotations come from.
        files: What other files say.
        listing: The pictures.
        index: What inputs of ours know of theirs; the rest is added.

    Raises:
        OSError: A file of annotations cannot be read.
        ValueError: A file of annotations cannot be used.
    """
    if not source.has_files and not files.found:
        named, absent, one = _absent(source, listing.refs())
        return listing, Annotated(
            index=index if index.count else None,
            named=named,
            absent=absent,
            one_absent=one,
            annotations=index.given,
        )
    images = read_coco(source.instances, source.captions)
    images.fit(ref.key for ref in listing.refs())
    for ref in listing.refs() if files.found else ():
        if not ref.about:
            files.claim(ref.key)
    given = index.given
    annotated = Listing()
    for ref in listing.refs():
        if ref.about:
            annotated.add(ref)
            continue
        found = _annotation(source, images, files, ref.key)
        about = "" if found == Annotation() else index.add(found)
        annotated.add(dataclasses.replace(ref, about=about))
    annotated.add_unlisted_of(listing)
    if source.has_files:
        named, (absent, one) = images.named, images.absent()
    else:
        named, absent, one = _absent(source, listing.refs())
    return annotated, Annotated(
        index=index,
        named=named,
        absent=absent,
        one_absent=one,
        unused=tuple(
            (found.what, found.count, *found.absent)
            for found in files.found
            if found.absent[0]
        ),
        categories=(
            files.categories
            or tuple(sorted(images.categories.values(), key=lambda c: c.id))
        ),
        segment_categories=files.segment_categories,
        annotations=images.annotations
        + given
        + sum(found.annotations for found in files.found)
        + len(files.strays),
        elsewhere=images.elsewhere + sum(found.elsewhere for found in files.found),
        strays=itertools.chain(images.strays(), files.strays),
    )


def with_strays(annotated: Annotated, sets: Iterable[DataSet]) -> Annotated:
    """Return it with the annotations of data sets that belong to no picture."""
    found = [root.found.strays for root in sets if isinstance(root, RecordSet)]
    count = sum(strays.count for strays in found)
    if not count:
        return annotated
    texts = itertools.chain.from_iterable(strays.texts for strays in found)
    return dataclasses.replace(
        annotated,
        annotations=annotated.annotations + count,
        strays=itertools.chain(annotated.strays, texts),
    )


def _absent(source: AnnotationSource, refs: Iterable[ImageRef]) -> tuple[int, int, str]:
    """Return how many names lists have, how many of them no picture has, and one."""
    named = source.named()
    if not named:
        return 0, 0, ""
    absent = named - {composed(listed_name(ref.key)) for ref in refs}
    return len(named), len(absent), min(absent, default="")


def _annotation(
    source: AnnotationSource, images: CocoImages, files: AnnotationFiles, key: str
) -> Annotation:
    """Return what is said of the picture of a key, or why it cannot be used."""
    return joined(_coco_annotation(source, images, key), files.of(key))


def _coco_annotation(
    source: AnnotationSource, images: CocoImages, key: str
) -> Annotation:
    try:
        images.check_alone(key)
        return source.unchecked(key)
    except ImageError as error:
        return Annotation(problem=error.message)


def labelled_settings(
    config: IngestConfig,
    annotations: AnnotationSource,
    annotated: Annotated,
    inputs: Inputs,
    listing: Listing,
    class_map: ClassMap | None = None,
) -> dict[str, Any]:
    """Return the settings that make a data set one of format version 2.

    Args:
        config: What was asked for.
        annotations: Where annotations come from.
        annotated: What there is besides the pictures.
        inputs: The input roots.
        listing: The pictures, before COCO's files were joined to them.
        class_map: Which class a label means; None where labels are classes.

    Raises:
        UsageError: Classes, objects or splits cannot be told.
    """
    flag = "--labels folder" if config.labels == "folder" else "--input"
    try:
        sets: tuple[TfdsRoot | DataSet, ...] = (*inputs.tfds, *inputs.own)
        if class_map is None:
            classes = _classes(annotations, listing.refs(), sets)
        else:
            has_labels = annotations.has_labels or bool(sets)
            classes = class_map.classes if has_labels else ()
        categories = all_categories(inputs.own)
        segment_categories = all_segment_categories(inputs.own)
        if (config.has_objects and categories) or (
            config.panoptic and segment_categories
        ):
            raise ValueError(
                "files of objects beside a data set that has some: ingest the pictures "
                "of the files alone, then both data sets together"
            )
        splits: tuple[int, ...] = ()
        if config.split_from != "hash":
            flag = f"--split-from {config.split_from}"
            splits = _shards_by_split(
                config.split_from,
                listing,
                annotated.index,
                inputs.tfds,
                config.shards,
                config.shard_mb,
            )
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from error
    has_objects = bool(config.has_objects or categories)
    if class_map is not None and not classes and not has_objects:
        raise UsageError(
            f"--class-map {config.class_map}: nothing here has a label. Give --labels "
            "folder, --instances, or a data set that has labels"
        )
    return {
        "classes": classes,
        "categories": class_map.categories
        if class_map and has_objects
        else annotated.categories or categories,
        "has_objects": has_objects,
        "has_masks": bool(config.masks) or any(own.has("masks") for own in inputs.own),
        "has_panoptic": bool(config.panoptic or segment_categories),
        "has_metadata": bool(config.metadata)
        or any(own.has("metadata") for own in inputs.own),
        "segment_categories": annotated.segment_categories or segment_categories,
        "annotated_as": config.annotated_as,
        "split_from": config.split_from,
        "split_shards": splits,
    }


def labelled_identity(
    config: IngestConfig, labelled: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what decides the bytes of a data set of version 2 besides."""
    if not labelled:
        return {}
    return {
        "format-version": 2,
        "labels": config.labels,
        "annotated-as": config.annotated_as,
        "has-objects": labelled["has_objects"],
        "split-from": config.split_from,
        "split-shards": list(labelled["split_shards"]),
        "classes": list(labelled["classes"]),
        "categories": [dataclasses.asdict(c) for c in labelled["categories"]],
        "has-masks": labelled["has_masks"],
        "has-panoptic": labelled["has_panoptic"],
        "has-metadata": labelled["has_metadata"],
        "segment-categories": [c.to_json() for c in labelled["segment_categories"]],
    }


def _classes(
    source: AnnotationSource,
    refs: Iterable[ImageRef],
    roots: Iterable[TfdsRoot | DataSet],
) -> tuple[str, ...]:
    """Return the classes of all pictures in the order of their numbers.

    Those of data sets keep their order; the others follow sorted.

    Args:
        source: Where annotations come from.
        refs: The pictures that are listed.
        roots: The data sets among the inputs.

    Raises:
        ValueError: The classes of a data set are not known before it is read.
    """
    given = dict.fromkeys(name for root in roots for name in root.classes())
    listed = (source.label_of(ref.key) for ref in refs if not ref.about)
    found = set(listed) - {"", *given}
    if source.labels == "folder" and not given and not found:
        raise ValueError("no picture lies in the folder of a class")
    return (*given, *sorted(found))


def _shards_by_split(
    split_from: SplitFrom,
    listing: Listing,
    index: AnnotationIndex | None,
    roots: Iterable[TfdsRoot],
    shards: int | None,
    shard_mb: int,
) -> tuple[int, ...]:
    """Return how many shards train, val and test have.

    Args:
        split_from: What decides the split of a picture.
        listing: The pictures.
        index: What is known of them.
        roots: The TFDS data sets among the inputs.
        shards: Number of shards of the train split; None where their size decides.
        shard_mb: Megabytes of source pictures in a shard.

    Raises:
        ValueError: No picture tells its split.
    """
    sizes: Counter[str] = Counter()
    first = ""
    for split, size in _sizes(split_from, listing, index, roots):
        if isinstance(split, ImageError):
            first = first or split.message
        else:
            sizes[split] += max(1, size)
    if not sizes:
        raise ValueError(f"no picture tells its split: {first}")
    largest = sizes["train"] or max(sizes.values())

    def count(split: Split) -> int:
        if not sizes[split]:
            return 0
        if shards is None:
            return count_shards(sizes[split], shard_mb)
        return max(1, -(-shards * sizes[split] // largest))

    return tuple(map(count, SPLITS))


def _sizes(
    split_from: SplitFrom,
    listing: Listing,
    index: AnnotationIndex | None,
    roots: Iterable[TfdsRoot],
) -> Iterator[tuple[Split | ImageError, int]]:
    for ref in listing.refs():
        try:
            given = "" if index is None else index.read(ref.about).split
            split = split_of(ref, split_from, given)
        except ImageError as error:
            yield error, ref.size
        else:
            if split is not None:
                yield split, ref.size
    for root in roots:
        for name, size in root.split_sizes():
            try:
                called = root.name if split_from == "input" else name
                yield split_named(called, "its split"), size
            except ImageError as error:
                yield error, size
