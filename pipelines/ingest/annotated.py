"""What `ingest` finds out about labels, objects and splits before it begins."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pipelines.command.inputs import Inputs, all_categories
from pipelines.errors import UsageError
from pipelines.ingest.config import IngestConfig
from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.class_map import ClassMap
from transforms.annotations.coco import CocoImages, read_coco
from transforms.annotations.coco_objects import Category
from transforms.annotations.dataset_layout import (
    SPLITS,
    SplitFrom,
    count_shards,
    split_named,
    split_of,
)
from transforms.annotations.dataset_source import DatasetRoot
from transforms.annotations.sources import Annotation, AnnotationSource, Split
from transforms.annotations.tfds_source import TfdsRoot
from transforms.elements import ImageError, ImageRef
from transforms.inputs.listing import Listing
from transforms.storage.text import shown

INDEX: Final = "inputs"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Annotated:
    """What there is besides the pictures.

    Attributes:
        index: What COCO's files say of each picture; None without such files.
        named: How many images the files name.
        absent: Names of the images that are not among the inputs.
        categories: Classes of objects.
        annotations: How many annotations the files have.
        elsewhere: How many of them are of images that are not among the inputs, or
            that fit several.
        strays: What is wrong with each annotation that belongs to no image.
    """

    index: AnnotationIndex | None = None
    named: int = 0
    absent: frozenset[str] = frozenset()
    categories: tuple[Category, ...] = ()
    annotations: int = 0
    elsewhere: int = 0
    strays: Sequence[str] = ()


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
    named = source.named()
    if not source.has_files:
        names = {source.name_of(ref.key) for ref in listing.refs()} if named else set()
        return listing, Annotated(
            index=index if index.count else None,
            named=len(named),
            absent=named - names,
            annotations=index.given,
        )
    images = read_coco(source.instances, source.captions)
    keys = _keys(images, listing.refs())
    given = index.given
    annotated = Listing()
    for ref in listing.refs():
        if ref.about:
            annotated.add(ref)
            continue
        found = _annotation(source, images, keys, ref.key)
        about = "" if found == Annotation() else index.add(found)
        annotated.add(dataclasses.replace(ref, about=about))
    annotated.add_unlisted_of(listing)
    alone = {name for name, fitting in keys.items() if len(fitting) == 1}
    return annotated, Annotated(
        index=index,
        named=len(named),
        absent=named - keys.keys(),
        categories=tuple(sorted(images.categories.values(), key=lambda c: c.id)),
        annotations=images.annotations + given,
        elsewhere=sum(
            image.annotations for image in images.images() if image.name not in alone
        ),
        strays=tuple(images.strays),
    )


def _keys(images: CocoImages, refs: Iterable[ImageRef]) -> Mapping[str, list[str]]:
    """Return the first two keys that each name of the files fits."""
    keys: dict[str, list[str]] = {}
    for ref in refs:
        try:
            image = images.find(ref.key)
        except ImageError:
            continue  # It fits several, and fails itself.
        if image is not None and len(fitting := keys.setdefault(image.name, [])) < 2:
            fitting.append(ref.key)
    return keys


def _annotation(
    source: AnnotationSource,
    images: CocoImages,
    keys: Mapping[str, list[str]],
    key: str,
) -> Annotation:
    """Return what is said of the picture of a key, or why it cannot be used."""
    try:
        image = images.find(key)
        if image is not None and len(fitting := keys[image.name]) > 1:
            names = " and ".join(map(shown, fitting))
            problem = f"its annotations, of {shown(image.name)}, fit {names}"
            return Annotation(problem=problem)
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
        sets: tuple[TfdsRoot | DatasetRoot, ...] = (*inputs.tfds, *inputs.own)
        if class_map is None:
            classes = _classes(annotations, listing.refs(), sets)
        else:
            has_labels = annotations.has_labels or bool(sets)
            classes = class_map.classes if has_labels else ()
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
    has_objects = bool(config.instances or categories)
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
