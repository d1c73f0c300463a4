"""What the report says follows from the numbers: pure functions on rows."""

import itertools

import pytest

from transforms.optimize.comparisons import (
    Effect,
    choose_baseline,
    find_effects,
    swept,
)
from transforms.optimize.settings import RunSettings
from transforms.optimize.wording import common_effects, conclusions, sentence

NUMBERS = itertools.count()


def row(content=100.0, style=10.0, variation=50.0, energy=200.0, layers=(), **settings):
    # Whatever the defaults are.
    values = RunSettings.from_values(
        {"style_weight": 1000.0, "tv_weight": 0.0, **settings}
    )
    return {
        "settings": values.to_json(),
        "path": f"{next(NUMBERS):04d}",
        "network": "vgg16",
        "network_sha256": "5" * 64,
        "name": "",
        "content": content,
        "style": style,
        "tv": variation,
        "high_frequency_energy": energy,
        "total": content + style,
        "losses_by_layer": list(layers),
    }


def test_settings_that_differ_are_found_from_the_data():
    rows = [
        row(tv_weight=20.0),
        row(tv_weight=3.0, snapshots=2),
        row(style_layers=("block1_conv1",), tv_weight=3.0),
    ]
    assert swept(rows) == {
        "style_layers": [["block1_conv1"], list(RunSettings().gatys.style_layers)],
        "tv_weight": [3.0, 20.0],
    }
    assert swept(rows[:1]) == {}


def test_baseline_is_the_run_that_most_differ_from_in_one_setting():
    middle = row(steps=9)
    others = [{"seed": 1}, {"init": "noise"}, {"tv_weight": 1.0}]
    rows = [*(row(steps=9, **other) for other in others), middle]
    assert choose_baseline(rows) is middle
    # All are as near to each other: the nearest to the defaults.
    default = row()
    assert choose_baseline([row(steps=9), row(steps=8), default]) is default


def test_an_effect_is_one_setting_apart_and_relative():
    base = row()
    rows = [
        base,
        row(tv_weight=20.0, content=108.0, energy=76.0, variation=25.0),
        row(tv_weight=20.0, steps=9),
        row(steps=9, style=5.0),
    ]
    tv, steps = find_effects(rows, base)
    assert (tv.setting, tv.before, tv.after) == ("tv_weight", 0.0, 20.0)
    assert tv.changes == pytest.approx(
        {"content": 0.08, "style": 0, "tv": -0.5, "high_frequency_energy": -0.62}
    )
    # Nothing but the search changed, so the totals are of the same sum.
    assert steps.changes["total"] == pytest.approx(105 / 110 - 1)


def test_the_example_of_the_issue():
    base = row(tv_weight=2.0)
    more = row(tv_weight=20.0, content=108.0, energy=76.0)
    (effect,) = find_effects([base, more], base)
    assert sentence(effect) == (
        "With tv-weight ×10 (2 → 20), high-frequency energy fell by 62 %, content loss "
        "rose by 8 %, style loss stayed the same, total variation stayed the same."
    )


@pytest.mark.parametrize(
    ("settings", "spoilt"),
    [
        ({"content_layers": ("block5_conv2",)}, {"content"}),
        ({"style_layers": ("block1_conv1",)}, {"style"}),
        ({"layer_weights": (1.0, 1.0, 1.0, 1.0, 1.0)}, {"style"}),
        ({"tv": "isotropic"}, {"tv"}),
        ({"preserve_color": "histogram"}, {"style"}),
        ({"style_weight": 1.0}, set()),
        ({"size": 64}, {"content", "style", "tv", "high_frequency_energy"}),
    ],
)
def test_terms_that_became_other_quantities_are_not_compared(settings, spoilt):
    base = row()
    (effect,) = find_effects([base, row(**settings)], base)
    terms = {"content", "style", "tv", "high_frequency_energy"}
    assert set(effect.changes) == terms - spoilt
    assert sentence(effect).startswith("With ")


def test_layers_that_both_runs_have_are_compared_by_themselves():
    both = [("content/block4_conv2", 1.0), ("style/block1_conv1", 4.0)]
    base = row(layers=[*both, ("style/block2_conv1", 1.0)])
    other = row(
        layers=[both[0], ("style/block1_conv1", 3.0)], style_layers=("block1_conv1",)
    )
    (effect,) = find_effects([base, other], base)
    assert effect.layers == {"style/block1_conv1": -0.25}
    assert "where both have one, at 1.1 it fell by 25 %." in sentence(effect)


def test_what_always_rises_or_falls_is_said():
    base = row()
    rows = [base, row(style_weight=10.0, style=20.0, content=50.0)]
    rows.append(row(style_weight=100.0, style=15.0, content=80.0))
    said = conclusions(rows, base)
    assert (
        "The larger style-weight (10, 100, 1000), the smaller the style loss; the "
        "larger the content loss." in said
    )


def test_the_strongest_change_of_each_term_is_said():
    base = row()
    rows = [
        base,
        row(style_weight=10.0, style=40.0),
        row(tv_weight=9.0, energy=50.0),
        row(steps=900, style=9.0),
    ]
    said = conclusions(rows, base)[-1]
    assert said == (
        "Of 3 changes, style-weight ÷100 (1000 → 10) moved the style loss (×4) most; "
        "tv-weight 9 instead of 0 moved the high-frequency energy (−75 %) most."
    )


def test_a_single_run_concludes_nothing():
    only = row()
    assert conclusions([only], choose_baseline([only])) == []


def test_effects_of_many_pairs_are_medians_with_ranges():
    found = [
        [Effect("tv_weight", 0.0, 9.0, {"content": change, "tv": -0.5})]
        for change in (0.1, 0.3, 0.2)
    ]
    found[0].append(Effect("steps", 300, 30, {"content": 0.4}))
    (tv, count, text), (steps, one, _) = common_effects(found)
    assert (tv.changes["content"], count) == (0.2, 3)
    assert "content loss rose by 20 % (+10 % to +30 %)" in text
    assert (steps.setting, one) == ("steps", 1)


def test_a_term_that_was_zero_is_left_out():
    base = row(variation=0.0)
    (effect,) = find_effects([base, row(variation=5.0, steps=9)], base)
    assert "tv" not in effect.changes
