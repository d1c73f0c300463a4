"""Several styles: blends, and regions by guided Gram matrices."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from model.gatys.network import Convolution, build_convolutions
from model.gatys.objective import Objective, Terms
from model.gatys.run import Gatys
from model.gatys.settings import GatysSettings
from model.gatys.styles import Styles
from model.networks import vgg
from model.networks.regions import RegionMasks
from model.networks.vgg import vgg_layers
from transforms.images.masks import regions_of

Arrays = dict[str, np.ndarray]

TERMS = Terms((), ("block1_conv2", "block2_conv2"), "anisotropic")
FACTORS = tf.constant([3e4, 2e4, 0.0])
SIZE = (64, 96)
# What a pixel of block2_conv2 sees: two convolutions of 1, two of 2, and its cell.
REACH = 2 * 1 + 2 * 2 + 1


@pytest.fixture(scope="module")
def layers() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgg, "_CHANNELS", (4, 6, 6, 6, 6))
        return vgg_layers("vgg16")[:4]


@pytest.fixture(scope="module")
def arrays(layers: Any, random_arrays: Callable[..., Arrays]) -> Arrays:
    return random_arrays(layers)


@pytest.fixture(scope="module")
def network(layers: Any, arrays: Arrays) -> tuple[Convolution, ...]:
    return build_convolutions(layers, arrays, "float32")


@pytest.fixture(scope="module")
def images(picture: Callable[..., np.ndarray]) -> tuple[np.ndarray, ...]:
    """A picture of `SIZE` and two styles, uint8."""
    sizes = (SIZE, (40, 52), (50, 44))
    return tuple(
        np.rint(255 * picture(*size, seed=seed)).astype(np.uint8)
        for seed, size in enumerate(sizes)
    )


def masked(
    pictures: Sequence[np.ndarray],
    masks: Sequence[np.ndarray | None],
    places: Sequence[int] | None = None,
) -> Styles:
    """Return styles as a run has them, a mask for each use of one."""
    given = list(range(len(masks))) if places is None else list(places)
    regions = regions_of(masks, [1.0] * len(masks), ["s"] * len(masks))
    owners = [given[place] if place >= 0 else -1 for place in regions.places]
    shares = RegionMasks(regions.shares, regions.weights)
    return Styles.in_regions(pictures, shares, owners)


def gradient_of(
    network: tuple[Convolution, ...], image: np.ndarray, styles: Styles
) -> tuple[np.ndarray, np.ndarray]:
    """Return losses and gradient of a picture."""
    terms = dataclasses.replace(TERMS, regions=styles.regions)
    alone = Objective(network, TERMS)
    grams = [
        alone.style_grams(tf.constant(p[None], tf.float32)) for p in styles.pictures
    ]
    objective = Objective(network, terms)
    at = tf.constant(image[None], tf.float32)
    targets = objective.targets(at, styles.mixed(grams), styles)
    values, gradient = objective.gradient(at, FACTORS, targets)
    return values.numpy(), gradient.numpy()


def test_farther_than_it_sees_from_the_mask_the_style_has_no_gradient(
    network: tuple[Convolution, ...], images: tuple[np.ndarray, ...]
) -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[10:30, 20:45] = 255
    _, gradient = gradient_of(network, images[0], masked(images[1:2], [mask]))
    near = np.zeros(SIZE, bool)
    near[10 - REACH : 30 + REACH, 20 - REACH : 45 + REACH] = True
    assert not gradient[0][~near].any()
    assert (np.abs(gradient[0][mask > 0]).sum(-1) > 0).mean() > 0.99


def test_loss_of_regions_is_that_of_the_guided_gram_matrices(
    network: tuple[Convolution, ...], images: tuple[np.ndarray, ...]
) -> None:
    """By the formula, with soft masks, in float64."""
    ramp = np.tile(np.linspace(0, 255, SIZE[1]), (SIZE[0], 1)).astype(np.uint8)
    styles = masked(images[1:], [ramp, 255 - ramp])
    values, _ = gradient_of(network, images[0], styles)

    def features(pixels: np.ndarray) -> list[np.ndarray]:
        from model.gatys.network import activations, centred

        found = activations(network, centred(tf.constant(pixels[None], tf.float32)))
        return [
            found[name].numpy()[0].astype(np.float64) for name in TERMS.style_layers
        ]

    for layer, stride in enumerate((1, 2)):
        maps = features(images[0])[layer]
        cells = ramp.reshape(SIZE[0] // stride, stride, SIZE[1] // stride, stride)
        share = cells.mean((1, 3)) / 255
        expected = 0.0
        for style, guide in zip(images[1:], (share, 1 - share), strict=True):
            wanted = features(style)[layer].reshape(-1, maps.shape[-1])
            wanted = wanted.T @ wanted / len(wanted)
            gram = np.einsum("hw,hwc,hwd->cd", guide, maps, maps) / guide.sum()
            expected += guide.mean() * np.mean((gram - wanted) ** 2) / 4
        assert values[layer] == pytest.approx(expected, rel=1e-4)


def test_white_mask_is_no_mask_and_two_halves_of_one_style_are_one(
    layers: Any, arrays: Arrays, images: tuple[np.ndarray, ...]
) -> None:
    settings = GatysSettings(
        content_layers=("block2_conv1",),
        style_layers=TERMS.style_layers,
        steps=4,
        pyramid=2,
        style_weight=3e4,
        tv_weight=1.0,
        snapshots=0,
    )
    gatys = Gatys(layers, arrays)
    content, style, _ = images
    plain = gatys.run(content, style, settings)
    white = np.full(SIZE, 255, np.uint8)
    left = np.repeat([[255, 0]], SIZE[0], 0).repeat(SIZE[1] // 2, 1).astype(np.uint8)
    for masks in ([white], [left, 255 - left], [white // 2, white - white // 2]):
        styles = masked([style], masks, [0] * len(masks))
        ours = gatys.run(content, styles, settings)
        np.testing.assert_array_equal(ours.picture, plain.picture)
        assert ours.curve == plain.curve


def test_guide_of_ones_has_the_loss_and_gradient_of_no_guide(
    network: tuple[Convolution, ...], images: tuple[np.ndarray, ...]
) -> None:
    """Two halves of one style beside another style that is nowhere."""
    white = np.full(SIZE, 255, np.uint8)
    masks = RegionMasks(np.stack([white // 2, white - white // 2]))
    halves = Styles(images[1:], (), masks, (0, 0))
    plain = gradient_of(network, images[0], Styles.of(images[1]))
    ours = gradient_of(network, images[0], halves)
    for one, other in zip(ours, plain, strict=True):
        apart = np.abs(one - other).max() / np.abs(other).max()
        assert apart <= 1e-5


def test_blend_pulls_as_the_weighted_sum_of_its_styles(
    network: tuple[Convolution, ...], images: tuple[np.ndarray, ...]
) -> None:
    weights = (0.3, 0.7)
    blend = gradient_of(network, images[0], Styles(images[1:], weights))[1]
    each = [gradient_of(network, images[0], Styles.of(s))[1] for s in images[1:]]
    expected = weights[0] * each[0] + weights[1] * each[1]
    assert np.abs(blend - expected).max() <= 1e-4 * np.abs(expected).max()


def test_masks_of_a_level_are_means_and_a_last_odd_row_is_left_out() -> None:
    mask = np.zeros((5, 7), np.uint8)
    mask[:2, :3] = 200
    styles = Styles(
        [np.zeros((4, 4, 3), np.uint8)] * 2, (), RegionMasks(mask[None]), (1,)
    )
    half = styles.shrunk(2)
    assert half.masks is not None
    np.testing.assert_array_equal(half.masks.shares, [[[200, 100, 0], [0, 0, 0]]])
    guide = styles.guide(slice(0, 5), slice(0, 7), 2)
    assert guide.shape == (2, 2, 3)
    assert not guide[0].any()


def test_start_may_be_a_picture_that_was_painted(
    layers: Any, arrays: Arrays, images: tuple[np.ndarray, ...]
) -> None:
    settings = GatysSettings(
        content_layers=("block2_conv1",),
        style_layers=("block1_conv1",),
        steps=1,
        pyramid=1,
        init="adain",
        learning_rate=1e-3,
        snapshots=0,
    )
    gatys = Gatys(layers, arrays)
    content, style, _ = images
    painted = 255 - content
    found = gatys.run(content, style, settings, painted=painted)
    np.testing.assert_array_equal(found.picture, painted)
    with pytest.raises(ValueError, match="needs a picture that was painted"):
        gatys.run(content, style, settings)
