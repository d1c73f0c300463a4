"""The ruler: nothing lost is 0, and the losses are those of the design."""

from collections.abc import Callable

import numpy as np
import pytest

from model.adain.ruler import Goal, Measurement, Moments, Ruler
from model.bundle import Bundle
from model.pixels import to_uint8

Arrays = dict[str, np.ndarray]
Picture = Callable[..., np.ndarray]

TAPS = tuple(f"block{block}_conv1" for block in (1, 2, 3, 4))


@pytest.fixture(scope="module")
def ruler(tiny_bundle: Bundle) -> Ruler:
    return Ruler(tiny_bundle)


@pytest.fixture
def layers(
    tiny_bundle: Bundle, numpy_network: Callable[..., Arrays]
) -> Callable[[np.ndarray], Arrays]:
    """Return the features of a picture in float64, the network apart from ours."""

    def run(image: np.ndarray) -> Arrays:
        bgr = image[None, ..., ::-1] * 255.0 - np.array([103.939, 116.779, 123.68])
        return numpy_network(tiny_bundle.encoder_layers, tiny_bundle.encoder, bgr)

    return run


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return features.mean((0, 1, 2)), np.sqrt(features.var((0, 1, 2)) + 1e-5)


def style_loss(features: np.ndarray, style: np.ndarray) -> float:
    (mean, std), (style_mean, style_std) = moments(features), moments(style)
    return np.square(mean - style_mean).mean() + np.square(std - style_std).mean()


def adain(content: np.ndarray, style: np.ndarray, alpha: float) -> np.ndarray:
    (mean, std), (style_mean, style_std) = moments(content), moments(style)
    t = style_std * (content - mean) / std + style_mean
    return alpha * t + (1 - alpha) * content


def stacked(*styles: list[Moments]) -> list[Moments]:
    """Return the statistics of several styles, one a region."""
    return [
        (np.concatenate([m for m, _ in tap]), np.concatenate([s for _, s in tap]))
        for tap in zip(*styles, strict=True)
    ]


def values(measurement: Measurement) -> list[float]:
    losses = list(measurement.style_losses.values())
    return [measurement.content_loss, *losses, measurement.ssim, measurement.rmse]


def test_a_picture_is_like_itself(ruler: Ruler, picture: Picture) -> None:
    image = picture(33, 47, 1)
    seen = ruler.look(image)

    measured = ruler.measure(image, seen, Goal(seen.moments))

    assert tuple(measured.style_losses) == TAPS
    np.testing.assert_allclose(values(measured), [0] * 5 + [1, 0], atol=1e-5)


@pytest.mark.parametrize("alpha", [1.0, 0.6])
def test_losses_equal_numpy(
    ruler: Ruler, picture: Picture, layers: Callable[..., Arrays], alpha: float
) -> None:
    content, made, style = (picture(32, 40, seed) for seed in (1, 2, 3))

    measured = ruler.measure(
        made, ruler.look(content), Goal(ruler.look(style).moments, alpha)
    )

    before, found, wanted = layers(content), layers(made), layers(style)
    target = adain(before[TAPS[-1]], wanted[TAPS[-1]], alpha)
    loss = np.square(found[TAPS[-1]] - target).mean()
    assert measured.content_loss == pytest.approx(loss, rel=1e-4)
    for tap in TAPS:
        loss = style_loss(found[tap], wanted[tap])
        assert measured.style_losses[tap] == pytest.approx(loss, rel=1e-4), tap
    assert measured.style_loss == pytest.approx(sum(measured.style_losses.values()))
    assert measured.total == measured.content_loss + 10 * measured.style_loss
    assert -1 <= measured.ssim < 0.9
    rmse = 255 * np.sqrt(np.square(made - content).mean())
    assert measured.rmse == pytest.approx(rmse, rel=1e-5)


def test_bytes_measure_like_floats(ruler: Ruler, picture: Picture) -> None:
    content, made = (to_uint8(picture(33, 40, seed)) for seed in (1, 2))
    found = []
    for one, other in (
        (content, made),
        [image.astype(np.float32) / np.float32(255) for image in (content, made)],
    ):
        seen = ruler.look(one)
        found.append(values(ruler.measure(other, seen, Goal(seen.moments))))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("regions", [0, 2])
