"""Losses and gradients of large pictures, tile by tile, against those of the whole."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from model.gatys import run as gatys_run
from model.gatys.network import Convolution, build_convolutions
from model.gatys.objective import Objective, Terms
from model.gatys.run import Gatys
from model.gatys.settings import GatysSettings
from model.gatys.styles import Styles
from model.gatys.tiled_objective import TiledObjective
from model.networks import vgg
from model.networks.regions import RegionMasks
from model.networks.vgg import vgg_layers
from model.networks.weights import load_vgg_weights

Arrays = dict[str, np.ndarray]

# Odd sides, also once halved; several tiles in both directions.
HEIGHT, WIDTH = 203, 237
# Sides of a tile, in pixels, halo included: it is 48 wide.
SIDES = (112, 144, 190)

TERMS = Terms(
    ("block4_conv2", "block2_conv1"),
    ("block5_conv1", "block1_conv1", "block3_conv1"),
    "anisotropic",
)
# One term at a time, so that none hides behind another, and all of them.
FACTORS = {
    "content": [1.0, 0.5, 0, 0, 0, 0],
    "style": [0, 0, 1e5, 3e4, 2e4, 0],
    "variation": [0, 0, 0, 0, 0, 2.0],
    "all": [1.0, 0.5, 1e5, 3e4, 2e4, 2.0],
}


@pytest.fixture(scope="module")
def network(random_arrays: Callable[..., Arrays]) -> tuple[Convolution, ...]:
    """VGG-16 in few channels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgg, "_CHANNELS", (3, 4, 5, 6, 6))
        layers = vgg_layers("vgg16")
    return build_convolutions(layers, random_arrays(layers), "float32")


@pytest.fixture(scope="module")
def pictures(picture: Callable[..., np.ndarray]) -> tuple[np.ndarray, ...]:
    """The picture on its way, its content, and a style."""
    sizes = ((HEIGHT, WIDTH), (HEIGHT, WIDTH), (130, 121))
    return tuple(
        255 * picture(*size, seed=seed)[None] for seed, size in enumerate(sizes)
    )


@pytest.fixture(scope="module")
def guided(pictures: tuple[np.ndarray, ...]) -> Styles:
    """Two styles with soft masks that overlap, and a rest without a style."""
    ramp = np.linspace(0, 255, WIDTH)
    shares = np.stack([np.tile(row, (HEIGHT, 1)) for row in (ramp, 255 - ramp)] * 2)
    shares[0, :90] = shares[1, 90:] = 0
    shares[2:] = shares[3:, ::-1] / 3
    masks = RegionMasks(shares[:3].astype(np.uint8), np.array([1, 0.5, 1], np.float32))
    style = pictures[2][0].astype(np.uint8)
    return Styles.in_regions([style, style[::-1, :50]], masks, (0, 1, -1))


