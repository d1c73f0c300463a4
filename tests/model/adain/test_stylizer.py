import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from model.adain.stylizer import Stylizer, to_float, to_uint8
from model.bundle import Bundle, load_bundle
from model.config import ConvSpec, Precision
from model.networks.decoder import build_decoder, mirror_layers
from model.networks.encoder import build_encoder
from model.networks.regions import RegionMasks
from model.networks.weights import load_vgg_weights

Arrays = dict[str, np.ndarray]
Picture = Callable[..., np.ndarray]

COLOURS = {"black": (0, 0, 0), "white": (1, 1, 1), "red": (1, 0, 0), "blue": (0, 0, 1)}


@pytest.fixture(scope="module")
def tiny(tiny_bundle: Bundle) -> Stylizer:
    return Stylizer(tiny_bundle)


@pytest.fixture(scope="module")
def pictures(picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """One generated content and style of 128 pixels."""
    return picture(128, 128, 1)[None], picture(128, 128, 2)[None]


@pytest.fixture(scope="module")
def photos(shared: pathlib.Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Three real pairs, a photograph and a painting each, 192 pixels."""

    def read(folder: str, suffix: str, count: int) -> list[np.ndarray]:
        found = sorted((shared / "data" / folder).rglob(f"*{suffix}"))
        chosen = found[:: len(found) // count][:count]
        pixels = []
        for path in chosen:
            with Image.open(path) as image:
                small = image.convert("RGB").resize((192, 192), Image.Resampling.BOX)
            pixels.append(to_float(np.asarray(small))[None])
        return pixels

    contents = read("coco/train2014", ".jpg", 3)
    return list(zip(contents, read("wikiart", ".jpg", 3), strict=True))


def test_stylized_picture_equals_numpy(
    tiny_bundle: Bundle,
    tiny: Stylizer,
    picture: Picture,
    numpy_network: Callable[..., Arrays],
) -> None:
    """The whole of eq. 14, of sizes that need no padding, in float64."""
    content, style, alpha = picture(24, 32, 1)[None], picture(40, 16, 2)[None], 0.6

    def encode(image: np.ndarray) -> np.ndarray:
        bgr = image[..., ::-1] * 255.0 - np.array([103.939, 116.779, 123.68])
        layers = tiny_bundle.encoder_layers
        return numpy_network(layers, tiny_bundle.encoder, bgr)["block4_conv1"]

    x, y = encode(content), encode(style)
    axes = {"axis": (1, 2), "keepdims": True}
    x_std, y_std = (np.sqrt(f.var(**axes) + 1e-5) for f in (x, y))
    t = y_std * (x - x.mean(**axes)) / x_std + y.mean(**axes)
    mixed = alpha * t + (1 - alpha) * x
    layers = tiny_bundle.decoder_layers
    decoded = numpy_network(layers, tiny_bundle.decoder, mixed)[layers[-1].name]
    inside = (decoded > 0) & (decoded < 1)
    assert inside.mean() > 0.5
    expected = np.clip(decoded, 0, 1)
    np.testing.assert_allclose(
        tiny.stylize(content, style, alpha), expected, rtol=0, atol=1e-5
    )


def test_grid_equals_pair_by_pair(tiny: Stylizer, picture: Picture) -> None:
    contents = [picture(29, 43, seed)[None] for seed in range(2)]
    styles = [picture(33, 25, 10 + seed)[None] for seed in range(3)]
    moments = [tiny.encode_style(style) for style in styles]
    means, stds = (np.concatenate(m) for m in zip(*moments, strict=True))
    for content in contents:
        encoded = tiny.encode_content(content)
        rows = tiny.decode(encoded, means, stds)
        for row, style in zip(rows, styles, strict=True):
            pair = tiny.stylize(content, style)[0]
            np.testing.assert_allclose(row, pair, rtol=0, atol=1e-5)


def test_size_of_the_batch_does_not_matter(tiny: Stylizer, picture: Picture) -> None:
    contents = np.stack([picture(24, 40, seed) for seed in range(5)])
    styles = np.stack([picture(24, 24, 10 + seed) for seed in range(5)])
    alphas = np.float32([0, 0.2, 0.5, 0.9, 1])
    whole = tiny.stylize(contents, styles, alphas)
    for size in (1, 2, 3):
        parts = [
            tiny.stylize(*(a[i : i + size] for a in (contents, styles, alphas)))
            for i in range(0, 5, size)
        ]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.03)]
)
def test_alpha_zero_reconstructs_the_content(
    tiny_bundle: Bundle, picture: Picture, precision: Precision, tolerance: float
) -> None:
    content, style = picture(24, 40, 1)[None], picture(24, 24, 2)[None]
    stylizer = Stylizer(tiny_bundle, precision)
    encoder = build_encoder(tiny_bundle.encoder_layers, tiny_bundle.encoder)
    decoder = build_decoder(tiny_bundle.decoder_layers, tiny_bundle.decoder)
    np.testing.assert_allclose(
        stylizer.stylize(content, style, 0.0),
        np.clip(decoder(encoder(content)), 0, 1),
        rtol=0,
        atol=tolerance,
    )


def test_bytes_and_floats_give_the_same(tiny: Stylizer, picture: Picture) -> None:
    pixels = to_uint8(picture(33, 47, 1))[None]
    style = tiny.encode_style(to_float(pixels[:, ::-1]))
    for left, right in zip(style, tiny.encode_style(pixels[:, ::-1]), strict=True):
        np.testing.assert_array_equal(left, right)
    painted, finite = tiny.paint(tiny.encode_content(pixels), *style)
    decoded = tiny.decode(tiny.encode_content(to_float(pixels)), *style)
    np.testing.assert_array_equal(painted, to_uint8(decoded))
    assert finite.all()


def test_not_a_number_is_told(tiny: Stylizer, picture: Picture) -> None:
    content = tiny.encode_content(picture(16, 16)[None])
    mean, std = tiny.encode_style(np.stack([picture(16, 16, n) for n in (1, 2)]))
    mean[1] = np.nan
    assert tiny.paint(content, mean, std)[1].tolist() == [True, False]


def halves(height: int, width: int) -> np.ndarray:
    """Return two regions: left and right."""
    masks = np.zeros((2, height, width), np.float32)
    masks[0, :, : width // 2] = 1
    masks[1] = 1 - masks[0]
    return masks


def test_mask_of_ones_equals_no_mask(tiny: Stylizer, picture: Picture) -> None:
    content = tiny.encode_content(picture(33, 47, 1)[None])
    style = tiny.encode_style(picture(32, 32, 2)[None])
    ones = np.ones((1, 33, 47), np.float32)
    masked, _ = tiny.paint_regions(content, ones, *style, 0.7)
    assert np.abs(masked.astype(int) - tiny.paint(content, *style, 0.7)[0]).max() <= 1


def test_each_region_has_the_statistics_of_its_style(
    looking_glass: Stylizer, picture: Picture
) -> None:
    """A network that changes nothing shows AdaIN itself: eq. 8, region by region."""
    content = looking_glass.encode_content(picture(40, 64, 1)[None])
    mean = np.float32([[0.3, 0.4, 0.5], [0.6, 0.5, 0.4]])
    std = np.float32([[0.05, 0.1, 0.02], [0.1, 0.03, 0.06]])
    painted, _ = looking_glass.paint_regions(content, halves(40, 64), mean, std)
    for region, (start, stop) in enumerate(((0, 32), (32, 64))):
        part = to_float(painted)[0, :, start:stop, ::-1]  # its features are BGR
        np.testing.assert_allclose(part.mean((0, 1)), mean[region], atol=2e-3)
        np.testing.assert_allclose(part.std((0, 1)), std[region], atol=3e-3)


def test_soft_masks_mix_and_their_scale_does_not_matter(
    tiny: Stylizer, picture: Picture
) -> None:
    content = tiny.encode_content(picture(32, 64, 1)[None])
    styles = tiny.encode_style(np.stack([picture(32, 32, n) for n in (2, 3)]))
    ramp = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (32, 64))
    soft = np.stack([1 - ramp, ramp])
    painted, _ = tiny.paint_regions(content, soft, *styles)
    np.testing.assert_array_equal(
        tiny.paint_regions(content, 3 * soft, *styles)[0], painted
    )
    hard, _ = tiny.paint_regions(content, halves(32, 64), *styles)
    assert np.abs(hard.astype(int) - painted).mean() > 0.5


def test_masks_of_bytes_with_weights_are_those_of_floats(
    tiny: Stylizer, picture: Picture
) -> None:
    content = tiny.encode_content(picture(33, 61, 1)[None])
    styles = tiny.encode_style(np.stack([picture(32, 32, n) for n in (2, 3)]))
    ramp = np.broadcast_to(np.linspace(0, 255, 61).astype(np.uint8), (33, 61))
    shares, weights = np.stack([255 - ramp, ramp]), np.float32([1, 0.25])
    masks = RegionMasks(shares, weights)
    floats = to_float(shares) * weights[:, None, None]
    for given in (masks, floats):
        painted, finite = tiny.paint_regions(content, given, *styles)
        assert finite.all()
        np.testing.assert_array_equal(
            painted, tiny.paint_regions(content, floats, *styles)[0]
        )


def test_three_regions_tiled_equal_untiled(
    tiny_bundle: Bundle, picture: Picture
) -> None:
    content = picture(301, 403, 1)[None]
    third = np.arange(403)[None, None] // 135 == np.arange(3)[:, None, None]
    masks = np.broadcast_to(third, (3, 301, 403)).astype(np.float32)
    whole, tiled = (Stylizer(tiny_bundle, max_tile_pixels=n) for n in (10**9, 65536))
    styles = whole.encode_style(np.stack([picture(32, 32, n) for n in (2, 3, 4)]))
    expected, found = (
        s.paint_regions(s.encode_content(content), masks, *styles)[0].astype(int)
        for s in (whole, tiled)
    )
    assert np.abs(expected - found).max() <= 1


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.stack([np.ones((32, 32)), np.zeros((32, 32))]), "empty"),
        (np.ones((1, 32, 24)), "must be 32 x 32"),
    ],
)
def test_masks_that_cannot_be_used_are_refused(
    tiny: Stylizer, picture: Picture, masks: np.ndarray, message: str
) -> None:
    content = tiny.encode_content(picture(32, 32)[None])
    style = tiny.encode_style(np.stack([picture(32, 32, 2)] * len(masks)))
    with pytest.raises(ValueError, match=message):
        tiny.paint_regions(content, masks.astype(np.float32), *style)


def test_alpha_one_is_the_default_and_alpha_mixes(
    tiny: Stylizer, picture: Picture
) -> None:
    content, style = picture(24, 40, 1)[None], picture(24, 24, 2)[None]
    full = tiny.stylize(content, style)
    np.testing.assert_array_equal(tiny.stylize(content, style, 1.0), full)
    np.testing.assert_array_equal(tiny.stylize(content, style, [1.0]), full)
    none, half = (tiny.stylize(content, style, alpha) for alpha in (0.0, 0.5))
    assert np.abs(none - full).mean() > np.abs(half - full).mean() > 1e-3


@pytest.mark.parametrize("alpha", [-0.01, 1.01, float("nan"), [0.5, 2.0]])
def test_alpha_outside_is_refused(
    tiny: Stylizer, picture: Picture, alpha: float
) -> None:
    images = np.stack([picture(16, 16, seed) for seed in (1, 2)])
    with pytest.raises(ValueError, match=r"`alpha` must be in \[0, 1\]. Received"):
        tiny.stylize(images, images, alpha)


@pytest.mark.parametrize(
    "size", [(16, 16), (17, 23), (33, 47), (40, 16), (427, 640)], ids=str
)
def test_output_has_the_size_of_the_content(
    tiny: Stylizer, picture: Picture, size: tuple[int, int]
) -> None:
    content, style = picture(*size)[None], picture(19, 50)[None]
    before = content.copy(), style.copy()
    output = tiny.stylize(content, style)
    assert output.shape == (1, *size, 3)
    assert output.dtype == np.float32
    np.testing.assert_array_equal(content, before[0])
    np.testing.assert_array_equal(style, before[1])


def test_padding_is_by_reflection_at_the_right_and_the_bottom(
    tiny: Stylizer, picture: Picture
) -> None:
    content, style = picture(33, 47)[None], picture(24, 24)[None]
    padded = np.pad(content, ((0, 0), (0, 7), (0, 1), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(
        tiny.stylize(content, style), tiny.stylize(padded, style)[:, :33, :47]
    )


def test_sizes_are_traced_once(tiny_bundle: Bundle, picture: Picture) -> None:
    stylizer = Stylizer(tiny_bundle)
    for size in ((16, 24), (24, 16), (33, 47)):
        stylizer.stylize(picture(*size)[None], picture(*size)[None])
    for function in (stylizer._encode, stylizer._moments, stylizer._decode):
        assert function.experimental_get_tracing_count() == 1


def test_smallest_picture_follows_from_the_poolings(
    random_arrays: Callable[..., Arrays],
) -> None:
    """One cell at the deepest layer cannot be reflected."""
    layers = (
        ConvSpec("a", 3, 4),
        *(ConvSpec(f"b{i}", 4, 4, pool_before=True) for i in range(4)),
    )
    mirrored = mirror_layers(layers)
    stylizer = Stylizer(
        Bundle.create(
            layers, random_arrays(layers), mirrored, random_arrays(mirrored), about={}
        )
    )
    image = np.zeros((1, 32, 33, 3), np.float32)
    assert stylizer.stylize(image, image).shape == image.shape
    with pytest.raises(ValueError, match="at least 32 pixels a side"):
        stylizer.encode_content(image[:, :31])


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 16, 16, 3), np.int32),
        np.zeros((1, 16, 16, 3), np.float64),
        np.zeros((16, 16, 3), np.float32),
        np.zeros((1, 16, 16, 4), np.float32),
        np.zeros((1, 15, 16, 3), np.float32),
        np.zeros((1, 16, 15, 3), np.float32),
    ],
    ids=lambda images: f"{images.dtype} {images.shape}",
)
def test_images_of_another_kind_are_refused(tiny: Stylizer, images: np.ndarray) -> None:
    for encode in (tiny.encode_content, tiny.encode_style):
        with pytest.raises(ValueError, match=r"`images` must be .*Received"):
            encode(images)


@pytest.fixture(scope="module")
def looking_glass() -> Stylizer:
    """A network without a will of its own: features are BGR, the picture is features.

    The weights are written down from what the bundle promises: BGR * 255 - mean goes
    in, RGB in [0, 1] comes out.
    """
    encoder, decoder = (ConvSpec("in", 3, 3, 1),), (ConvSpec("out", 3, 3, 1),)
    mean = np.float32([103.939, 116.779, 123.68])
    look = {"in/kernel": np.eye(3)[None, None] / 255, "in/bias": mean / 255}
    flip = {"out/kernel": np.eye(3)[None, None, ::-1], "out/bias": np.zeros(3)}
    return Stylizer(
        Bundle.create(
            encoder,
            {name: a.astype(np.float32) for name, a in look.items()},
            decoder,
            {name: a.astype(np.float32) for name, a in flip.items()},
            about={},
        )
    )


def test_range_and_channel_order_at_both_ends(
    looking_glass: Stylizer, picture: Picture
) -> None:
    content = picture(33, 47)[None]
    np.testing.assert_allclose(
        looking_glass.stylize(content, content, 0.0), content, rtol=0, atol=1e-5
    )
    for colour in COLOURS.values():
        style = np.full((1, 16, 16, 3), colour, np.float32)
        features, _ = looking_glass.encode_style(style)
        np.testing.assert_allclose(features[0], colour[::-1], atol=1e-6)
        # A style of one colour paints everything in it, up to the epsilon.
        painted = looking_glass.stylize(content, style)
        np.testing.assert_allclose(
            painted, np.broadcast_to(style[:, :1, :1], painted.shape), atol=0.02
        )


def test_pixels_are_clipped(tiny_bundle: Bundle, picture: Picture) -> None:
    loud = {name: 50 * array for name, array in tiny_bundle.decoder.items()}
    stylizer = Stylizer(
        Bundle.create(
            tiny_bundle.encoder_layers,
            tiny_bundle.encoder,
            tiny_bundle.decoder_layers,
            loud,
            about={},
        )
    )
    output = stylizer.stylize(picture(32, 32, 1)[None], picture(32, 32, 2)[None])
    assert (output.min(), output.max()) == (0, 1)


def test_uint8_round_trips() -> None:
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(levels)), levels)
    assert to_float(levels).dtype == np.float32


# The packaged bundle.


def of_colour(name: str) -> np.ndarray:
    return np.full((1, 48, 48, 3), COLOURS[name], np.float32)


@pytest.mark.parametrize("content", list(COLOURS))
@pytest.mark.parametrize("style", ["black", "red"])
def test_one_colour_pictures_stay_in_range(
    default_stylizer: Stylizer, content: str, style: str
) -> None:
    output = default_stylizer.stylize(of_colour(content), of_colour(style))
    assert np.isfinite(output).all()
    assert output.min() >= 0
    assert output.max() <= 1


def test_statistics_of_red_are_those_of_bgr(
    default_stylizer: Stylizer, numpy_network: Callable[..., Arrays]
) -> None:
    """Without our preprocessing and decoder: red is (-B, -G, 255 - R)."""
    bundle = default_stylizer.bundle
    red = np.array([0 - 103.939, 0 - 116.779, 255 - 123.68])
    pixels = np.broadcast_to(red, (1, 16, 16, 3))
    layers = bundle.encoder_layers
    expected = numpy_network(layers, bundle.encoder, pixels)["block4_conv1"]
    image = np.full((1, 16, 16, 3), (1, 0, 0), np.float32)
    mean, std = default_stylizer.encode_style(image)
    scale = expected.max()
    np.testing.assert_allclose(mean[0], expected.mean((0, 1, 2)), atol=1e-4 * scale)
    np.testing.assert_allclose(std, np.sqrt(1e-5), rtol=0.05)
    other, _ = default_stylizer.encode_style(image[..., ::-1].copy())
    assert np.abs(other - mean).max() > 0.1 * scale


def float32_encoder(bundle: Bundle) -> Arrays:
    """The bundle's encoder as if it had never been rounded to float16.

    The factor of a channel is what best turns the original weights into the stored
    ones; it averages over 27 to 4608 rounding errors.
    """
    original = load_vgg_weights("vgg16", _original_vgg16())
    arrays = {}
    before = np.ones(3)
    for layer in bundle.encoder_layers:
        stored = bundle.encoder[f"{layer.name}/kernel"].astype(np.float64)
        kernel = original[f"{layer.name}/kernel"] * before[:, None]
        factor = (stored * kernel).sum((0, 1, 2)) / (kernel**2).sum((0, 1, 2))
        arrays[f"{layer.name}/kernel"] = (kernel * factor).astype(np.float32)
        bias = original[f"{layer.name}/bias"] * factor
        arrays[f"{layer.name}/bias"] = bias.astype(np.float32)
        before = 1 / factor
    return arrays


def _original_vgg16() -> str | None:
    """Return the float32 original, or None (the package's float16) where it is absent.

    That one was rounded apart from the bundle, so the comparison only gets stricter.
    """
    root = pathlib.Path(__file__).resolve().parents[4]
    path = root / "shared" / "weights" / "vgg16_imagenet_notop.npz"
    return str(path) if path.is_file() else None


@pytest.fixture(scope="module")
def unrounded() -> Stylizer:
    bundle = load_bundle("paper")
    return Stylizer(
        Bundle.create(
            bundle.encoder_layers,
            float32_encoder(bundle),
            bundle.decoder_layers,
            bundle.decoder,
            about={},
        )
    )


def grey_levels(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(to_uint8(a).astype(int) - to_uint8(b)).mean())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(((a - b).astype(np.float64) ** 2).mean()))


@pytest.fixture(scope="module")
def rough() -> Stylizer:
    return Stylizer(load_bundle("paper"), "bfloat16")


def test_default_encoder_is_vgg16_rescaled(
    unrounded: Stylizer, relative_error: Callable[..., float]
) -> None:
    """Each channel by one factor, as the normalisation says: the rest is rounding."""
    stored = load_bundle("paper").encoder
    for name, array in unrounded.bundle.encoder.items():
        assert relative_error(stored[name], array) <= 1e-3, name


def test_float16_packaging_changes_less_than_a_grey_level(
    default_stylizer: Stylizer,
    unrounded: Stylizer,
    pictures: tuple[np.ndarray, np.ndarray],
) -> None:
    levels = grey_levels(
        default_stylizer.stylize(*pictures), unrounded.stylize(*pictures)
    )
    print(f"float16 weights: {levels:.3f} grey levels")
    assert levels <= 1


def test_float16_packaging_changes_less_than_a_grey_level_of_photos(
    default_stylizer: Stylizer,
    unrounded: Stylizer,
    photos: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    for pair in photos:
        levels = grey_levels(default_stylizer.stylize(*pair), unrounded.stylize(*pair))
        print(f"float16 weights: {levels:.3f} grey levels")
        assert levels <= 1


def test_bfloat16_is_close_to_float32(
    default_stylizer: Stylizer,
    rough: Stylizer,
    pictures: tuple[np.ndarray, np.ndarray],
) -> None:
    found = psnr(default_stylizer.stylize(*pictures), rough.stylize(*pictures))
    print(f"bfloat16: {found:.1f} dB")
    assert found >= 38


def test_bfloat16_is_close_to_float32_on_photos(
    default_stylizer: Stylizer,
    rough: Stylizer,
    photos: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    for pair in photos:
        found = psnr(default_stylizer.stylize(*pair), rough.stylize(*pair))
        print(f"bfloat16: {found:.1f} dB")
        assert found >= 38
