"""Maps as pictures: colours, palettes, views of a gradient, marks, channels' names."""

import io

import numpy as np
import pytest
from PIL import Image

from transforms.elements import ImageRef
from transforms.images.load import LoadedImage
from transforms.visualize import canvas
from transforms.visualize.canvas import Canvas
from transforms.visualize.filter_sheets import draw_filters
from transforms.visualize.gradient_sheets import gradient_caption, gradient_views
from transforms.visualize.handler import Gradient, Look
from transforms.visualize.image_sheets import draw_sheets
from transforms.visualize.settings import Channels, Kind, VisualizeSettings
from transforms.visualize.sheet import Tile, sheet_path, statistics


def pixels_of(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("colours", [256, 257])
def test_png_is_exact_with_a_palette_and_without(rng, colours):
    sheet = Canvas(64, 48)
    table = rng.permutation(2**24)[:colours]
    chosen = np.resize(table, 64 * 48).reshape(48, 64)
    rgb = np.stack([chosen >> 16, chosen >> 8 & 255, chosen & 255], -1)
    sheet.paste(rgb.astype(np.uint8), 0, 0)
    mode, found = pixels_of(sheet.png())
    assert mode == ("P" if colours == 256 else "RGB")
    np.testing.assert_array_equal(found, sheet.pixels)
    assert sheet.png() == sheet.png()


def test_colour_map_is_viridis_and_grows_lighter():
    ramp = canvas.viridis(np.linspace(0, 1, 50)).astype(float)
    # Ends as published, https://bids.github.io/colormap.
    np.testing.assert_array_equal(ramp[0], [68, 1, 84])
    np.testing.assert_array_equal(ramp[-1], [253, 231, 37])
    light = ramp @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > 0).all()
    np.testing.assert_array_equal(canvas.viridis(np.array([-1, 2.0])), ramp[[0, -1]])


def test_views_of_a_gradient_show_sign_and_size():
    photo = np.full((2, 2, 3), 100, np.uint8)
    gradient = np.zeros((2, 2, 3), np.float32)
    gradient[0, 0] = [2, 0, 0]
    gradient[1, 1] = [0, -2, 0]
    views = gradient_views(photo, gradient)
    np.testing.assert_array_equal(views["gradient"][0, 0], [255, 128, 128])
    np.testing.assert_array_equal(views["gradient"][1, 1], [128, 0, 128])
    np.testing.assert_array_equal(views["positive"][0, 0], [255, 0, 0])
    np.testing.assert_array_equal(views["negative"][1, 1], [0, 255, 0])
    np.testing.assert_array_equal(views["positive"][1, 1], [0, 0, 0])
    np.testing.assert_array_equal(views["overlay"][0, 1], [60, 60, 60])
    assert views["overlay"][0, 0].sum() > 600


def test_scale_of_a_gradient_does_not_hide_its_numbers(rng):
    gradient = rng.normal(size=(8, 8, 3)).astype(np.float32)
    photo = np.zeros((8, 8, 3), np.uint8)
    for name, view in gradient_views(photo, gradient * 1e-6).items():
        np.testing.assert_allclose(
            view.astype(int), gradient_views(photo, gradient)[name], atol=1
        )
    facts = statistics(gradient * 1e-6)
    assert facts["l2"] == pytest.approx(1e-6 * np.sqrt((gradient**2).sum()), rel=1e-4)
    assert statistics(np.zeros((2, 2)))["zero"]


@pytest.mark.parametrize("box", [(3, 4, 100, 60), (0, 0, 9, 5)])
def test_empty_map_is_marked(box):
    sheet = Canvas(120, 80)
    sheet.cross_out(box, "all zero")
    left, top, width, height = box
    assert len(np.unique(sheet.pixels[top : top + height, left : left + width])) > 2
    sheet.pixels[top : top + height, left:] = canvas.GROUND
    assert (sheet.pixels == canvas.GROUND).mean() > 0.9


def settings(*kinds):
    return VisualizeSettings(
        network="vgg16",
        weights_sha256="0",
        layers=("block1_conv1", "block2_conv1"),
        kinds=kinds,
        channels=Channels(listed=(1, 0)),
        gradient_channels=Channels(top=1),
        size=224,
        randomization_check=True,
        raw=False,
    )


def look(rng, features=None, gradients=None):
    pixels = rng.integers(0, 255, (16, 24, 3), dtype=np.uint8)
    image = LoadedImage(ImageRef("a.jpg", "in", ""), "0", pixels, 24, 16)
    return Look(image, features or {}, gradients or {})


def tile_of(sheet, tile):
    left, top, width, height = tile.box
    return pixels_of(sheet.data)[1][top : top + height, left : left + width]


