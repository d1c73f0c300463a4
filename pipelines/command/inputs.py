"""The inputs of a command: what its arguments name, and what is in there."""

import contextlib
import dataclasses
import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from pipelines.command.apart import list_apart
from pipelines.errors import UsageError
from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.coco_objects import Category, SegmentCategory
from transforms.annotations.dataset_source import (
    SPECIAL,
    DatasetRoot,
    dataset_root,
)
from transforms.annotations.records import parquet, webdataset
from transforms.annotations.records.record_set import Records, RecordSet
from transforms.annotations.records.tfds import TfdsPictures
from transforms.annotations.records.tfds_root import TfdsRoot
from transforms.elements import ImageRef
from transforms.inputs.archives import ArchiveKind
from transforms.inputs.listed import Listing
from transforms.inputs.parquet_cells import ENDING
from transforms.inputs.roots import (
    PARQUET,
    SCHEMES,
    TFDS,
    WEBDATASET,
    InputRoot,
    parse_inputs,
    printable,
    split_name,
    split_scheme,
)

_MAGIC = re.compile(r"[*?[]")

_PATTERN = re.compile(r"[*?\[{]")


DataSet = DatasetRoot | RecordSet
"""A root whose pictures come with what is known of them."""

AnyCategory = TypeVar("AnyCategory", bound=Category)


@dataclasses.dataclass(frozen=True, slots=True)
class Inputs:
    """Input roots by how they are read.

    Attributes:
        files: Folders, globs and archives.
        tfds: Data sets of ours of version 1, which TFDS reads.
        own: Other outputs of ours, and data sets of other programs.
    """

    files: tuple[InputRoot, ...] = ()
    tfds: tuple[TfdsRoot, ...] = ()
    own: tuple[DataSet, ...] = ()


def find_inputs(arguments: Sequence[str]) -> Inputs:
    """Turn the `P...` arguments of the command line into input roots.

    Args:
        arguments: In the order of the command line.

    Raises:
        ValueError: An argument cannot be used, or two roots have the same name.
        OSError: An argument names nothing, or cannot be looked at.
        RuntimeError: A package for remote files is missing.
    """
    others, found = _sorted(arguments)
    old = [
        (label, os.path.abspath(root.path))
        for label, root in found
        if isinstance(root, DatasetRoot) and root.of_version_1
    ]
    sets = [
        (label, root)
        for label, root in found
        if not (isinstance(root, DatasetRoot) and root.of_version_1)
    ]
    files = parse_inputs(others) if others else ()
    several = len(files) + len(found) > 1
    if several:
        files = tuple(
            dataclasses.replace(root, prefix=f"{root.name}/") for root in files
        )
    tfds = tuple(
        TfdsRoot(name, builder, f"{name}/" if label or several else "")
        for label, builder in old
        for name in [printable(label or builder.strip("/").rsplit("/", 1)[-1])]
    )
    own = tuple(_prefixed(root, bool(label or several)) for label, root in sets)
    _check_names(files, (*tfds, *own))
    return Inputs(files, tfds, own)


def _prefixed(root: DataSet, with_name: bool) -> DataSet:
    return root.named(f"{root.name}/" if with_name else "")


def _sorted(
    arguments: Sequence[str],
) -> tuple[list[str], list[tuple[str, DataSet]]]:
    """Return the arguments that are files, and the NAME and root of each data set."""
    others: list[str] = []
    sets: list[tuple[str, DataSet]] = []
    for argument in arguments:
        found = _own_output(argument) or _record_set(argument)
        if found is None:
            others.append(argument)
        else:
            sets.append(found)
    return others, sets


def _own_output(argument: str) -> tuple[str, DataSet] | None:
    """Return the NAME and the root of an output of ours; None where it is none."""
    label, path = split_name(argument)
    for name, place in (("", argument), (label, path)):
        if _MAGIC.search(place) or place.startswith(SCHEMES):
            continue
        shown = printable(name or place.rstrip("/").rsplit("/", 1)[-1])
        root = dataset_root(shown, place)
        if root is not None:
            return name, root
    return None


