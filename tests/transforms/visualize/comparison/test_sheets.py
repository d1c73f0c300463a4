"""Sheets of comparisons: what stands in which column, and the numbers."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from transforms.visualize.comparison.sheets import draw_comparison
from transforms.visualize.settings import Channels


@pytest.fixture
def maps(rng):
    def make(channels=3, height=6, width=8):
        values = rng.normal(0.5, 1, (height, width, channels))
        return np.maximum(values, 0).astype(np.float32)

    return make


def tiles(sheet, part):
    return [tile for tile in sheet.tiles if tile.part == part]


def test_a_triple_has_a_column_for_each_picture(triples, see_triple, maps):
    features = [maps(), maps(height=9), maps()]
    pictures, first, second = draw_comparison(see_triple(features), triples)
    assert [t.source for t in pictures.tiles] == ["0.png", "1.png", "2.png"]
    assert (first.layer, second.layer) == triples.layers
    assert [t.rank for t in tiles(first, "gram")] == [1, 2, 3]
    shown = tiles(first, "map")
    assert [t.rank for t in shown] == [1, 2, 3] * 2
    # The same channel in each column, the most active of all pictures first.
    busy = np.argsort(-np.mean([f.mean(axis=(0, 1)) for f in features], axis=0))
    assert [t.channel for t in shown] == [c for c in busy[:2] for _ in range(3)]
    assert [t.maximum for t in shown[:3]] == [f[..., busy[0]].max() for f in features]
    for sheet in (pictures, first):
        assert Image.open(io.BytesIO(sheet.data)).size == sheet.size
        for tile in sheet.tiles:
            left, top, width, height = tile.box
            assert left + width <= sheet.size[0]
            assert top + height <= sheet.size[1]


def test_a_result_like_the_style_is_aligned_and_one_like_the_content_is_not(
    triples, see_triple, maps
):
    content, style = maps(), 2 * maps()
    two = dataclasses.replace(triples, results=("one", "two"))
    seen = see_triple([content, style, style, content], results=2)
    _, sheet, _ = draw_comparison(seen, two)
    (facts,) = sheet.facts
    for part in ("mean", "std", "gram"):
        before, aligned, not_at_all = facts[part]
        assert before == not_at_all > 0.1
        assert aligned == 0
    assert facts["content"][1] == 0 < facts["content"][0]


def test_half_of_a_style_and_blends_ask_for_what_lies_between(
    triples, see_triple, maps
):
    content, one, other = maps(), maps(), maps()

    def moments(values):
        return values.mean(axis=(0, 1)), values.std(axis=(0, 1))

    seen = see_triple([content, one, other, content], 2, 1, (0.25, 0.75), alpha=0.5)
    _, sheet, _ = draw_comparison(seen, triples)
    for part, own, a, b in zip(
        ("mean", "std"), *map(moments, (content, one, other)), strict=True
    ):
        asked = 0.5 * own + 0.5 * (0.25 * a + 0.75 * b)
        expected = np.linalg.norm(own - asked) / np.linalg.norm(asked)
        assert sheet.facts[0][part] == pytest.approx([expected] * 2, rel=1e-5)


def test_pictures_of_other_sizes_have_no_difference_place_by_place(
    triples, see_triple, maps
):
    _, sheet, _ = draw_comparison(see_triple([maps(), maps(), maps(3, 4, 5)]), triples)
    assert sheet.facts[0]["content"] == [None]


def test_silent_layers_are_drawn_and_have_no_share(triples, see_triple):
    zeros = np.zeros((6, 8, 3), np.float32)
    _, sheet, _ = draw_comparison(see_triple([zeros] * 3), triples)
    assert sheet.facts[0]["mean"] == [None, None]
    assert all(tile.zero for tile in tiles(sheet, "map"))


def test_networks_have_their_own_channels_and_those_beside_are_alike(
    networks, see_photograph, maps
):
    layer, deeper = networks.layers
    own = maps()
    other = np.concatenate([maps(2), 5 * own[..., [2, 0]]], axis=-1)
    seen = see_photograph({layer: own, deeper: maps()}, {layer: other})
    listed = dataclasses.replace(networks, channels=Channels(listed=(0, 2)))
    _, sheet, alone = draw_comparison(seen, listed)
    assert [(t.channel, t.rank) for t in tiles(sheet, "map")] == [
        (0, 1),
        (3, 2),
        (2, 1),
        (2, 2),
    ]
    assert [(f["channel"], f["partner"]) for f in sheet.facts] == [(0, 3), (2, 2)]
    assert [f["r"] for f in sheet.facts] == pytest.approx([1, 1])
    # The second network has no such layer.
    assert {t.rank for t in alone.tiles} == {1}
    assert alone.facts == []
    with np.load(io.BytesIO(sheet.raw)) as raw:
        assert sorted(raw) == ["gram_1", "gram_2"]
    # Nor the first one: what the second sees stands in its own column.
    swapped = dataclasses.replace(networks, networks=tuple(reversed(networks.networks)))
    back = see_photograph({layer: other}, {layer: own, deeper: maps()})
    _, _, alone = draw_comparison(back, swapped)
    assert {t.rank for t in alone.tiles} == {2}
