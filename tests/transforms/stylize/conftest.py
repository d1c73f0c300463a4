"""A bank of two styles, a plan, and a network that mixes colours."""

import dataclasses
import threading

import numpy as np
import pytest

from transforms.storage.folder import OutputFolder
from transforms.stylize import network
from transforms.stylize.cells import StyleShare, StylizeSettings
from transforms.stylize.pairing import GridPairing
from transforms.stylize.plan import PlanCells
from transforms.stylize.style_bank import BankSettings, EncodedStyle


class MixingStylizer:
    """Encodes a style as its mean grey, and lays that over the content by alpha.

    Counts its work; a style of grey above 250 breaks it.
    """

    def __init__(self) -> None:
        self.contents = 0
        self.styles = 0
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
