"""Top images: the order of excitations, and the winners of a whole collection."""

import pickle
import random

import apache_beam as beam
import numpy as np
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.combiners import Top

from transforms.elements import ImageRef
from transforms.top_images import (
    Excitation,
    choose_channels,
    draw_top_images,
    excitations,
    pack_scores,
)
from transforms.visual import Channels, Kind, VisualizeSettings


def excitation(score, image_id):
    return Excitation(score, image_id, ImageRef(image_id, "in", "p"), 0, 0)


def settings(channels):
    return VisualizeSettings(
        network="vgg16",
        weights_sha256="0",
        layers=("a", "b"),
        kinds=(Kind.TOP_IMAGES,),
        channels=channels,
        gradient_channels=Channels(top=1),
        size=224,
        randomization_check=False,
        raw=False,
    )


def test_higher_scores_win_and_of_equal_ones_the_smaller_id():
    a, b, c = excitation(2.0, "b"), excitation(2.0, "a"), excitation(1.0, "0")
    assert sorted([a, b, c], reverse=True) == [b, a, c]


def test_winners_do_not_depend_on_the_order_of_the_collection():
    rng = random.Random(7)
    everything = [
        (("a", channel), excitation(float(rng.randrange(5)), f"i{index:02d}"))
        for index in range(30)
        for channel in range(3)
    ]
    expected = [
        (("a", c), sorted((e for k, e in everything if k[1] == c), reverse=True)[:4])
        for c in range(3)
    ]
    for seed in range(3):
        shuffled = random.Random(seed).sample(everything, len(everything))
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            found = pipeline | beam.Create(shuffled) | Top.PerKey(4)
            assert_that(found, equal_to(expected))


def test_scores_survive_their_file_and_silent_channels_stay_out():
    peaks = {
        layer: (
            np.array([0.5, 0.0, 3.25], np.float32) * factor,
            np.array([1, 0, 2], np.int32),
            np.array([7, 0, 8], np.int32),
        )
        for layer, factor in (("a", 1), ("b", 2))
    }
    data = pack_scores(peaks)
    assert data == pack_scores(peaks)
    ref = ImageRef("x.jpg", "in", "p")
    found = dict(excitations(ref, data, settings(Channels(top=1))))
    assert set(found) == {("a", 0), ("a", 2), ("b", 0), ("b", 2)}
    one = found["b", 2]
    assert (one.score, one.row, one.column) == (6.5, 2, 8)
    listed = dict(excitations(ref, data, settings(Channels(listed=(2, 1)))))
    assert set(listed) == {("a", 2), ("b", 2)}
    assert pickle.loads(pickle.dumps(one)) == one


def test_channels_are_chosen_by_their_best_score_or_by_number():
    winners = [
        (("a", 0), [excitation(1.0, "i")]),
        (("a", 1), [excitation(5.0, "i")]),
        (("a", 2), [excitation(5.0, "j")]),
    ]
    assert [w[0][1] for w in choose_channels(winners, Channels(top=2))] == [1, 2]
    named = choose_channels(winners[:2], Channels(listed=(1, 9, 0)))
    assert [w[0][1] for w in named] == [1, 0]


def test_sheet_marks_what_cannot_be_read_and_says_when_nothing_fires():
    rows = [(("a", 4), [excitation(2.0, "x"), excitation(1.0, "y")])]
    crop = np.full((10, 5, 3), 200, np.uint8)
    sheet = draw_top_images("a", rows, {(4, "x"): crop, (4, "y"): None}, 10)
    assert [(tile.channel, tile.rank) for tile in sheet.tiles] == [(4, 1), (4, 2)]
    assert draw_top_images("a", [], {}, 10).tiles == []
