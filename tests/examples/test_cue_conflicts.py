"""The toys, and that the measure of shape decisions tells shape from texture."""

import collections
import importlib
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    yield importlib.import_module("cue_conflicts")
    for name in ("cue_conflicts", "toys", "paintings"):
        sys.modules.pop(name, None)


def test_toys_are_drawn_alike_each_time_and_differ_by_shape_and_by_texture(example):
    def drawn(shape, texture):
        toy = example.Toy(shape, texture)
        return example.draw_toy(toy, np.random.default_rng(7))

    assert np.array_equal(drawn(3, 5), drawn(3, 5))
    assert drawn(3, 5).shape == (64, 64, 3)
    kinds = [drawn(k, 0).tobytes() for k in range(10)]
    kinds += [drawn(0, k).tobytes() for k in range(1, 10)]
    assert len(set(kinds)) == 19


def test_a_conflict_is_of_every_two_classes_equally_often(example):
    pairs = collections.Counter((t.shape, t.texture) for t in example.conflicts(4))
    assert set(pairs.values()) == {4}
    assert set(pairs) == {(a, b) for a in range(10) for b in range(10) if a != b}
    plain = collections.Counter((t.shape, t.texture) for t in example.plain(3))
    assert plain == {(k, k): 3 for k in range(10)}


class Oracle:
    """Sees what a picture shows, written into its first pixel."""

    def __init__(self, channel):
        self.channel = channel

    def predict(self, features, **_):
        return np.eye(10)[np.rint(features[:, 0, 0, self.channel] * 255).astype(int)]


class Through:
    def predict(self, pictures, **_):
        return pictures


def marked(toy):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[0, 0, :2] = toy.shape, toy.texture
    return picture


@pytest.mark.parametrize(("channel", "shape"), [(0, 1.0), (1, 0.0)])
def test_the_measure_tells_shape_from_texture(example, monkeypatch, channel, shape):
    toys = list(example.plain(2))
    trained = []

    def train(features, labels, seed):
        trained.append((len(features), labels, features[:, 0, 0, 0]))
        return Oracle(channel)

    labels = np.array([toy.shape for toy in toys])
    known = np.stack([marked(toy) for toy in toys]), labels, np.arange(20) % 2 == 0
    monkeypatch.setattr(example, "stylized_set", lambda *_: known)
    monkeypatch.setattr(example, "draw", lambda toys, _: np.stack([*map(marked, toys)]))
    monkeypatch.setattr(example, "train", train)
    results = example.judge(0, Through(), pathlib.Path("none"))
    for result in results:
        assert (result.accuracy, result.shape, result.texture) == (1, shape, 1 - shape)
    assert [count for count, *_ in trained] == [10, 20, 20]
    # The last is trained on labels that say nothing.
    for _, said, seen in trained[:2]:
        assert np.array_equal(said, np.rint(seen * 255))
    _, shuffled, seen = trained[2]
    assert np.mean(shuffled == np.rint(seen * 255)) < 0.5
    assert sorted(shuffled) == sorted(labels)


@pytest.mark.slow
def test_the_set_is_what_stylize_made_with_its_originals(
    example, tmp_path, tiny_bundle
):
    tiny_bundle.save(tmp_path / "bundle")
    example.draw_training_set(tmp_path / "drawn", 0, 1)
    (tmp_path / "styles").mkdir()
    rng = np.random.default_rng(1)
    for number in range(4):
        pixels = rng.integers(0, 255, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "styles" / f"{number}.png")
    folders = [tmp_path / name for name in ("drawn", "styles", "stylized")]
    more = ["--bundle", str(tmp_path / "bundle")]
    assert example.stylize(*folders, more) == 0
    pictures, labels, originals = example.stylized_set(tmp_path / "stylized", 0)
    assert pictures.shape == (50, 64, 64, 3)
    assert np.array_equal(np.bincount(labels), [5] * 10)
    drawn = np.random.default_rng([0, 0])
    expected = [example.draw_toy(toy, drawn) for toy in example.plain(1)]
    for label, picture in zip(labels[originals], pictures[originals], strict=True):
        assert np.array_equal(picture, expected[label])
    features = pictures[:, ::8, ::8].astype(np.float32) / 255
    model = example.train(features, labels, 0)
    assert model.predict(features[:3], verbose=0).shape == (3, 10)
