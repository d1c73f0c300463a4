"""Settings of small comparisons, and what two invented networks see."""

import numpy as np
import pytest

from transforms.elements import ImageRef
from transforms.images.load import ImageBytes, LoadedImage
from transforms.visualize.comparison.handler import Compared, Decoded
from transforms.visualize.comparison.settings import (
    CONTENT,
    STYLE,
    Comparison,
    ComparisonSettings,
    SeenBy,
    result_role,
)
from transforms.visualize.comparison.subjects import (
    ReadSubject,
    Subject,
    Wanted,
    photograph,
)
from transforms.visualize.settings import Channels

LAYERS = ("block1_conv1", "block2_conv1")


@pytest.fixture
def triples() -> ComparisonSettings:
    return ComparisonSettings(
        compared=Comparison.TRIPLES,
        networks=(SeenBy("vgg16", "5a", LAYERS),),
        results=("grid",),
        layers=LAYERS,
        channels=Channels(top=2),
        size=0,
        raw=False,
    )


@pytest.fixture
def networks() -> ComparisonSettings:
    """Return settings of two networks, the second without the second layer."""
    return ComparisonSettings(
        compared=Comparison.NETWORKS,
        networks=(SeenBy("one", "1", LAYERS), SeenBy("other", "2", LAYERS[:1])),
        results=(),
        layers=LAYERS,
        channels=Channels(top=2),
        size=0,
        raw=True,
    )


def _compared(subject, features):
    pixels = np.random.default_rng(1).integers(0, 255, (32, 40, 3), dtype=np.uint8)
    read = ReadSubject(
        subject, tuple(ImageBytes(subject.ref, b"", w.role) for w in subject.pictures)
    )
    image = LoadedImage(subject.ref, "0", pixels, 40, 32)
    return Compared(Decoded(read, (image,) * len(subject.pictures)), features)


@pytest.fixture
def see_triple():
    """Return a maker of what a network sees of a triple: content, styles, results."""

    def make(features, styles=1, results=1, weights=(1.0,), alpha=1.0):
        roles = [CONTENT, *[STYLE] * styles, *map(result_role, range(results))]
        shares = [1.0, *weights, *[1.0] * results]
        pictures = tuple(
            Wanted(role, f"{place}.png", "", (), 0, weight=share)
            for place, (role, share) in enumerate(zip(roles, shares, strict=True))
        )
        subject = Subject(ImageRef("a/b.png", "grid", "p"), pictures, alpha)
        found = {(i, 0): {n: one for n in LAYERS} for i, one in enumerate(features)}
        return _compared(subject, found)

    return make


@pytest.fixture
def see_photograph():
    """Return a maker of what two networks see of a photograph, by layer each."""

    def make(first, second, key="a.png"):
        subject = photograph(ImageRef(key, "in", "p"), 0)
        return _compared(subject, {(0, 0): first, (0, 1): second})

    return make
