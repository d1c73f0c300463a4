"""Keeps inputs and outputs apart: neither may lie inside the other.

An output inside an input would be read by the next run. An input inside an output would
be read while it is written, and may be deleted as a leftover. A field of a
configuration says of what it is a path (`model.options.Option.path`), so each option
that names a place is compared here, for every command, before its job is imported.
"""

import dataclasses
import functools
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar, cast

from model.options import Option, PathUse, options_of
from pipelines.command.flags import flag_of
from pipelines.errors import UsageError
from transforms.buckets.places import UnreachableError, is_remote
from transforms.elements import ImageRef
from transforms.inputs.reading import list_checked
from transforms.inputs.roots import InputRoot, places_of

# Folders whose relation to the output is remembered while a listing is walked.
_REMEMBERED: Final = 4096

_Config = TypeVar("_Config")


def check_apart(config: Any) -> None:
    """Refuse a configuration with an input inside an output, or the other way round.

    Args:
        config: Configuration of a command.

    Raises:
        UsageError: There is one; the message names both flags.
    """
    outputs = [(flag, place) for flag, place, _ in _places(config, "written")]
    for flag, place, own in _places(config, "read"):
        for other, output in outputs:
            check_place(f"{flag} {place}", place, f"{other} {output}", output, own)


def check_place(
    named: str, place: str, output_named: str, output: str, own: str = ""
) -> None:
    """Refuse an input and an output of which one lies inside the other.

    Args:
        named: How the input was named, for the message.
        place: Local path or URL of the input.
        output_named: How the output was named, for the message.
        output: Local path or URL of the output.
        own: Name of the one file inside the output that may be read all the same.

    Raises:
        UsageError: One lies inside the other.
    """
    if own and is_same(place, f"{output.rstrip('/')}/{own}"):
        return
    if is_inside(place, output):
        raise UsageError(
            f"{named}: lies inside {output_named}, where the run writes and "
            "--overwrite deletes. Choose another output, or move the input out of it."
        )
    if is_inside(output, place):
        raise UsageError(
            f"{output_named}: lies inside {named}, so the next run would take its "
            "files for inputs. Choose a folder beside it."
        )


def checker(output: str) -> Callable[[str], None]:
    """Return what refuses a file that lies inside the output, with a ValueError.

    `check_apart` compared the arguments. This is for what they lead to: links below a
    folder, and files that another file names.

    Args:
        output: Local path or URL of the output.
    """
    if is_remote(output) or not os.path.lexists(output):
        return lambda path: None
    in_output = functools.lru_cache(_REMEMBERED)(
        functools.partial(is_inside, outer=output)
    )

    # Members of an archive have one path, one after the other.
    @functools.lru_cache(1)
    def check(path: str) -> None:
        if is_remote(path):
            return
        if in_output(os.path.dirname(path)) or (
            os.path.islink(path) and is_inside(path, output)
        ):
            raise ValueError(
                f"{path!r} leads into the output {output!r}, where the run writes and "
                "--overwrite deletes. Choose another output"
            )

    return check


def list_apart(roots: Sequence[InputRoot], output: str) -> Iterator[ImageRef]:
    """Yield the images of roots as `list_checked` does, none of them in the output.

    Args:
        roots: The roots.
        output: Output of the command.

    Raises:
        ValueError: Two images have the same key, a root cannot be listed, or a link
            leads into the output.
    """
    check = checker(output)
    for ref in list_checked(roots):
        check(ref.path)
        yield ref


def is_inside(inner: str, outer: str) -> bool:
    """Return whether a place is another one or lies below it.

    Local folders are told by device and inode, so links, `..`, mounts and the spelling
    do not matter; URLs by their text.

    Args:
        inner: Local path or URL.
        outer: Local path or URL.
    """
    if is_remote(inner) or is_remote(outer):
        if not (is_remote(inner) and is_remote(outer)):
            return False
        return f"{_plain_url(inner)}/".startswith(f"{_plain_url(outer)}/")
    path, target = os.path.realpath(inner), os.path.realpath(outer)
    if os.path.join(path, "").startswith(os.path.join(target, "")):
        return True
    try:
        found = os.stat(target)
    except OSError:
        return False  # What is not there holds nothing.
    while True:
        try:
            if os.path.samestat(os.stat(path), found):
                return True
        except OSError:
            pass  # It is yet to be made: a folder above it may be there.
        above = os.path.dirname(path)
        if above == path:
            return False
        path = above


def is_same(place: str, other: str) -> bool:
    """Return whether two places are one.

    Args:
        place: Local path or URL.
        other: Local path or URL.
    """
    return is_inside(place, other) and is_inside(other, place)


def local_inputs(config: Any) -> Iterator[tuple[str, str]]:
    """Yield flag and place of the inputs on this machine that workers read.

    Args:
        config: Configuration of a command.
    """
    for flag, place, _ in _places(config, "read", planning=False):
        if not is_remote(place):
            yield flag, place


def absolute(config: _Config) -> _Config:
    """Return a configuration whose local paths do not depend on the working folder.

    Args:
        config: Configuration of a command.
    """
    changes: dict[str, Any] = {}
    kind: type = type(config)
    for name, about in options_of(kind).items():
        value = getattr(config, name)
        if not isinstance(about, Option):
            changes[name] = absolute(value)
        elif about.path and value:
            paths = [
                argument if argument in about.words else _absolute(argument, about)
                for argument in (value if about.many else (value,))
            ]
            changes[name] = tuple(paths) if about.many else paths[0]
    return dataclasses.replace(cast(Any, config), **changes)


def _absolute(argument: str, about: Option) -> str:
    # `NAME=PATH` and globs become absolute where they are looked up.
    if is_remote(argument) or (about.many and not os.path.lexists(argument)):
        return argument
    return os.path.abspath(argument)


def _plain_url(url: str) -> str:
    scheme, _, path = url.partition("://")
    return f"{scheme.lower()}://{posixpath.normpath(path.lstrip('/'))}"


def _places(
    config: Any, use: PathUse, planning: bool = True
) -> Iterator[tuple[str, str, str]]:
    """Yield flag, place and `Option.own` of the options of one use.

    Without `planning`, those are left out that the launcher alone reads.
    """
    kind: type = type(config)
    for name, about in options_of(kind).items():
        value = getattr(config, name)
        if not isinstance(about, Option):
            yield from _places(value, use, planning)
        elif about.path == use and not (about.launcher and not planning):
            for argument in value if about.many else (value,):
                if argument and argument not in about.words:
                    for place in _places_of(flag_of(name), argument, use):
                        yield flag_of(name), place, about.own


def _places_of(flag: str, argument: str, use: PathUse) -> Sequence[str]:
    """Return the places that an argument names, each of a kind that is known.

    Raises:
        UsageError: One is a URL that is not supported.
    """
    try:
        # What is written is a name and never a pattern.
        places = [*places_of(argument)] if use == "read" else [argument]
        for place in places:
            is_remote(place)
    except UnreachableError as error:
        raise UsageError(f"{flag} {error}") from error
    return places
