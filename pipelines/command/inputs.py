"""The inputs of a command: what its arguments name, and what is in there."""

import dataclasses
import os
import re
from collections.abc import Sequence

from pipelines.command.apart import list_apart
from pipelines.errors import UsageError
from transforms.annotations.tfds_source import SCHEME, TfdsRoot, is_dataset_folder
from transforms.inputs.listing import Listing
from transforms.inputs.roots import InputRoot, parse_inputs, printable

_NAMED = re.compile(r"([^/=:]+)=(.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Inputs:
    """Input roots by how they are read.

    Attributes:
        files: Folders, globs and archives.
        tfds: TFDS data sets, ours among them.
    """

    files: tuple[InputRoot, ...] = ()
    tfds: tuple[TfdsRoot, ...] = ()


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
    others = []
    for argument in arguments:
        match = _NAMED.fullmatch(argument)
        label, path = (match[1], match[2]) if match else ("", argument)
        if path.startswith(SCHEME):
            named.append((label, path.removeprefix(SCHEME)))
        elif is_dataset_folder(argument) or is_dataset_folder(path):
            whole = is_dataset_folder(argument)
            named.append(
                ("" if whole else label, os.path.abspath(argument if whole else path))
            )
        else:
            others.append(argument)
    files = parse_inputs(others) if others else ()
    several = len(files) + len(named) > 1
    if several:
        files = tuple(
            dataclasses.replace(root, prefix=f"{root.name}/") for root in files
        )
    tfds = tuple(
        TfdsRoot(name, builder, f"{name}/" if label or several else "")
        for label, builder in named
        for name in [printable(label or builder.strip("/").rsplit("/", 1)[-1])]
    )
    _check_names(files, tfds)
    return Inputs(files, tfds)


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
        for ref in list_apart(parse_inputs(arguments), output):
            listing.add(ref)
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"{flag}: {error}") from error
    if not listing.count:
        raise UsageError(f"{flag} {' '.join(arguments)}: no images found")
    return listing


def _check_names(files: Sequence[InputRoot], tfds: Sequence[TfdsRoot]) -> None:
    """Refuse a TFDS root whose keys could be those of another root."""
    # Roots of files may share a name: their keys are compared one by one.
    places = {root.prefix: root.path for root in files}
    for root in tfds:
        if root.prefix in places:
            raise ValueError(
                f"{places[root.prefix]} and {root.builder} are both named "
                f"{root.name!r}, so their keys would be equal. Name one with NAME=PATH"
            )
        places[root.prefix] = root.builder