def _record_set(argument: str) -> tuple[str, RecordSet] | None:
    """Return the NAME and the root of a data set of records; None where it is none."""
    label, path = split_name(argument)
    scheme, place = split_scheme(path)
    records: Records
    if scheme == TFDS:
        place, _, split = place.partition("#")
        records = TfdsPictures(place, split)
    elif scheme == WEBDATASET:
        records = webdataset.WebDataset(place)
    elif scheme == PARQUET or path.lower().endswith(ENDING):
        records = parquet.ParquetPictures(place)
    elif path.lower().endswith(".tar") and _are_webdataset(path):
        records = webdataset.WebDataset(place, bool(_MAGIC.search(place)))
    else:
        return None
    name = printable(label or _last_fixed(place))
    return label, RecordSet(name, place, records)


def _are_webdataset(path: str) -> bool:
    """Return whether all tars of a name or a glob are WebDataset."""
    try:
        roots = parse_inputs([path])
    except (ValueError, OSError):
        return False  # Whoever reads it says so.
    return all(
        root.archive is ArchiveKind.TAR and webdataset.is_webdataset(root.path)
        for root in roots
    )


def _last_fixed(place: str) -> str:
    """Return the last part of a place that is no pattern."""
    fixed = [part for part in place.split("/") if part and not _PATTERN.search(part)]
    return fixed[-1] if fixed else "data"


