"""Settings that people choose: one dataclass field with all that is known of it.

    quality: int = option(95, "quality of a JPEG picture", between(1, 100))

The type and the default are those of the field. Help, range and the rest lie in its
metadata, so the flag of a command, its line in the documentation and the check of its
value all follow from the field. A field whose type is a dataclass of options is a group
of them. It stands in `model` because the settings of a training and of an optimised
picture are flags too. Imports neither TensorFlow nor Beam.
"""

import contextlib
import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar

_KEY: Final = "option"

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """The values that an option may have.

    Attributes:
        holds: Tells whether a value is among them.
        text: The same in words, as they follow "expected".
    """

    holds: Callable[[Any], bool]
    text: str


def at_least(least: int, text: str = "") -> Range:
    """Return the range of all numbers from `least` on."""
    return Range(lambda value: value >= least, text or f"at least {least}")


def between(least: int, most: int, text: str = "") -> Range:
    """Return the range of all numbers from `least` to `most`, both included."""
    return Range(lambda value: least <= value <= most, text or f"{least} to {most}")


def zero_or_at_least(least: int) -> Range:
    """Return the range of a size in pixels, where 0 keeps the size."""
    return Range(
        lambda value: value == 0 or value >= least, f"0 (keep) or at least {least}"
    )


# What a path is for.
PathUse = Literal["read", "written"]

SHARE: Final = between(0, 1, "a share in [0, 1]")
NOT_NEGATIVE: Final = at_least(0, "not negative")
# The draws mix a seed with 16 bits of their own.
SEED: Final = between(0, 2**47 - 1, "0 to 2^47 - 1")


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """What is known of a field that people set.

    Attributes:
        help: What it does, a phrase that stands alone.
        within: The values it may have; each one of a tuple must be among them.
        metavar: What the help calls its value.
        read: Makes the value from one word, where that is not done by the type alone;
            raises ValueError.
        instead_of: Another option that may not be given beside this one.
        path: Whether its value is a path, and of what: `read` of an input, `written` of
            an output. No input and output may lie inside one another.
        words: Values of a path that are names of something else.
        own: Name of the one file inside the output that may be read all the same.
        launcher: Whether only the launcher reads the path, and no worker of a job.
        type: Type of the value, or of each value of a tuple.
        many: Whether the value is a tuple.
        choices: All values, where they are words out of some.
        required: Whether it must be given.
        positional: Whether it stands on the command line without a flag.
        default: The value when none is given.
    """

    help: str
    within: Range | None = None
    metavar: str | None = None
    read: Callable[[str], Any] | None = None
    instead_of: str = ""
    path: PathUse | None = None
    words: tuple[str, ...] = ()
    own: str = ""
    launcher: bool = False
    type: Any = str
    many: bool = False
    choices: tuple[str, ...] = ()
    required: bool = False
    default: Any = None
    positional: bool = False

    @property
    def text(self) -> str:
        """The help with the range."""
        return f"{self.help}; {self.within.text}" if self.within else self.help


def option(
    default: _T,
    help: str,
    within: Range | None = None,
    *,
    metavar: str | None = None,
    read: Callable[[str], Any] | None = None,
    instead_of: str = "",
    path: PathUse | None = None,
    words: tuple[str, ...] = (),
    own: str = "",
    launcher: bool = False,
) -> _T:
    """Return a field with a default; the arguments are those of `Option`."""
    about = Option(help, within, metavar, read, instead_of, path, words, own, launcher)
    return dataclasses.field(default=default, metadata={_KEY: about})


def required(
    help: str,
    within: Range | None = None,
    *,
    metavar: str,
    path: PathUse | None = None,
) -> Any:
    """Return a field that must be given; the arguments are those of `Option`."""
    about = Option(help, within, metavar, path=path)
    return dataclasses.field(metadata={_KEY: about})


def positional(help: str, *, metavar: str, path: PathUse | None = None) -> Any:
    """Return a field that must be given, without a flag."""
    about = Option(help, None, metavar, path=path, positional=True)
    return dataclasses.field(metadata={_KEY: about})


@functools.cache
def options_of(config: type) -> Mapping[str, Option | type]:
    """Return the options of a dataclass by name; for a group of options its class."""
    hints = typing.get_type_hints(config)
    return {
        field.name: _complete(field.metadata[_KEY], hints[field.name], field.default)
        if _KEY in field.metadata
        else hints[field.name]
        for field in dataclasses.fields(config)
    }


def _complete(about: Option, hint: Any, default: Any) -> Option:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (hint,) = (one for one in typing.get_args(hint) if one is not types.NoneType)
    many = typing.get_origin(hint) is tuple
    kind = typing.get_args(hint)[0] if many else hint
    choices: tuple[str, ...] = ()
    if typing.get_origin(kind) is Literal:
        kind, choices = str, typing.get_args(kind)
    about = dataclasses.replace(about, type=kind, many=many, choices=choices)
    if default is dataclasses.MISSING:
        return dataclasses.replace(about, required=True)
    return dataclasses.replace(about, default=default)


def wrong_value(config: object) -> tuple[str, object, str] | None:
    """Return the first value out of its range: its name, itself, what was expected.

    Args:
        config: Dataclass of options.
    """
    kind: type = type(config)
    for name, about in options_of(kind).items():
        value = getattr(config, name)
        if not isinstance(about, Option):
            if wrong := wrong_value(value):
                return wrong
            continue
        for one in value if about.many else (value,):
            if one is None:
                continue
            if about.choices and one not in about.choices:
                return name, one, f"one of {', '.join(about.choices)}"
            if about.within and not about.within.holds(one):
                return name, one, about.within.text
    return None


def words(text: str) -> tuple[str, ...]:
    """Return the words between commas.

    >>> words("block1_conv1, block2_conv1"), words("")
    (('block1_conv1', 'block2_conv1'), ())
    """
    return tuple(word.strip() for word in text.split(",")) if text.strip() else ()


def _as_share(word: str) -> str:
    """Return what was found in place of a number, and how it is written.

    >>> _as_share("50%")
    ", found '50%'; write 0.5"
    """
    found = f", found {word!r}"
    with contextlib.suppress(ValueError):
        found += f"; write {float(word.removesuffix('%')) / 100:g}"
    return found


def numbers(text: str) -> tuple[float, ...]:
    """Return the numbers between commas.

    Raises:
        ValueError: One is no number; the message is what was expected.
    """
    found = []
    for word in words(text):
        try:
            found.append(float(word))
        except ValueError as error:
            raise ValueError(f"numbers with commas{_as_share(word)}") from error
    return tuple(found)
