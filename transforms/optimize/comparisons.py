"""What changed when one setting changed: comparisons of runs.

Pure functions on rows of `runs.parquet` of one content and style. A term is compared
only where it means the same in both runs: losses of other layers, sums over other
sizes and totals of other weights are not.
"""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from transforms.optimize.settings import RunSettings, values_in
from transforms.storage.parquet import Row

# Columns of `runs.parquet` that are compared, and what people call them.
TERMS: Final[Mapping[str, str]] = {
    "content": "content loss",
    "style": "style loss",
    "tv": "total variation",
    "high_frequency_energy": "high-frequency energy",
    "total": "total loss",
}

# Settings with which a loss is another quantity. `network` is not a flag of a sweep but
# of a job; an output may hold the runs of several.
_SPOILS: Final[Mapping[str, frozenset[str]]] = {
    "content_layers": frozenset({"content"}),
    "style_layers": frozenset({"style"}),
    "layer_weights": frozenset({"style"}),
    "tv": frozenset({"tv"}),
    "size": frozenset(TERMS),
    "network": frozenset({"content", "style"}),
    "preserve_color": frozenset({"style"}),
    "pooling": frozenset({"content", "style"}),
    "style_scale": frozenset({"style"}),
}

# Settings that leave what is minimised as it is: with any other the total is the sum of
# other things.
_SEARCH: Final = frozenset(
    [
        "optimizer",
        "learning_rate",
        "steps",
        "init",
        "pyramid",
        "precision",
        "tolerance",
        "seed",
    ]
)

# What only decides which pictures are kept on the way.
_IDLE: Final = frozenset({"snapshots"})

# A smaller change is the last digit of a loss, which nobody sees.
HARDLY: Final = 0.02
SAME: Final = 0.0005


def settings_of(row: Row) -> dict[str, Any]:
    """Return all that may differ between the runs of two images, by name."""
    settings = values_in(row["settings"])
    values = {k: v for k, v in settings.items() if k not in _IDLE}
    return {**values, "network": f"{row['network']} {row['network_sha256'][:8]}"}


def key(value: Any) -> Hashable:
    """Return a setting's value as a key of a dictionary."""
    return tuple(value) if isinstance(value, list) else value


def swept(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return the settings that differ between runs, with their values in order."""
    found: dict[str, dict[Hashable, Any]] = {}
    for row in rows:
        for name, value in settings_of(row).items():
            found.setdefault(name, {})[key(value)] = value
    return {
        name: sorted(values.values(), key=_place)
        for name, values in found.items()
        if len(values) > 1
    }


def _place(value: Any) -> tuple[Any, ...]:
    """Order numbers by size, lists by length, words by the alphabet."""
    if isinstance(value, list):
        return (1, len(value), list(map(str, value)))
    return (0, value, []) if isinstance(value, int | float) else (2, 0, [str(value)])


def differences(row: Row, other: Row) -> list[str]:
    """Return the settings in which two runs differ."""
    theirs = settings_of(other)
    return [n for n, value in settings_of(row).items() if key(value) != key(theirs[n])]


def choose_baseline(rows: Sequence[Row]) -> Row:
    """Return the run that the others are compared with.

    The one that most others differ from in a single setting; of equals, the one nearest
    to the defaults, then the first by the name of its files.
    """
    default = RunSettings().to_json()
    # Runs with all settings but one in common, counted without comparing all pairs.
    buckets: dict[Hashable, int] = {}
    for row in rows:
        for bucket in _buckets(row):
            buckets[bucket] = buckets.get(bucket, 0) + 1

    def rank(row: Row) -> tuple[int, int, str]:
        neighbours = sum(buckets[bucket] - 1 for bucket in _buckets(row))
        settings = values_in(row["settings"])
        changed = sum(settings[n] != value for n, value in default.items())
        return -neighbours, changed, row["path"]

    return min(rows, key=rank)


def _buckets(row: Row) -> list[Hashable]:
    values = {name: key(value) for name, value in settings_of(row).items()}
    whole = tuple(values.values())
    return [(n, *whole[:i], *whole[i + 1 :]) for i, n in enumerate(values)]


@dataclasses.dataclass(frozen=True, slots=True)
class Effect:
    """What became of the terms when one setting changed.

    Attributes:
        setting: Name of the setting.
        before: Value of the setting in the baseline.
        after: The other value.
        changes: For each term that can be compared, after / before - 1.
        layers: The same for losses by layer that both runs have, where their term as a
            whole cannot be compared.
    """

    setting: str
    before: Any
    after: Any
    changes: Mapping[str, float]
    layers: Mapping[str, float] = dataclasses.field(default_factory=dict)


def find_effects(rows: Sequence[Row], baseline: Row) -> list[Effect]:
    """Return what each change of a single setting did, by setting and value."""
    found = []
    for row in rows:
        changed = differences(row, baseline)
        if len(changed) == 1:
            found.append(_effect(changed[0], row, baseline))
    order = list(swept(rows))
    return sorted(found, key=lambda e: (order.index(e.setting), _place(e.after)))


def _effect(setting: str, row: Row, baseline: Row) -> Effect:
    spoilt = set(_SPOILS.get(setting, ()))
    if setting not in _SEARCH:
        spoilt.add("total")
    pairs = {term: (baseline[term], row[term]) for term in TERMS if term not in spoilt}
    layers: dict[str, tuple[float, float]] = {}
    if setting in ("content_layers", "style_layers", "layer_weights"):
        before, after = (dict(r["losses_by_layer"]) for r in (baseline, row))
        kind = "content/" if setting == "content_layers" else "style/"
        layers = {
            name: (value, after[name])
            for name, value in before.items()
            if name in after and name.startswith(kind)
        }
    return Effect(
        setting,
        settings_of(baseline)[setting],
        settings_of(row)[setting],
        _relative(pairs),
        _relative(layers),
    )


def _relative(pairs: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    return {
        name: after / before - 1 for name, (before, after) in pairs.items() if before
    }