@dataclasses.dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures that a flag names, and what is known of them.

    Attributes:
        listing: The pictures.
        index: What is known of each; None where nothing is.
        classes: Classes of pictures in the order of their numbers.
        categories: Classes of objects by id.
        segment_categories: Classes of segments by id.
        known: What pictures may have besides: masks, panoptic, metadata.
        given: How many annotations they have.
        strays: How many annotations belong to no picture.
    """

    listing: Listing
    index: AnnotationIndex | None = None
    classes: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    segment_categories: tuple[SegmentCategory, ...] = ()
    known: tuple[str, ...] = ()
    given: int = 0
    strays: int = 0

    @property
    def has_maps(self) -> bool:
        """Whether any picture may have a label map."""
        return "masks" in self.known or "panoptic" in self.known


def list_pictures(
    flag: str, arguments: Sequence[str], output: str, name: str
) -> Pictures:
    """Return the pictures that a flag names, with what outputs of ours know of theirs.

    Args:
        flag: For the error message.
        arguments: Arguments of the flag, in the order of the command line.
        output: Output of the command: no image may be in it.
        name: Name of the listing.

    Raises:
        UsageError: An argument cannot be used, or there is no image.
    """
    index = AnnotationIndex(name)
    with _usage_errors(flag):
        files, sets = _split_roots(arguments)
        classes = dict.fromkeys(name for root in sets for name in root.classes())
        categories = all_categories(sets)
        segments = all_segment_categories(sets)
        may_have = tuple(n for n in SPECIAL if any(root.has(n) for root in sets))
        numbers = {name: place for place, name in enumerate(classes)}
        of_sets = (root.list_pictures(index, numbers) for root in sets)
        listing = _listed(list_apart(files, output), *of_sets)
    _check_some(flag, arguments, listing)
    known = index if index.count else None
    return Pictures(
        listing,
        known,
        tuple(classes),
        categories,
        segments,
        may_have,
        index.given,
        sum(root.found.strays.count for root in sets if isinstance(root, RecordSet)),
    )


def _split_roots(
    arguments: Sequence[str],
) -> tuple[tuple[InputRoot, ...], list[DataSet]]:
    """Return the roots of files, and the data sets; tell what of these is left out."""
    others, found = _sorted(arguments)
    files = parse_inputs(others) if others else ()
    several = len(files) + len(found) > 1
    sets = [_prefixed(root, bool(label or several)) for label, root in found]
    if several:
        files = tuple(dataclasses.replace(r, prefix=f"{r.name}/") for r in files)
    _check_names(files, sets)
    tell_left_out(sets)
    return files, sets


def tell_left_out(sets: Sequence[DataSet]) -> None:
    """Say on stderr what of data sets of records means nothing, or cannot be used.

    Raises:
        ValueError: One cannot be read.
        OSError: One cannot be read.
    """
    for root in sets:
        if not isinstance(root, RecordSet):
            continue
        found = root.found
        for what, count in sorted(found.left_out.items()):
            print(
                f"{root.path}: {what} means nothing here; {count} are left out",
                file=sys.stderr,
            )
        for texts, what in (
            (found.strays, "belong to no picture"),
            (found.wrong, "cannot be used"),
        ):
            if texts.count:
                print(
                    f"{root.path}: annotations that {what} and are left out: "
                    f"{texts.count}, such as {texts.first}",
                    file=sys.stderr,
                )


def all_categories(sets: Sequence[DataSet]) -> tuple[Category, ...]:
    """Return the classes of the objects of some data sets, by id.

    Raises:
        ValueError: Two classes have one id.
    """
    return _joined("objects", ((root, root.categories()) for root in sets))


def all_segment_categories(
    sets: Sequence[DataSet],
) -> tuple[SegmentCategory, ...]:
    """Return the classes of the segments of some data sets, by id.

    Raises:
        ValueError: Two classes have one id.
    """
    return _joined("segments", ((root, root.segment_categories()) for root in sets))


def _joined(
    what: str, categories: Iterable[tuple[DataSet, Iterable[AnyCategory]]]
) -> tuple[AnyCategory, ...]:
    found: dict[int, AnyCategory] = {}
    for root, own in categories:
        for category in own:
            other = found.setdefault(category.id, category)
            if other.name != category.name:
                raise ValueError(
                    f"the {what} of two inputs have other classes under one id: "
                    f"{category.id} is {other.name!r} and, in {root.path}, "
                    f"{category.name!r}. Ingest them together"
                )
    return tuple(found[key] for key in sorted(found))


def list_inputs(
    flag: str, arguments: Sequence[str], output: str, held_out: bool = False
) -> Listing:
    """Return the images that a flag names, listed once: planning and running see them.

    Args:
        flag: For the error message.
        arguments: Arguments of the flag, in the order of the command line.
        output: Output of the command: no image may be in it.
        held_out: Whether of a data set of `ingest` only the val split is wanted.

    Raises:
        UsageError: An argument cannot be used, or there is no image.
    """
    with _usage_errors(flag):
        files, sets = _split_roots(arguments)
        if held_out:
            sets = list(map(_held_out, sets))
        of_sets = (root.list_pictures() for root in sets)
        listing = _listed(list_apart(files, output), *of_sets)
    _check_some(flag, arguments, listing)
    return listing


def _held_out(root: DataSet) -> DataSet:
    if isinstance(root, DatasetRoot) and root.maker == "ingest":
        return dataclasses.replace(root, split="val")
    return root


@contextlib.contextmanager
def _usage_errors(flag: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"{flag}: {error}") from error


def _listed(*groups: Iterable[ImageRef]) -> Listing:
    listing = Listing()
    for ref in itertools.chain.from_iterable(groups):
        listing.add(ref)
    return listing


def _check_some(flag: str, arguments: Sequence[str], listing: Listing) -> None:
    if not listing.count:
        raise UsageError(f"{flag} {' '.join(arguments)}: no images found")


def _check_names(
    files: Sequence[InputRoot], sets: Sequence[TfdsRoot | DataSet]
) -> None:
    """Refuse a data set whose keys could be those of another root."""
    # Roots of files may share a name: their keys are compared one by one.
    places = {root.prefix: root.path for root in files}
    for root in sets:
        place = root.builder if isinstance(root, TfdsRoot) else root.path
        if root.prefix in places:
            raise ValueError(
                f"{places[root.prefix]} and {place} are both named "
                f"{root.name!r}, so their keys would be equal. Name one with NAME=PATH"
            )
        places[root.prefix] = place
