"""What `ingest` finds out about labels, objects and splits before it begins."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pipelines.command.inputs import Inputs, all_categories
from pipelines.errors import UsageError
from pipelines.ingest.config import IngestConfig
from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.coco import read_coco
from transforms.annotations.coco_index import CocoImages
from transforms.annotations.coco_objects import Category
from transforms.annotations.dataset_layout import (
    SPLITS,
    SplitFrom,
    count_shards,
    split_named,
    split_of,
)
from transforms.annotations.dataset_source import DatasetRoot
from transforms.annotations.sources import (
    Annotation,
    AnnotationSource,
    Split,
    listed_name,
)
from transforms.annotations.tfds_source import TfdsRoot
from transforms.elements import ImageError, ImageRef
from transforms.inputs.listing import Listing
from transforms.inputs.names import composed

INDEX: Final = "inputs"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Annotated:
    """What there is besides the pictures.

    Attributes:
        index: What COCO's files say of each picture; None without such files.
        named: How many images the files name.
        absent: How many of them are not among the inputs.
        one_absent: Name of one of those; '' where there is none.
        categories: Classes of objects.
        annotations: How many annotations the files have.
        elsewhere: How many of them are of images that are not among the inputs, or
            that fit several.
        strays: What is wrong with each annotation that belongs to no image.
    """

    index: AnnotationIndex | None = None
    named: int = 0
    absent: int = 0
    one_absent: str = ""
    categories: tuple[Category, ...] = ()
    annotations: int = 0
    elsewhere: int = 0
    strays: Iterable[str] = ()


def annotate(
    source: AnnotationSource, listing: Listing, index: AnnotationIndex
) -> tuple[Listing, Annotated]:
    """Return a listing whose references say where their annotations are.

    Args:
        source: Where annotations come from.
        listing: The pictures.
        index: What inputs of ours know of theirs; the rest is added.

    Raises:
        OSError: A file of annotations cannot be read.
        ValueError: A file of annotations cannot be used.
    """
    if not source.has_files:
        named = {composed(name) for name in source.named()}
        names = set()
        if named:
            names = {composed(listed_name(ref.key)) for ref in listing.refs()}
        absent = named - names
        return listing, Annotated(
            index=index if index.count else None,
            named=len(named),
            absent=len(absent),
            one_absent=min(absent, default=""),
            annotations=index.given,
        )
    images = read_coco(source.instances, source.captions)
    images.fit(ref.key for ref in listing.refs())
    given = index.given
    annotated = Listing()
    for ref in listing.refs():
        if ref.about:
            annotated.add(ref)
            continue
        found = _annotation(source, images, ref.key)
        about = "" if found == Annotation() else index.add(found)
        annotated.add(dataclasses.replace(ref, about=about))
    annotated.add_unlisted_of(listing)
    count, one = images.absent()
    return annotated, Annotated(
        index=index,
        named=images.named,
        absent=count,
        one_absent=one,
        categories=tuple(sorted(images.categories.values(), key=lambda c: c.id)),
        annotations=images.annotations + given,
        elsewhere=images.elsewhere,
        strays=images.strays(),
    )


def _annotation(source: AnnotationSource, images: CocoImages, key: str) -> Annotation:
    """Return what is said of the picture of a key, or why it cannot be used."""
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
) -> dict[str, Any]:
    """Return the settings that make a data set one of format version 2.

    Args:
        config: What was asked for.
        annotations: Where annotations come from.
        annotated: What there is besides the pictures.
        inputs: The input roots.
        listing: The pictures, before COCO's files were joined to them.

    Raises:
        UsageError: Classes, objects or splits cannot be told.
    """
    flag = "--labels folder" if config.labels == "folder" else "--input"
    try:
        sets: tuple[TfdsRoot | DatasetRoot, ...] = (*inputs.tfds, *inputs.own)
        classes = _classes(annotations, listing.refs(), sets)
        categories = all_categories(inputs.own)
        if config.instances and categories:
            raise ValueError(
                "--instances beside a data set that has objects: ingest the pictures "
                "of the file alone, then both data sets together"
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
    return {
        "classes": classes,
        "categories": annotated.categories or categories,
        "has_objects": bool(config.instances or categories),
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
    }


def _classes(
    source: AnnotationSource,
    refs: Iterable[ImageRef],
    roots: Iterable[TfdsRoot | DatasetRoot],
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
