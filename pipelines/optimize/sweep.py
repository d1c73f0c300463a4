"""Sweep files: which settings are run on every content × style.

    [settings]                  # of every run, in place of the flags
    steps = 200

    [sweep]                     # lists; every combination of them is a run
    style-weight = [100, 1000]
    tv-weight = [0, 1]

    [[run]]                     # and runs one by one
    name = "deep content"
    content-layers = ["block5_conv2"]

Keys are the flags of the command without their dashes.
"""

import dataclasses
import itertools
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from model.config import Network
from pipelines.errors import UsageError
from transforms.optimize.settings import (
    CHOICES,
    SETTING_NAMES,
    RunSettings,
    Setting,
    flag_of,
)
from transforms.storage.text import read_text, shown

# A thousand settings written one by one take a tenth of it.
_MAX_BYTES: Final = 1 << 24

_TABLES: Final = ("settings", "sweep", "run")
_NAMES: Final = {flag_of(name): name for name in SETTING_NAMES}
_DEFAULTS: Final = RunSettings().values()


@dataclasses.dataclass(frozen=True, slots=True)
class Sweep:
    """The settings that are run, not yet multiplied out.

    Attributes:
        base: What holds where nothing else is said.
        product: Lists of values by setting; every combination is run.
        runs: Changes of the base by name, each run once.
        origin: Where it came from, for error messages.
    """

    base: RunSettings
    product: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    runs: Sequence[tuple[str, Mapping[str, Any]]] = ()
    origin: str = ""

    def __len__(self) -> int:
        """Return how many settings there are, told without making them."""
        combinations = math.prod(len(values) for values in self.product.values())
        return (combinations if self.product or not self.runs else 0) + len(self.runs)

    def settings(self, network: Network) -> tuple[Setting, ...]:
        """Return all settings; equal ones once, by the name of the last.

        Args:
            network: The network that has the layers.

        Raises:
            UsageError: A value is out of range.
        """
        base = self.base.values()
        found: dict[RunSettings, str] = {}
        for name, changes in self._changes():
            settings = RunSettings.from_values({**base, **changes})
            check(settings, network, self.origin)
            found[settings] = name or found.get(settings, "")
        return tuple(Setting(settings, name) for settings, name in found.items())

    def _changes(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if self.product or not self.runs:
            for values in itertools.product(*self.product.values()):
                yield "", dict(zip(self.product, values, strict=True))
        yield from self.runs


def check(settings: RunSettings, network: Network, origin: str) -> None:
    """Check the values of settings.

    Args:
        settings: The settings.
        network: The network that has the layers.
        origin: The sweep file; empty for flags.

    Raises:
        UsageError: One is out of range.
    """
    if wrong := settings.complaint(network):
        name, value, expected = wrong
        place = f"--sweep {origin}: {flag_of(name)}" if origin else f"--{flag_of(name)}"
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
        raise UsageError(f"{place} {shown}: expected {expected}.")


def read_sweep(path: str, base: RunSettings) -> Sweep:
    """Read a sweep file.

    Args:
        path: Local path or URL.
        base: The settings of the command line.

    Raises:
        UsageError: The file cannot be read, has an unknown key or a value of the wrong
            type.
    """
    try:
        data = tomllib.loads(read_text(path, _MAX_BYTES))
    except RecursionError as e:
        raise UsageError(
            f"--sweep {path}: lists or tables are nested in one another too deeply."
        ) from e
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"--sweep {path}: {error}") from error
    reader = _Reader(path)
    reader.check_keys(data, _TABLES, "the file")
    common = reader.settings(reader.table(data, "settings"), "[settings]")
    product = {
        name: reader.values(name, values)
        for name, values in reader.named(reader.table(data, "sweep"), "[sweep]")
    }
    runs = data.get("run", [])
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise reader.error("run", runs, "tables that begin with [[run]]")
    named = []
    for number, run in enumerate(runs, 1):
        name = run.get("name", "")
        if not isinstance(name, str):
            raise reader.error(f"[[run]] {number}: name", name, "a text")
        settings = {key: value for key, value in run.items() if key != "name"}
        where = f"[[run]] {name[:80] or number}"
        named.append((name, reader.settings(settings, where, ("name",))))
    names = [name for name, _ in named if name]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise reader.error("[[run]] name", twice[0], "another name for each run")
    merged = RunSettings.from_values({**base.values(), **common})
    return Sweep(merged, product, named, path)


@dataclasses.dataclass(frozen=True, slots=True)
class _Reader:
    """Turns parts of a file into settings, or into an error that names the part."""

    path: str

    def error(self, what: str, value: object, expected: str) -> UsageError:
        return UsageError(
            f"--sweep {self.path}: {what}: expected {expected}. Received: "
            f"{shown(value)}"
        )

    def check_keys(
        self, table: Mapping[str, Any], known: Sequence[str], where: str
    ) -> None:
        unknown = [key for key in table if key not in known]
        if unknown:
            raise UsageError(
                f"--sweep {self.path}: {where} has the unknown key "
                f"{shown(unknown[0])}. The keys are: {', '.join(known)}."
            )

    def table(self, data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        table = data.get(name, {})
        if not isinstance(table, dict):
            raise self.error(name, table, f"a table that begins with [{name}]")
        return table

    def named(
        self, table: Mapping[str, Any], where: str, also: Sequence[str] = ()
    ) -> Iterator[tuple[str, Any]]:
        self.check_keys(table, (*also, *_NAMES), where)
        return ((_NAMES[key], value) for key, value in table.items())

    def settings(
        self, table: Mapping[str, Any], where: str, also: Sequence[str] = ()
    ) -> dict[str, Any]:
        return {
            name: self.value(name, value, where)
            for name, value in self.named(table, where, also)
        }

    def values(self, name: str, values: Any) -> list[Any]:
        if not isinstance(values, list) or not values:
            kind = f"a list of values, each {_kind(name)}"
            raise self.error(f"[sweep] {flag_of(name)}", values, kind)
        return [self.value(name, value, "[sweep]") for value in values]

    def value(self, name: str, value: Any, where: str) -> Any:
        """Return a value of the type that a setting has."""
        default = _DEFAULTS[name]
        if isinstance(default, tuple):
            one = float if name == "layer_weights" else str
            right = isinstance(value, list) and all(_is(one, v) for v in value)
            if right:
                return tuple(one(v) for v in value)
        elif _is(type(default), value) and value in CHOICES.get(name, [value]):
            return type(default)(value)
        raise self.error(f"{where} {flag_of(name)}", value, _kind(name))


def _is(kind: type, value: Any) -> bool:
    # TOML's nan and inf are numbers; True is an int to isinstance.
    if type(value) not in ((int, float) if kind is float else (kind,)):
        return False
    try:
        return kind is str or math.isfinite(value)
    except OverflowError:  # a whole number that is too large for a float
        return False


def _kind(name: str) -> str:
    if name in CHOICES:
        return " or ".join(CHOICES[name])
    default = _DEFAULTS[name]
    if isinstance(default, tuple):
        return f"a list of {'numbers' if name == 'layer_weights' else 'layers'}"
    return "a whole number" if isinstance(default, int) else "a number"
