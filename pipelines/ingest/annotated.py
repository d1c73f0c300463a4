"""What `ingest` finds out about labels, objects and splits before it begins."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.coco import Category, CocoImages, read_coco
from transforms.annotations.dataset_layout import (
    SPLITS,
    Split,
    SplitFrom,
    count_shards,
    split_named,
    split_of,
)
from transforms.annotations.sources import Annotation, AnnotationSource
from transforms.annotations.tfds_source import TfdsRoot
from transforms.elements import ImageError, ImageRef
from transforms.inputs.listing import Listing
from transforms.storage.text import shown

_INDEX = "inputs"


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


def annotate(source: AnnotationSource, listing: Listing) -> tuple[Listing, Annotated]:
    """Return a listing whose references say where their annotations are.

    Args:
        source: Where annotations come from.
        listing: The pictures.

    Raises:
        OSError: A file of annotations cannot be read.
        ValueError: A file of annotations cannot be used.
    """
    named = source.named()
    if not source.has_files:
        names = {source.name_of(ref.key) for ref in listing.refs()} if named else set()
        return listing, Annotated(named=len(named), absent=named - names)
    images = read_coco(source.instances, source.captions)
    keys = _keys(images, listing.refs())
    index = AnnotationIndex(_INDEX)
    annotated = Listing()
    for ref in listing.refs():
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
        annotations=images.annotations,
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


def classes_of(
    source: AnnotationSource, refs: Iterable[ImageRef], roots: Iterable[TfdsRoot]
) -> tuple[str, ...]:
    """Return the classes of all pictures in the order of their numbers.

    Those of TFDS data sets keep their order; the others follow sorted.

    Args:
        source: Where annotations come from.
        refs: The pictures that are listed.
        roots: The TFDS data sets, ours among them.

    Raises:
        ValueError: The classes of a data set are not known before it is read.
    """
    given = dict.fromkeys(name for root in roots for name in root.classes())
    found = {source.label_of(ref.key) for ref in refs} - {"", *given}
    return (*given, *sorted(found))


def shards_by_split(
    split_from: SplitFrom,
    listing: Listing,
    roots: Iterable[TfdsRoot],
    shards: int | None,
    shard_mb: int,
) -> tuple[int, ...]:
    """Return how many shards train, val and test have.

    Args:
        split_from: What decides the split of a picture.
        listing: The pictures.
        roots: The TFDS data sets among the inputs.
        shards: Number of shards of the train split; None where their size decides.
        shard_mb: Megabytes of source pictures in a shard.

    Raises:
        ValueError: No picture tells its split.
    """
    sizes: Counter[str] = Counter()
    first = ""
    for split, size in _sizes(split_from, listing, roots):
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
    split_from: SplitFrom, listing: Listing, roots: Iterable[TfdsRoot]
) -> Iterator[tuple[Split | ImageError, int]]:
    for ref in listing.refs():
        try:
            split = split_of(ref, split_from)
        except ImageError as error:
            yield error, ref.size
        else:
            if split is not None:
                yield split, ref.size
    for root in roots:
        for name, size in root.split_sizes():
            try:
                given = root.name if split_from == "input" else name
                yield split_named(given, "its split"), size
            except ImageError as error:
                yield error, size
