"""The inputs of a command: what its arguments name, and what is in there."""

import dataclasses
import os
import re
from collections.abc import Sequence

from pipelines.command.apart import list_apart
from pipelines.errors import UsageError
from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.coco_objects import Category, SegmentCategory
from transforms.annotations.dataset_source import (
    SPECIAL,
    DatasetRoot,
    dataset_root,
)
from transforms.annotations.tfds_source import SCHEME, TfdsRoot, is_dataset_folder
from transforms.inputs.listing import Listing
from transforms.inputs.roots import InputRoot, parse_inputs, printable

_MAGIC = re.compile(r"[*?[]")

_NAMED = re.compile(r"([^/=:]+)=(.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Inputs:
    """Input roots by how they are read.

    Attributes:
        files: Folders, globs and archives.
        tfds: TFDS data sets, those of ours of version 1 among them.
        own: Other outputs of ours.
    """

    files: tuple[InputRoot, ...] = ()
    tfds: tuple[TfdsRoot, ...] = ()
    own: tuple[DatasetRoot, ...] = ()


def find_inputs(arguments: Sequence[str]) -> Inputs:
    """Turn the `P...` arguments of the command line into input roots.

    Args:
        arguments: In the order of the command line.

    Raises:
        ValueError: An argument cannot be used, or two roots have the same name.
        OSError: An argument names nothing, or cannot be looked at.
        RuntimeError: A package for remote files is missing.
    """
    named: list[tuple[str, str]] = []
    sets: list[tuple[str, DatasetRoot]] = []
    others = []
    for argument in arguments:
        match = _NAMED.fullmatch(argument)
        label, path = (match[1], match[2]) if match else ("", argument)
        if path.startswith(SCHEME):
            named.append((label, path.removeprefix(SCHEME)))
            continue
        if is_dataset_folder(argument):
            label, path = "", argument
        root = _own_output(argument, label, path)
        if root is not None and root[1].of_version_1:
            named.append((root[0], os.path.abspath(root[1].path)))
        elif root is not None:
            sets.append(root)
        else:
            others.append(argument)
    files = parse_inputs(others) if others else ()
    several = len(files) + len(named) + len(sets) > 1
    if several:
        files = tuple(
            dataclasses.replace(root, prefix=f"{root.name}/") for root in files
        )
    tfds = tuple(
        TfdsRoot(name, builder, f"{name}/" if label or several else "")
        for label, builder in named
        for name in [printable(label or builder.strip("/").rsplit("/", 1)[-1])]
    )
    own = tuple(
        dataclasses.replace(root, prefix=f"{root.name}/" * bool(label or several))
        for label, root in sets
    )
    _check_names(files, (*tfds, *own))
    return Inputs(files, tfds, own)


def _own_output(argument: str, label: str, path: str) -> tuple[str, DatasetRoot] | None:
    """Return the NAME and the root of an output of ours; None where it is none."""
    for name, place in (("", argument), (label, path)):
        if _MAGIC.search(place):
            continue
        shown = printable(name or place.rstrip("/").rsplit("/", 1)[-1])
        root = dataset_root(shown, place)
        if root is not None:
            return name, root
    return None


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
    """

    listing: Listing
    index: AnnotationIndex | None = None
    classes: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    segment_categories: tuple[SegmentCategory, ...] = ()
    known: tuple[str, ...] = ()

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
    listing = Listing()
    index = AnnotationIndex(name)
    try:
        files, sets = _split_roots(arguments)
        classes = dict.fromkeys(name for root in sets for name in root.classes())
        categories = all_categories(sets)
        segments = all_segment_categories(sets)
        may_have = tuple(n for n in SPECIAL if any(root.has(n) for root in sets))
        numbers = {name: place for place, name in enumerate(classes)}
        for ref in list_apart(files, output):
            listing.add(ref)
        for root in sets:
            for ref in root.list_pictures(index, numbers):
                listing.add(ref)
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"{flag}: {error}") from error
    if not listing.count:
        raise UsageError(f"{flag} {' '.join(arguments)}: no images found")
    known = index if index.count else None
    return Pictures(listing, known, tuple(classes), categories, segments, may_have)


def _split_roots(
    arguments: Sequence[str],
) -> tuple[tuple[InputRoot, ...], list[DatasetRoot]]:
    """Return the roots of files, and the outputs of ours."""
    others = []
    sets: list[DatasetRoot] = []
    for argument in arguments:
        match = _NAMED.fullmatch(argument)
        label, path = (match[1], match[2]) if match else ("", argument)
        root = _own_output(argument, label, path)
        if root is None:
            others.append(argument)
        else:
            label, found = root
            prefix = f"{found.name}/" if label else ""
            sets.append(dataclasses.replace(found, prefix=prefix))
    files = parse_inputs(others) if others else ()
    if len(files) + len(sets) > 1:
        files = tuple(dataclasses.replace(r, prefix=f"{r.name}/") for r in files)
        sets = [dataclasses.replace(r, prefix=f"{r.name}/") for r in sets]
    _check_names(files, sets)
    return files, sets


def all_categories(sets: Sequence[DatasetRoot]) -> tuple[Category, ...]:
    """Return the classes of the objects of some data sets, by id.

    Raises:
        ValueError: Two classes have one id.
    """
    found: dict[int, Category] = {}
    for root in sets:
        for category in root.categories():
            other = found.setdefault(category.id, category)
            if other.name != category.name:
                raise ValueError(
                    f"the objects of two inputs have other classes under one id: "
                    f"{category.id} is {other.name!r} and, in {root.path}, "
                    f"{category.name!r}. Ingest them together"
                )
    return tuple(found[key] for key in sorted(found))


def all_segment_categories(
    sets: Sequence[DatasetRoot],
) -> tuple[SegmentCategory, ...]:
    """Return the classes of the segments of some data sets, by id.

    Raises:
        ValueError: Two data sets have other classes under one id.
    """
    found: dict[int, SegmentCategory] = {}
    for root in sets:
        for category in root.segment_categories():
            other = found.setdefault(category.id, category)
            if other.name != category.name:
                raise ValueError(
                    f"the segments of two inputs have other classes under one id: "
                    f"{category.id} is {other.name!r} and, in {root.path}, "
                    f"{category.name!r}. Ingest them together"
                )
    return tuple(found[key] for key in sorted(found))


def list_inputs(flag: str, arguments: Sequence[str], output: str) -> Listing:
    """Return the images that a flag names, listed once: planning and running see them.

    Args:
        flag: For the error message.
        arguments: Arguments of the flag, in the order of the command line.
        output: Output of the command: no image may be in it.

    Raises:
        UsageError: An argument cannot be used, or there is no image.
    """
    listing = Listing()
    try:
        files, sets = _split_roots(arguments)
        for ref in list_apart(files, output):
            listing.add(ref)
        for root in sets:
            for ref in root.list_pictures():
                listing.add(ref)
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"{flag}: {error}") from error
    if not listing.count:
        raise UsageError(f"{flag} {' '.join(arguments)}: no images found")
    return listing


def _check_names(
    files: Sequence[InputRoot], sets: Sequence[TfdsRoot | DatasetRoot]
) -> None:
    """Refuse a data set whose keys could be those of another root."""
    # Roots of files may share a name: their keys are compared one by one.
    places = {root.prefix: root.path for root in files}
    for root in sets:
        place = root.path if isinstance(root, DatasetRoot) else root.builder
        if root.prefix in places:
            raise ValueError(
                f"{places[root.prefix]} and {place} are both named "
                f"{root.name!r}, so their keys would be equal. Name one with NAME=PATH"
            )
        places[root.prefix] = place
