"""The stylizer at several taps equals NumPy's, float64: styles, alpha, masks, tiles."""

from collections.abc import Callable

import numpy as np
import pytest

from model.adain.stylizer import Stylizer
from model.bundle import Bundle
from model.networks.tiling import TILE_BYTES, tile_pixels

Picture = Callable[..., np.ndarray]
KINDS = ["linear", "relu", "vgg"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [1.0, 0.4, 0.0])
def test_pictures_equal_numpy(
    level_bundles: Callable[[str], Bundle],
    numpy_levels,
    picture: Picture,
    kind: str,
    alpha: float,
) -> None:
    bundle = level_bundles(kind)
    stylizer = Stylizer(bundle)
    reference = numpy_levels(bundle)
    content = picture(24, 40)[None]
    styles = [picture(32, 24, 7)[None], picture(24, 56, 8)[None]]
    vectors = [stylizer.encode_style(style) for style in styles]
    for (mean, std), style in zip(vectors, styles, strict=True):
        expected = zip(*reference.moments(style), strict=True)
        for found, of_taps in zip((mean, std), expected, strict=True):
            np.testing.assert_allclose(
                found, np.concatenate(of_taps, 1), rtol=1e-5, atol=1e-5
            )
    mean, std = (np.concatenate(part) for part in zip(*vectors, strict=True))
    found = stylizer.decode(stylizer.encode_content(content), mean, std, alpha)
    inside = 0.0
    for actual, style in zip(found, styles, strict=True):
        decoded = reference.decode(reference.targets(content, style, alpha))[0]
        inside += ((decoded > 0) & (decoded < 1)).mean() / 2
        np.testing.assert_allclose(actual, np.clip(decoded, 0, 1), rtol=0, atol=1e-4)
    assert inside > 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_sides_that_are_no_multiple_of_the_stride(
    level_bundles: Callable[[str], Bundle], numpy_levels, picture: Picture, kind: str
) -> None:
    bundle = level_bundles(kind)
    content, style = picture(29, 43)[None], picture(32, 24, 7)[None]
    padded = np.pad(content, ((0, 0), (0, 3), (0, 5), (0, 0)), mode="reflect")
    reference = numpy_levels(bundle)
    expected = np.clip(reference.decode(reference.targets(padded, style)), 0, 1)
    found = Stylizer(bundle).stylize(content, style)
    np.testing.assert_allclose(found, expected[:, :29, :43], rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_blend_is_the_mean_of_adain(
    level_bundles: Callable[[str], Bundle], numpy_levels, picture: Picture, kind: str
) -> None:
    """Sum of w AdaIN(x, y_k) at every tap: vectors are mixed, not maps."""
    bundle = level_bundles(kind)
    stylizer, reference = Stylizer(bundle), numpy_levels(bundle)
    content = picture(24, 40)[None]
    styles = [picture(32, 24, 7)[None], picture(24, 56, 8)[None]]
    vectors = [stylizer.encode_style(style) for style in styles]
    mean, std = (0.7 * a + 0.3 * b for a, b in zip(*vectors, strict=True))
    found = stylizer.decode(stylizer.encode_content(content), mean, std)
    targets = [reference.targets(content, style) for style in styles]
    mixed = [0.7 * a + 0.3 * b for a, b in zip(*targets, strict=True)]
    expected = np.clip(reference.decode(mixed), 0, 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_equal_numpy_at_every_tap(
    level_bundles: Callable[[str], Bundle],
    numpy_levels,
    picture: Picture,
    rng: np.random.Generator,
    kind: str,
) -> None:
    bundle = level_bundles(kind)
    stylizer, reference = Stylizer(bundle), numpy_levels(bundle)
    content = picture(24, 40)[None]
    styles = [picture(32, 24, 7)[None], picture(24, 56, 8)[None]]
    masks = rng.uniform(0, 1, (2, 24, 40)).astype(np.float32)
    masks[0, :, :16] = 0
    masks[1, :8, 16:] = 0
    alphas = np.float32([0.8, 1])
    vectors = [stylizer.encode_style(style) for style in styles]
    mean, std = (np.concatenate(part) for part in zip(*vectors, strict=True))
    found, finite = stylizer.paint_regions(
        stylizer.encode_content(content), masks, mean, std, alphas
    )
    assert finite.all()

    targets = []
    of_styles = [reference.moments(style) for style in styles]
    strides = bundle.architecture.tap_strides
    for k, (x, stride) in enumerate(
        zip(reference.encode(content), strides, strict=True)
    ):
        shape = (2, 24 // stride, stride, 40 // stride, stride)
        shares = masks.astype(np.float64).reshape(shape).mean((2, 4))
        shares = shares / shares.sum(0)
        target = np.zeros_like(x)
        for r in range(2):
            m = shares[r][..., None]
            mu = (x[0] * m).sum((0, 1)) / m.sum()
            sigma = np.sqrt(((x[0] - mu) ** 2 * m).sum((0, 1)) / m.sum() + 1e-5)
            style_mean, style_std = (v[0] for v in of_styles[r][k])
            t = style_std * (x[0] - mu) / sigma + style_mean
            target[0] += m * (alphas[r] * t + (1 - alphas[r]) * x[0])
        targets.append(target)
    expected = np.clip(reference.decode(targets), 0, 1) * 255
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.53)


def _page(picture: Picture) -> np.ndarray:
    """White with lines of text: channels that are constant almost everywhere."""
    page = np.ones((296, 448, 3), np.float32)
    page[40:250:12, 60:390:3] = 0.1
    return page


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", [65536, 200 * 320, 90000])
@pytest.mark.parametrize("motif", ["picture", "page"])
def test_tiles_equal_the_whole(
    level_bundles: Callable[[str], Bundle],
    picture: Picture,
    kind: str,
    budget: int,
    motif: str,
) -> None:
    """Within a grey level, at three budgets: a blend, a mask, alpha 0.5."""
    bundle = level_bundles(kind)
    image = picture(301, 443) if motif == "picture" else _page(picture)
    whole, tiled = (Stylizer(bundle, max_tile_pixels=n) for n in (10**9, budget))
    vectors = [whole.encode_style(picture(40, 40, seed)[None]) for seed in (3, 4)]
    mean, std = (np.concatenate(part) for part in zip(*vectors, strict=True))
    mean[1], std[1] = mean.mean(0), std.mean(0)
    contents = [s.encode_content(image[None]) for s in (whole, tiled)]
    assert contents[0].maps is not None
    assert contents[1].maps is None
    np.testing.assert_allclose(contents[1].mean, contents[0].mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(contents[1].std, contents[0].std, rtol=1e-4, atol=1e-5)
    pair = [
        s.paint(c, mean, std, [0.5, 1.0])[0].astype(int)
        for s, c in zip((whole, tiled), contents, strict=True)
    ]
    assert np.abs(pair[0] - pair[1]).max() <= 1
    masks = np.stack([np.zeros(image.shape[:2]), np.ones(image.shape[:2])])
    masks[:, :, :200] = masks[::-1, :, :200]
    masked = [
        s.paint_regions(c, np.float32(masks), mean, std)[0].astype(int)
        for s, c in zip((whole, tiled), contents, strict=True)
    ]
    assert np.abs(masked[0] - masked[1]).max() <= 1
    big = (10**9, budget)
    styles = [
        Stylizer(bundle, max_tile_pixels=n).encode_style(image[None]) for n in big
    ]
    np.testing.assert_allclose(styles[1][1], styles[0][1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_is_near_float32(
    level_bundles: Callable[[str], Bundle], picture: Picture, kind: str
) -> None:
    content, style = picture(48, 64)[None], picture(40, 40, 5)[None]
    exact, rounded = (
        Stylizer(level_bundles(kind), precision).stylize(content, style)
        for precision in ("float32", "bfloat16")
    )
    assert -10 * np.log10(np.square(exact - rounded).mean()) > 30


def test_tiles_are_as_large_as_the_network_is_narrow(
    level_bundles: Callable[[str], Bundle],
) -> None:
    from model.architecture import Architecture
    from model.networks.decoder import mirror_layers
    from model.networks.encoder import layers_to, vgg_layers
    from model.networks.family import family_member, narrow_layers

    vgg = layers_to(vgg_layers("vgg16", "reflect"), "block4_conv1")
    paper = tile_pixels(Architecture(vgg, mirror_layers(vgg)))
    assert paper == TILE_BYTES // 800
    # The maps of its taps are 480 bytes a pixel.
    levels = tile_pixels(family_member(vgg, decoder_channels=(96, 32, 16)))
    assert 0.6 < levels / paper < 0.7
    slim = family_member(
        narrow_layers(vgg, (16, 32, 64, 128)),
        decoder_channels=(96, 32, 16),
        tap_channels={layer.name: layer.out_channels for layer in vgg},
    )
    assert 2 < tile_pixels(slim) / paper < 3
