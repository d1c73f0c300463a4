"""What changed when one setting changed: comparisons of runs, and their sentences.

Pure functions on rows of `runs.parquet` of one content and style. A term is compared
only where it means the same in both runs: losses of other layers, sums over other
sizes and totals of other weights are not.
"""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from transforms.optimize.settings import RunSettings, flag_of, shown_value
from transforms.storage.journal import Row

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

# Less is the last digit of a loss, which nobody sees.
_HARDLY: Final = 0.02
_SAME: Final = 0.0005


def settings_of(row: Row) -> dict[str, Any]:
    """Return all that may differ between the runs of two images, by name."""
    values = {k: v for k, v in row["settings"].items() if k not in _IDLE}
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
        changed = sum(row["settings"][n] != value for n, value in default.items())
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
        before: Its value in the baseline.
        after: Its other value.
        changes: Of each term that can be compared, after / before - 1.
        layers: Likewise of losses by layer that both runs have, where their term as a
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


def shown_change(change: float) -> str:
    """Return a relative change for a table.

    >>> [shown_change(c) for c in (-0.624, 0.004, 0.08, 3.2)]
    ['−62 %', '+0.4 %', '+8 %', '×4.2']
    """
    if change >= 1:
        return f"×{1 + change:.3g}" if change < 99 else f"×{1 + change:.1e}"
    digits = 1 if abs(change) < _HARDLY / 2 else 0
    if change < -0.99:
        digits = 1
    return f"{change * 100:+.{digits}f} %".replace("-", "−")


def moved(change: float) -> str:
    """Return what a term did, as a verb.

    >>> [moved(c) for c in (-0.624, 0.004, 0.08, 3.2)]
    ['fell by 62 %', 'hardly moved (+0.4 %)', 'rose by 8 %', 'rose to 4.2 times']
    """
    if abs(change) < _SAME:
        return "stayed the same"
    if abs(change) < _HARDLY:
        return f"hardly moved ({shown_change(change)})"
    if change >= 1:
        return f"rose to {1 + change:.3g} times"
    digits = 1 if change < -0.99 else 0
    return f"{'rose' if change > 0 else 'fell'} by {abs(change) * 100:.{digits}f} %"


def step_of(effect: Effect) -> str:
    """Return the change of a setting, for people.

    >>> step_of(Effect("tv_weight", 2.0, 20.0, {}))
    'tv-weight ×10 (2 → 20)'
    >>> step_of(Effect("init", "content", "noise", {}))
    'init noise instead of content'
    """
    name = flag_of(effect.setting)
    before, after = (
        shown_value(effect.setting, value) for value in (effect.before, effect.after)
    )
    numbers = isinstance(effect.before, int | float) and effect.before and effect.after
    if numbers and effect.setting != "seed":
        ratio = effect.after / effect.before
        factor = f"×{ratio:.3g}" if ratio > 1 else f"÷{1 / ratio:.3g}"
        return f"{name} {factor} ({before} → {after})"
    return f"{name} {after} instead of {before}"


def sentence(effect: Effect, about: Mapping[str, str] | None = None) -> str:
    """Return what one change did, in words.

    Args:
        effect: The change.
        about: What to say behind a term instead of a small change: a range.

    >>> changes = {"high_frequency_energy": -0.62, "content": 0.08}
    >>> sentence(Effect("tv_weight", 2.0, 20.0, changes))
    'With tv-weight ×10 (2 → 20), high-frequency energy fell by 62 %, content loss rose by 8 %.'
    """  # noqa: E501
    ordered = sorted(effect.changes.items(), key=lambda item: -_force(item[1]))
    about = about or {}
    parts = [
        f"{TERMS[term]} {moved(change)}"
        if term not in about
        # The range tells it.
        else f"{TERMS[term]} {moved(change).partition(' (')[0]} ({about[term]})"
        for term, change in ordered
    ]
    said = ", ".join(parts) or "no term can be compared"
    text = f"With {step_of(effect)}, {said}."
    if effect.layers:
        at = [
            f"at {shown_value('', [name.partition('/')[2]])} it {moved(change)}"
            for name, change in effect.layers.items()
        ]
        kind = next(iter(effect.layers)).partition("/")[0]
        text += (
            f" The {kind} loss as a whole is of other layers; where both have one, "
            f"{', '.join(at)}."
        )
    return text