def set_tiles(tiled: TiledObjective, side: int) -> int:
    """Have tiles of at most so many pixels a side; return how many there are."""
    first, second = tiled.parts
    # The maps between the parts are 25 x 29, and a halo is 12 wide.
    first.tile_cells, second.tile_cells = side**2, 730 + side // 8
    counts = [
        len(list(part.tiles(HEIGHT // part.stride, WIDTH // part.stride, back=True)))
        for part in (first, second)
    ]
    return min(counts)


def compared(
    network: tuple[Convolution, ...],
    terms: Terms,
    pictures: tuple[np.ndarray, ...],
    styles: Styles,
) -> tuple[Any, ...]:
    """Return both objectives with their targets, and how far apart the targets are."""
    _, content, _ = pictures
    found = []
    for kind in (Objective, TiledObjective):
        alone = kind(network, dataclasses.replace(terms, regions=0))
        if isinstance(alone, TiledObjective):
            set_tiles(alone, SIDES[0])
        grams = styles.mixed(
            [alone.style_grams(one[None].astype(np.float32)) for one in styles.pictures]
        )
        objective = kind(network, terms)
        if isinstance(objective, TiledObjective):
            set_tiles(objective, SIDES[0])
        found += [objective, objective.targets(content, grams, styles), grams]
    return tuple(found)


def furthest(ours: Any, wanted: Any) -> float:
    """Return the largest difference as a share of the largest value."""
    ours, wanted = np.asarray(ours), np.asarray(wanted)
    return float(np.abs(ours - wanted).max() / np.abs(wanted).max())


def test_gradient_is_that_of_the_whole_at_three_tile_sizes_and_odd_sides(
    network: tuple[Convolution, ...], pictures: tuple[np.ndarray, ...]
) -> None:
    style = pictures[2][0].astype(np.uint8)
    whole, targets, grams, tiled, tiled_targets, tiled_grams = compared(
        network, TERMS, pictures, Styles.of(style)
    )
    for ours, wanted in zip(tiled_grams, grams, strict=True):
        assert furthest(ours, wanted) <= 1e-5
    assert [set_tiles(tiled, side) > 1 for side in SIDES] == [True] * 3
    for name, factors in FACTORS.items():
        count = tf.constant(factors, tf.float32)
        values, gradient = whole.gradient(tf.constant(pictures[0]), count, targets)
        for side in SIDES:
            set_tiles(tiled, side)
            found, ours = tiled.gradient(pictures[0], count, tiled_targets)
            assert ours.shape == pictures[0].shape
            assert furthest(ours, gradient) <= 1e-5, (name, side)
            np.testing.assert_allclose(found, values, rtol=1e-4)


def test_gradient_of_regions_averages_and_lengths_is_that_of_the_whole(
    network: tuple[Convolution, ...], pictures: tuple[np.ndarray, ...], guided: Styles
) -> None:
    terms = dataclasses.replace(TERMS, tv="isotropic", pooling="average", regions=2)
    whole, targets, _, tiled, tiled_targets, _ = compared(
        network, terms, pictures, guided
    )
    for name in ("style", "all"):
        count = tf.constant(FACTORS[name], tf.float32)
        values, gradient = whole.gradient(tf.constant(pictures[0]), count, targets)
        found, ours = tiled.gradient(pictures[0], count, tiled_targets)
        assert furthest(ours, gradient) <= 1e-5, name
        np.testing.assert_allclose(found, values, rtol=1e-4)


SETTINGS = GatysSettings(
    content_layers=("block2_conv2",),
    style_layers=("block1_conv1", "block4_conv1"),
    style_weight=1e4,
    tv_weight=1.0,
    steps=6,
    snapshots=1,
)


@pytest.mark.slow
def test_large_pictures_are_optimised_as_small_ones_are(
    random_arrays: Callable[..., Arrays],
    pictures: tuple[np.ndarray, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vgg, "_CHANNELS", (3, 4, 5, 6, 6))
    layers = vgg_layers("vgg16")
    arrays = random_arrays(layers)
    content, style = (p[0].astype(np.uint8) for p in pictures[1:])
    # The first level of the pyramid is whole, the second is not.
    tiled = Gatys(layers, arrays, whole_pixels=16_000, tile_bytes=8 * 12 * 130**2)
    results = [g.run(content, style, SETTINGS) for g in (Gatys(layers, arrays), tiled)]
    whole, ours = results
    assert np.abs(whole.picture.astype(int) - ours.picture).max() <= 1
    assert [one.step for one in ours.curve] == list(range(7))
    for one, other in zip(whole.curve, ours.curve, strict=True):
        np.testing.assert_allclose(one.total, other.total, rtol=1e-4)
    (step, shot), (_, again) = whole.snapshots[0], ours.snapshots[0]
    assert step == 3
    assert np.abs(shot.astype(int) - again).max() <= 1
    for name, value in whole.losses_by_layer.items():
        np.testing.assert_allclose(ours.losses_by_layer[name], value, rtol=1e-3)
    # The same again, bit for bit.
    again = tiled.run(content, style, SETTINGS)
    np.testing.assert_array_equal(again.picture, ours.picture)
    assert again.curve == ours.curve


def test_lbfgs_refuses_what_it_has_no_memory_for(
    random_arrays: Callable[..., Arrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gatys_run, "LARGEST_LBFGS", 40 * 50 - 1)
    monkeypatch.setattr(vgg, "_CHANNELS", (3, 4, 5, 6, 6))
    layers = vgg_layers("vgg16")
    gatys = Gatys(layers, random_arrays(layers))
    image = np.zeros((40, 50, 3), np.uint8)
    settings = dataclasses.replace(SETTINGS, optimizer="lbfgs", pyramid=1)
    with pytest.raises(ValueError, match=r"adam takes any.*Received: 50x40"):
        gatys.run(image, image, settings)


@pytest.mark.slow
def test_of_vgg16_itself_tiles_and_masks_are_as_exact(
    picture: Callable[..., np.ndarray],
) -> None:
    """In all its channels other convolutions are chosen than in few."""
    settings = GatysSettings()
    network = build_convolutions(
        vgg_layers("vgg16"), load_vgg_weights("vgg16"), "float32"
    )
    terms = Terms(settings.content_layers, settings.style_layers, "anisotropic")
    sizes = ((233, 277), (233, 277), (96, 113))
    pictures = tuple(
        255 * picture(*size, seed=seed)[None] for seed, size in enumerate(sizes)
    )
    style = pictures[2][0].astype(np.uint8)
    factors = tf.constant([1.0, *[60.0] * 5, 1000.0])
    whole = Objective(network, terms)
    styles = Styles.of(style)
    grams = styles.mixed([whole.style_grams(style[None].astype(np.float32))])
    targets = whole.targets(tf.constant(pictures[1]), grams, styles)
    _, wanted = whole.gradient(tf.constant(pictures[0]), factors, targets)
    tiled = TiledObjective(network, terms)
    tiled.parts[0].tile_cells, tiled.parts[1].tile_cells = 160**2, 30**2
    assert len(list(tiled.parts[1].tiles(29, 34, back=True))) > 1
    targets = tiled.targets(pictures[1], grams, styles)
    _, ours = tiled.gradient(pictures[0], factors, targets)
    print(f"apart by {furthest(ours, wanted):.2g} of the largest gradient")
    assert furthest(ours, wanted) <= 1e-4

    # Cells of block5_conv1 are 16 pixels wide, and see 58 pixels on each side.
    mask = np.zeros((233, 277), np.uint8)
    mask[20:30, 40:60] = 255
    masks = RegionMasks(np.stack([mask, 255 - mask]))
    styles = Styles.in_regions([style], masks, (0, -1))
    guided = Objective(network, dataclasses.replace(terms, regions=1))
    grams = styles.mixed([whole.style_grams(style[None].astype(np.float32))])
    targets = guided.targets(tf.constant(pictures[1]), grams, styles)
    factors = tf.constant([0.0, *[60.0] * 5, 0.0])
    _, gradient = guided.gradient(tf.constant(pictures[0]), factors, targets)
    far = np.ones(mask.shape, bool)
    far[: 32 + 58, : 64 + 58] = False
    assert not gradient.numpy()[0][far].any()
    assert gradient.numpy()[0][20:30, 40:60].any()
