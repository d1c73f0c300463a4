"""The flags of a command, from the fields of its configuration.

`model.options` says what a field knows of itself. Here it becomes a flag of the parser,
and what was typed becomes the configuration. Imports neither TensorFlow nor Beam.
"""

import argparse
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from model.options import SHARE, Option, option, options_of, wrong_value
from pipelines.errors import UsageError
from transforms.buckets.places import UnreachableError, plain_path

IMAGES: Final = (
    "folders (with all below), globs, image files, .zip or .tar archives, outputs of "
    "ingest and stylize, webdataset:P, parquet:P, tfds:NAME; NAME=P names an input"
)
WEIGHTS: Final = (
    "file of the network's weights, a Keras .h5 or an .npz (default: vgg16 is "
    "packaged, vgg19 is downloaded by Keras)"
)

# Fields that name what a command makes, beside paths that are written: Beam and
# TensorFlow hand them on as UTF-8, while an input may have any name.
_MADE: Final = ("output", "workdir")

_Config = TypeVar("_Config")


def max_failure_rate(what: str) -> float:
    """Return the field `max_failure_rate`; `what` goes on after "a larger share of"."""
    return option(
        0.01, f"exit with 1 when a larger share of {what}", SHARE, metavar="SHARE"
    )


def overwrite() -> bool:
    """Return the field `overwrite`."""
    return option(False, "make everything in the output folder anew")


def flag_of(name: str) -> str:
    """Return the flag of a field.

    >>> flag_of("max_failure_rate")
    '--max-failure-rate'
    """
    return f"--{name.replace('_', '-')}"


def given_options(config: object) -> dict[str, str]:
    """Return the options of a configuration that are not at their default, as typed.

    Args:
        config: Dataclass of options; those of its groups are left out.
    """
    given = {}
    kind: type = type(config)
    for name, about in options_of(kind).items():
        value = getattr(config, name)
        if isinstance(about, Option) and not about.required and value != about.default:
            words = [str(one) for one in value] if about.many else [str(value)]
            given[name] = (",".join if about.read else " ".join)(words)
    return given


def require(condition: bool, flag: str, value: object, expected: str) -> None:
    """Refuse the value of a flag unless a condition holds.

    Raises:
        UsageError: It does not.
    """
    if not condition:
        raise UsageError(f"{flag} {value}: expected {expected}.")


def check_ranges(config: Any) -> None:
    """Refuse a configuration with a value out of the range of its field.

    Raises:
        UsageError: There is one.
    """
    if wrong := wrong_value(config):
        name, value, expected = wrong
        require(False, flag_of(name), value, expected)


def refuse_beam_flags(flags: Sequence[str]) -> None:
    """Refuse all flags that are not ours, for a command that runs without Beam.

    Raises:
        UsageError: There are some.
    """
    if flags:
        raise UsageError(f"unrecognized arguments: {' '.join(flags)}")


def add_flags(
    parser: argparse.ArgumentParser,
    config: type,
    *,
    title: str | None = None,
    typed_only: bool = False,
) -> None:
    """Add a flag for each option of a configuration, in the order of its fields.

    Args:
        parser: Gets them.
        config: Dataclass of options.
        title: Title of a group of their own in the help; by default they have none.
        typed_only: Whether the parser is to tell only what was typed: then nothing is
            required or has a default, and every switch knows `--no-FLAG`.
    """
    options = all_options(config)
    main: Any = parser.add_argument_group(title) if title else parser
    groups: dict[str, Any] = {}
    for name, about in options.items():
        if other := about.instead_of:
            groups[name] = groups[other] = parser.add_mutually_exclusive_group()
    for name, about in options.items():
        _add_flag(groups.get(name, main), name, about, typed_only)
    if not typed_only:
        # After all are added: argparse itself tells defaults in one of its actions.
        parser.set_defaults(
            **{name: typed_default(about) for name, about in options.items()}
        )