def test_maps_share_a_scale_or_have_each_their_own(rng):
    """A weak map is dark beside a strong one, and as light by itself."""
    maps = np.zeros((16, 24, 2), np.float32)
    maps[2:8, 2:8] = [10, 1]
    features = {"block1_conv1": maps, "block2_conv1": maps}
    sheets = list(draw_sheets(look(rng, features), settings(Kind.FEATURES)))
    assert [(s.layer, s.scale) for s in sheets] == [
        ("", "strip"),
        ("block1_conv1", "layer"),
        ("block1_conv1", "map"),
        ("block2_conv1", "layer"),
        ("block2_conv1", "map"),
    ]
    shown = {}
    for sheet in sheets[1:3]:
        # Those asked for in their order, then the first 64.
        assert [tile.channel for tile in sheet.tiles] == [1, 0, 0, 1]
        for tile in sheet.tiles[:2]:
            assert tile.maximum == maps[..., tile.channel].max()
            shown[sheet.scale, tile.channel] = tile_of(sheet, tile)
    lightest = canvas.viridis(np.array(1.0))
    tenth = canvas.viridis(np.array(0.1))
    for scale, channel, colour in [
        ("layer", 0, lightest),
        ("layer", 1, tenth),
        ("map", 0, lightest),
        ("map", 1, lightest),
    ]:
        tile = shown[scale, channel]
        height, width = tile.shape[:2]
        middle = tile[round(height * 5 / 16), round(width * 5 / 24)].astype(int)
        np.testing.assert_allclose(middle, colour, atol=3)
    # The strip: the photograph, then the busiest map of each block.
    strip = sheets[0].tiles
    assert [(tile.layer, tile.channel) for tile in strip] == [
        ("", None),
        ("block1_conv1", 0),
        ("block2_conv1", 0),
    ]


def test_numbers_and_the_check_stand_under_a_gradient(rng):
    tile = Tile("a", (0, 0, 1, 1), 7, "overlay", -0.5, 2, 0.1, 3.25, False, 0.873)
    assert gradient_caption(tile) == (
        "feature map 7 · -0.5 to 2 · L2 3.25 · rank correlation with a randomised "
        "network 0.87"
    )
    assert gradient_caption(Tile("a", (0, 0, 1, 1))).startswith("maximum neurons · 0")
    # It is drawn: another correlation is another sheet, but not other maps.
    maps = rng.normal(size=(16, 24, 3)).astype(np.float32)
    sheets = []
    for rho in (0.87, 0.12):
        gradients = {("block1_conv1", Kind.GUIDED): [Gradient(None, maps, rho)]}
        sheets += draw_sheets(look(rng, None, gradients), settings(Kind.GUIDED))
    first, second = sheets
    assert not np.array_equal(pixels_of(first.data)[1], pixels_of(second.data)[1])
    np.testing.assert_array_equal(
        tile_of(first, first.tiles[0]), tile_of(second, second.tiles[0])
    )


def test_filters_are_light_where_positive_and_in_rgb():
    kernel = np.zeros((3, 3, 3, 2), np.float32)
    kernel[0, 0, 2, 0] = 1  # Red, since VGG takes BGR.
    kernel[2, 2, 0, 0] = -1
    sheet = draw_filters("block1_conv1", kernel)
    left, top, width, height = sheet.tiles[0].box
    _, pixels = pixels_of(sheet.data)
    tile = pixels[top : top + height, left : left + width]
    np.testing.assert_array_equal(tile[5, 5], [255, 128, 128])
    np.testing.assert_array_equal(tile[-5, -5], [128, 128, 0])
    assert sheet.tiles[1].zero
    assert sheet.path == "sheets/collection/filters-block1_conv1.png"


def test_deep_filters_show_their_first_channels(rng):
    kernel = rng.normal(size=(3, 3, 128, 70)).astype(np.float32)
    sheet = draw_filters("block3_conv1", kernel)
    assert len(sheet.tiles) == 64
    assert len({tile.box for tile in sheet.tiles}) == 64


@pytest.mark.parametrize(
    "text", ["top", "top:", "best:3", "1,-2", "1,,2", "", "top:-1"]
)
def test_channels_that_mean_nothing_are_refused(text):
    with pytest.raises(ValueError, match=r"expected top:N or channel numbers"):
        Channels.parse(text)


def test_channels_read_and_write_alike():
    for text in ("top:16", "top:0", "3,17,42"):
        assert str(Channels.parse(text)) == text
    assert Channels.parse("3,3,1") == Channels(listed=(3, 1))


def test_sheets_of_images_never_leave_the_output():
    path = sheet_path("../../x.jpg", Kind.GUIDED, "block1_conv1")
    assert path.startswith("sheets/x-jpg-")
    assert ".." not in path