def _force(change: float) -> float:
    """Return how far a ratio is from 1, halving and doubling alike."""
    return abs(math.log(max(1 + change, 1e-12)))


def conclusions(rows: Sequence[Row], baseline: Row) -> list[str]:
    """Return what the runs of two images say, a sentence each; may be empty."""
    effects = find_effects(rows, baseline)
    said = [sentence(effect) for effect in effects]
    said += [text for name in swept(rows) for text in _trend(name, effects, baseline)]
    if len(effects) > 2:
        said += _strongest(effects)
    return said


def _trend(name: str, effects: Sequence[Effect], baseline: Row) -> list[str]:
    """Return what always rises or falls with a number that has three values or more."""
    along = [effect for effect in effects if effect.setting == name]
    if len(along) < 2 or not isinstance(along[0].after, int | float) or name == "seed":
        return []
    points = [(along[0].before, dict.fromkeys(TERMS, 0.0))]
    points += [(effect.after, dict(effect.changes)) for effect in along]
    points.sort(key=lambda point: point[0])
    rises, falls = [], []
    for term, noun in TERMS.items():
        if any(term not in changes for _, changes in points):
            continue
        line = [1 + changes[term] for _, changes in points]
        if max(line) / max(min(line), 1e-12) < 1 + 2 * _HARDLY:
            continue
        steps = [b - a for a, b in itertools.pairwise(line)]
        if all(step > 0 for step in steps):
            rises.append(f"the {noun}")
        elif all(step < 0 for step in steps):
            falls.append(f"the {noun}")
    if not rises and not falls:
        return []
    values = ", ".join(shown_value(name, value) for value, _ in points)
    said = [f"the smaller {_listed(falls)}"] if falls else []
    said += [f"the larger {_listed(rises)}"] if rises else []
    return [f"The larger {flag_of(name)} ({values}), {'; '.join(said)}."]


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def _strongest(effects: Sequence[Effect]) -> list[str]:
    """Return which change moved each term most."""
    most: dict[str, list[str]] = {}
    for term in ("content", "style", "high_frequency_energy"):
        candidates = [e for e in effects if term in e.changes]
        if len(candidates) < 2:
            continue
        first = max(candidates, key=lambda e: _force(e.changes[term]))
        change = first.changes[term]
        if abs(change) >= _HARDLY:
            what = f"the {TERMS[term]} ({shown_change(change)})"
            most.setdefault(step_of(first), []).append(what)
    said = [f"{change} moved {_listed(terms)} most" for change, terms in most.items()]
    return [f"Of {len(effects)} changes, {'; '.join(said)}."] if said else []


def common_effects(found: Sequence[Sequence[Effect]]) -> list[tuple[Effect, int, str]]:
    """Return the effects that several pairs of images have in common.

    Args:
        found: The effects of each pair.

    Returns:
        For each change its effect, medians over the pairs, how many pairs have it, and
        its sentence with the ranges; by how many, then as first met.
    """
    groups: dict[Hashable, list[Effect]] = {}
    for effects in found:
        for one in effects:
            same = (one.setting, key(one.before), key(one.after))
            groups.setdefault(same, []).append(one)
    common = []
    for group in groups.values():
        first = group[0]
        changes: dict[str, list[float]] = {}
        for effect in group:
            for term, change in effect.changes.items():
                changes.setdefault(term, []).append(change)
        median = {term: statistics.median(values) for term, values in changes.items()}
        effect = Effect(first.setting, first.before, first.after, median)
        ends = {
            term: [shown_change(min(values)), shown_change(max(values))]
            for term, values in changes.items()
        }
        ranges = {
            term: f"{low} to {high}"
            for term, (low, high) in ends.items()
            if low != high
        }
        common.append((effect, len(group), sentence(effect, ranges)))
    return sorted(common, key=lambda item: -item[1])
