"""A bank of two styles, a plan, a network that mixes colours, and the tiny one."""

import dataclasses
import threading

import numpy as np
import pytest

from model.adain.stylizer import to_uint8
from transforms.images.load import LoadedImage, style_pixels
from transforms.storage.folder import OutputFolder
from transforms.stylize import network
from transforms.stylize.blocks import StylizeBlock
from transforms.stylize.cells import StyleShare, StylizeSettings
from transforms.stylize.pairing import GridPairing, Recipe
from transforms.stylize.plan import Painting, PlanCells
from transforms.stylize.style_bank import BankSettings, EncodedStyle


class MixingStylizer:
    """Encodes a style as its mean grey, and lays that over the content by alpha.

    Counts its work; a style of grey above 250 breaks it.
    """

    def __init__(self) -> None:
        self.contents = 0
        self.styles = 0
        self.painted = 0
        self._lock = threading.Lock()

    def encode_content(self, images, tile_pixels=None):
        with self._lock:
            self.contents += 1
        return images.astype(np.float32)

    def encode_style(self, images):
        with self._lock:
            self.styles += 1
        grey = np.full((1, 2), images.mean(), np.float32)
        return grey, grey / 2

    def paint(self, content, mean, std, alphas):
        self.painted += len(mean)
        grey = mean[:, :1, None, None]
        strength = np.asarray(alphas)[:, None, None, None]
        pictures = (1 - strength) * content + strength * grey
        return pictures.astype(np.uint8), mean.max(axis=1) <= 250


@pytest.fixture
def mixing(monkeypatch):
    """Put the mixing stylizer in the place of every network."""
    stylizer = MixingStylizer()
    monkeypatch.setattr(network, "_load_stylizer", lambda *_: stylizer)
    return stylizer


@pytest.fixture
def any_network():
    return network.Network("bundle", "b0", "float32", 65536)


@pytest.fixture
def bank_settings():
    return BankSettings("e0", 0, "float32")


@pytest.fixture
def encoded():
    """Two styles, the darker one first, with their vectors."""
    return [
        EncodedStyle(
            StyleShare(f"{name}-0", f"{name}.png", digit * 64),
            np.full(2, grey, np.float32),
            np.full(2, grey / 2, np.float32),
        )
        for name, digit, grey in (("s", "1", 60), ("t", "2", 200))
    ]


@pytest.fixture
def plan(output: OutputFolder):
    """Every style at full strength, as PNG."""
    settings = StylizeSettings(
        bundle_id="b0",
        content_size=0,
        style_size=0,
        precision="float32",
        format="png",
        quality=92,
    )
    return PlanCells(output, settings, GridPairing((1.0,)), "grid", "files", 0.0, 1)


@pytest.fixture
def sharded(plan):
    """The same into shards."""
    return dataclasses.replace(plan, output_format="tfrecord")


@pytest.fixture
def tiny_model(tmp_path, tiny_bundle, output):
    """The tiny network as a worker has it."""
    tiny_bundle.save(tmp_path / "bundle")
    chosen = network.Network(
        str(tmp_path / "bundle"), tiny_bundle.bundle_id, "float32", 1 << 20
    )
    return network.SharedStylizer(chosen, output)


@pytest.fixture
def style_refs(listed):
    """Two styles as files."""
    return [listed(f"{n}.png", 36, 44, seed=n) for n in (1, 2)]


@pytest.fixture
def recipe(style_refs):
    """Return a maker of recipes, of the two styles by number."""
    shares = [StyleShare(ref.id, ref.key, ref.key) for ref in style_refs]

    def make(*places, alpha=1.0, masks=()):
        return Recipe(tuple(shares[place] for place in places), places, alpha, masks)

    return make


@pytest.fixture
def make_block(tiny_model, style_refs, listed, picture):
    """Return a maker of a content's block, of recipes with one style each."""

    def make(*recipes):
        stylizer = tiny_model.get()
        vectors = [
            stylizer.encode_style(style_pixels(style_refs[recipe.places[0]], 0)[None])
            for recipe in recipes
        ]
        mean, std = (np.concatenate(part) for part in zip(*vectors, strict=True))
        pixels = to_uint8(picture(40, 48, seed=5))
        content = LoadedImage(listed("c.png"), "c0", pixels, 48, 40)
        paintings = [Painting(recipe, ()) for recipe in recipes]
        styles = {ref.id: ref for ref in style_refs}
        return StylizeBlock(content, paintings, mean, std, styles)

    return make
