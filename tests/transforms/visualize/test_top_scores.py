"""The best images of each channel: any order, any grouping, and flat memory."""

import pickle
import random

import apache_beam as beam
import numpy as np
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that

from transforms.elements import ImageRef
from transforms.visualize import top_scores as winners
from transforms.visualize.settings import Channels, Kind, VisualizeSettings
from transforms.visualize.top_scores import (
    Excitation,
    Winners,
    WinnersCombineFn,
    best,
    chosen_rows,
    image_winners,
    pack_scores,
)

CHANNELS = 5


def image(index, scores):
    """Return what an image does to the channels, its neurons' places told by it."""
    score = np.array(scores, np.float32)[:, None]
    place = np.full(score.shape, index, np.int32)
    ref = ImageRef(f"i{index:03d}", "in", "p")
    return Winners((ref,), np.zeros(score.shape, np.int64), score, place, place + 1)


def collection(count, seed=7):
    """Return images with few different scores, so that many are equal, and zeros."""
    rng = np.random.default_rng(seed)
    return [image(i, rng.integers(0, 6, CHANNELS)) for i in range(count)]


def brute_force(images, count):
    """Return (score, key, row) of the best of each channel, by sorting all."""
    return [
        sorted(
            (-float(one.score[c, 0]), one.refs[0].id, int(one.row[c, 0]))
            for one in images
            if one.score[c, 0] > 0
        )[:count]
        for c in range(CHANNELS)
    ]


def told(found):
    return [
        [(-e.score, e.image_id, e.row) for e in found.excitations(c)]
        for c in range(CHANNELS)
    ]


def test_best_are_those_of_a_sort_however_they_are_grouped():
    images = collection(40)
    expected = brute_force(images, 4)
    assert told(best(images, 4)) == expected
    for seed in range(5):
        rng = random.Random(seed)
        left = rng.sample(images, len(images))
        while len(left) > 1:
            taken = [left.pop(rng.randrange(len(left))) for _ in range(2)]
            left.append(best(taken, 4))
        assert told(left[0]) == expected
    one = best(images, 4).excitations(0)[0]
    assert (one.column, one.ref.key) == (one.row + 1, f"i{one.row:03d}")
    assert pickle.loads(pickle.dumps(one)) == one


def test_combined_in_a_pipeline_as_by_hand(monkeypatch):
    monkeypatch.setattr(winners, "_AT_A_TIME", 3)
    images = collection(50)
    expected = brute_force(images, winners.WINNERS)

    def check(found):
        ((layer, result),) = found
        assert layer == "a"
        assert told(result) == expected

    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        found = (
            pipeline
            | beam.Create([("a", one) for one in images])
            | beam.CombinePerKey(WinnersCombineFn())
        )
        assert_that(found, check)


def test_accumulator_does_not_grow_with_the_collection():
    combine = WinnersCombineFn()
    images = collection(1000)
    sizes = []
    waiting = combine.create_accumulator()
    for number, one in enumerate(images, start=1):
        waiting = combine.add_input(waiting, one)
        if number % 250 == 0:
            sizes.append(len(pickle.dumps(combine.compact(list(waiting)))))
        assert len(waiting) <= winners._AT_A_TIME
    assert max(sizes) <= 1.2 * sizes[0]
    # It knows no more images than can win.
    (held,) = combine.compact(waiting)
    assert len(held.refs) <= CHANNELS * winners.WINNERS
    halves = [combine.create_accumulator(), combine.create_accumulator()]
    for number, one in enumerate(images):
        halves[number % 2] = combine.add_input(halves[number % 2], one)
    assert told(combine.extract_output(combine.merge_accumulators(halves))) == told(
        held
    )


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
    top = Channels(top=3)
    found = dict(image_winners(ref, data, settings(top)))
    assert set(found) == {"a", "b"}
    assert [channel for channel, _ in chosen_rows(found["b"], top)] == [2, 0]
    assert found["b"].excitations(2) == [Excitation(6.5, ref.id, ref, 2, 8)]
    assert found["b"].excitations(1) == []
    listed = Channels(listed=(2, 1))
    found = dict(image_winners(ref, data, settings(listed)))
    (row,) = chosen_rows(found["a"], listed)
    assert row == (2, [Excitation(3.25, ref.id, ref, 2, 8)])


def test_channels_are_chosen_by_their_best_score_or_by_number():
    found = best([image(1, [1, 5, 5, 0, 2]), image(2, [0, 1, 0, 0, 4])])
    assert [c for c, _ in chosen_rows(found, Channels(top=3))] == [1, 2, 4]
    assert [c for c, _ in chosen_rows(found, Channels(top=99))] == [1, 2, 4, 0]
    assert chosen_rows(found, Channels(top=0)) == []
    # Five rows that are those of the channels asked for, in their order.
    rows = chosen_rows(found, Channels(listed=(40, 9, 7, 3, 1)))
    assert [channel for channel, _ in rows] == [40, 9, 7, 1]