@pytest.mark.parametrize("budget", [256 * 256, 264 * 320, 400 * 304])
def test_tiled_equals_untiled(
    tiny_bundle: Bundle, picture: Picture, budget: int, regions: int
) -> None:
    """Sides that are no multiple of 8; regions that cross the tiles."""
    content, made, style = (picture(403, 629, seed) for seed in (1, 2, 3))
    masks, found = None, []
    if regions:
        ramp = np.linspace(0, 1, 629, dtype=np.float32) * np.ones((403, 1), np.float32)
        masks = np.stack([ramp, 1 - ramp])
    for most in (10**9, budget):
        ruler = Ruler(tiny_bundle, max_tile_pixels=most)
        seen = ruler.look(content, masks)
        assert (seen.deepest is None) == (most == budget)
        wanted = ruler.look(style).moments
        goal = Goal(stacked(wanted, wanted) if regions else wanted, 0.8)
        found.append(values(ruler.measure(made, seen, goal)))
    # Sums over 250,000 places in float32 are what differs.
    np.testing.assert_allclose(found[1], found[0], rtol=0.01)
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-4)
    np.testing.assert_allclose(found[1][-2:], found[0][-2:], rtol=3e-5)


def test_mask_of_ones_equals_no_mask(ruler: Ruler, picture: Picture) -> None:
    content, made, style = (picture(33, 47, seed) for seed in (1, 2, 3))
    goal = Goal(ruler.look(style).moments, 0.7)
    ones = np.ones((1, 33, 47), np.float32)
    plain, masked = (
        ruler.measure(made, ruler.look(content, masks), goal) for masks in (None, ones)
    )
    np.testing.assert_allclose(values(masked), values(plain), rtol=1e-5)


def three_to_one(height: int, width: int) -> np.ndarray:
    """Return two regions, three quarters and one, that end between two cells."""
    masks = np.zeros((2, height, width), np.float32)
    masks[0, :, : 3 * width // 4] = 1
    masks[1] = 1 - masks[0]
    return masks


def test_regions_equal_numpy_region_by_region(
    ruler: Ruler, picture: Picture, layers: Callable[..., Arrays]
) -> None:
    content, made, *styles = (picture(32, 64, seed) for seed in (1, 2, 3, 4))

    measured = ruler.measure(
        made,
        ruler.look(content, three_to_one(32, 64)),
        Goal(stacked(*(ruler.look(style).moments for style in styles)), [1.0, 0.5]),
    )

    before, found = layers(content), layers(made)
    losses = dict.fromkeys(TAPS, 0.0)
    squares = 0.0
    for region, (style, share, alpha) in enumerate(
        zip(styles, (0.75, 0.25), (1.0, 0.5), strict=True)
    ):
        wanted = layers(style)

        def part(features: np.ndarray, region: int = region) -> np.ndarray:
            edge = 3 * features.shape[2] // 4
            return features[:, :, edge:] if region else features[:, :, :edge]

        target = adain(part(before[TAPS[-1]]), wanted[TAPS[-1]], alpha)
        squares += share * np.square(part(found[TAPS[-1]]) - target).mean()
        for tap in TAPS:
            losses[tap] += share * style_loss(part(found[tap]), wanted[tap])
    assert measured.content_loss == pytest.approx(squares, rel=1e-4)
    for tap in TAPS:
        assert measured.style_losses[tap] == pytest.approx(losses[tap], rel=1e-4), tap


def test_region_without_a_style_has_no_style_loss(
    ruler: Ruler, picture: Picture
) -> None:
    content, style = picture(32, 64, 1), picture(32, 32, 2)
    seen = ruler.look(content, three_to_one(32, 64))
    wanted = ruler.look(style).moments
    strength = [1.0, 0.0]
    only = np.array([True, False])
    found = ruler.measure(content, seen, Goal(stacked(wanted, wanted), strength, only))
    # Whatever statistics stand where no style is.
    other = stacked(wanted, ruler.look(content).moments)
    again = ruler.measure(content, seen, Goal(other, strength, only))
    assert values(found) == values(again)
    none = ruler.measure(content, seen, Goal(other, 0.0, np.array([False, False])))
    assert none.style_losses == {}
    assert none.content_loss == pytest.approx(0, abs=1e-9)