def all_options(config: type) -> dict[str, Option]:
    """Return the options of a configuration and of its groups, by name."""
    return dict(_options(config))


def _options(config: type) -> Iterator[tuple[str, Option]]:
    for name, about in options_of(config).items():
        if isinstance(about, Option):
            yield name, about
        else:
            yield from _options(about)


class _Collect(argparse.Action):
    """Adds up what a flag is given several times; its default does not count."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add the values behind the flag to those of before."""
        before = getattr(namespace, self.dest, None)
        given = before if isinstance(before, _Given) else _Given()
        setattr(namespace, self.dest, _Given([*given, *values]))


class _Given(list[Any]):
    """Values that were given, and no default."""


def _add_flag(parser: Any, name: str, about: Option, typed_only: bool) -> None:
    told: dict[str, Any] = {"help": about.text}
    if typed_only:
        told["default"] = argparse.SUPPRESS
    if about.positional:
        if not typed_only:
            told["choices"] = about.choices or None
        else:
            # No place on the command line is left for what a file may say. `choices`
            # would refuse that nothing is typed.
            told["nargs"] = "?"
            told["type"] = functools.partial(_one_of, about.choices)
        parser.add_argument(name, metavar=about.metavar, **told)
        return
    if about.type is bool:
        either = about.default or typed_only
        action = argparse.BooleanOptionalAction if either else "store_true"
        parser.add_argument(flag_of(name), action=action, **told)
        return
    several = about.many and about.read is None
    parser.add_argument(
        flag_of(name),
        action=_Collect if several else "store",
        type=None if about.read or about.type is str else about.type,
        nargs="+" if several else None,
        choices=about.choices or None,
        required=about.required and not typed_only,
        metavar=about.metavar,
        **told,
    )


def _one_of(choices: Sequence[str], word: str) -> str:
    """Return a word that is one of some; any word where there are none."""
    # argparse hands over what stands for nothing, too.
    if not choices or word in choices or word is argparse.SUPPRESS:
        return word
    known = ", ".join(map(repr, choices))
    raise argparse.ArgumentTypeError(f"invalid choice: {word!r} (choose from {known})")


def typed_default(about: Option) -> Any:
    """Return the default of an option as it is typed, for the help."""
    if about.many and about.read:
        return ",".join(
            f"{value:g}" if about.type is float else value for value in about.default
        )
    return about.default


def make_config(config: type[_Config], values: Mapping[str, Any]) -> _Config:
    """Return a configuration from values by the names of its fields.

    Args:
        config: Dataclass of options.
        values: Values of all its options and those of its groups, lists and words as
            typed.

    Raises:
        UsageError: A value cannot be read or is out of range, or two exclude each
            other.
    """
    given = {}
    kind: type = config
    for name, about in options_of(kind).items():
        if isinstance(about, Option):
            given[name] = _value(name, about, values[name])
        else:
            given[name] = make_config(about, values)
    return config(**given)


def _value(name: str, about: Option, value: Any) -> Any:
    if name in _MADE or about.path == "written":
        flag = about.metavar if about.positional else flag_of(name)
        require(value != "", str(flag), "''", "a name; it is empty")
        fine = value is None or _is_utf8(value)
        require(fine, str(flag), ascii(value), "a name in UTF-8")
    if about.path:
        value = _plain(name, value)
    if about.read and isinstance(value, str):
        try:
            return about.read(value)
        except ValueError as error:
            raise UsageError(f"{flag_of(name)} {value}: expected {error}.") from error
    return tuple(value) if about.many else value


def _plain(name: str, value: Any) -> Any:
    """Return paths with `file://` as the paths themselves."""
    try:
        if isinstance(value, str):
            return plain_path(value)
        return value and [plain_path(one) for one in value]
    except UnreachableError as error:
        raise UsageError(f"{flag_of(name)} {error}") from error


def _is_utf8(text: str) -> bool:
    """Return whether an argument was UTF-8; other bytes become lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
