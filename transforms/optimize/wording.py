"""Comparisons in words: what a setting did, in a sentence."""

import itertools
import math
import statistics
from collections.abc import Hashable, Mapping, Sequence

from transforms.optimize.comparisons import (
    HARDLY,
    SAME,
    TERMS,
    Effect,
    find_effects,
    key,
    swept,
)
from transforms.optimize.settings import flag_of, shown_value
from transforms.storage.parquet import Row


def shown_change(change: float) -> str:
    """Return a relative change for a table.

    >>> [shown_change(c) for c in (-0.624, 0.004, 0.08, 3.2)]
    ['−62 %', '+0.4 %', '+8 %', '×4.2']
    """
    if change >= 1:
        return f"×{1 + change:.3g}" if change < 99 else f"×{1 + change:.1e}"
    digits = 1 if abs(change) < HARDLY / 2 else 0
    if change < -0.99:
        digits = 1
    return f"{change * 100:+.{digits}f} %".replace("-", "−")


def moved(change: float) -> str:
    """Return what a term did, as a verb.

    >>> [moved(c) for c in (-0.624, 0.004, 0.08, 3.2)]
    ['fell by 62 %', 'hardly moved (+0.4 %)', 'rose by 8 %', 'rose to 4.2 times']
    """
    if abs(change) < SAME:
        return "stayed the same"
    if abs(change) < HARDLY:
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
        if max(line) / max(min(line), 1e-12) < 1 + 2 * HARDLY:
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
        if abs(change) >= HARDLY:
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
