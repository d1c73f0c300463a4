"""A block becomes pictures: plain, masked, with kept colours, each failing alone."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from model.adain.keep_colors import keep_chroma, match_colors
from model.adain.stylizer import to_float
from transforms.elements import ImageError, Reason
from transforms.images.load import style_pixels
from transforms.stylize.painting import paint_block


@pytest.fixture
def mask(tmp_path):
    """Return a writer of masks: white left of a column."""

    def write(column, name="mask.png"):
        pixels = np.zeros((40, 48), np.uint8)
        pixels[:, :column] = 255
        Image.fromarray(pixels).save(tmp_path / name)
        return str(tmp_path / name)

    return write


def pixels_of(results):
    return [result.pixels for result in results]


def test_every_painting_has_its_style_and_strength(tiny_model, make_block, recipe):
    block = make_block(recipe(0), recipe(1, alpha=0.5))
    found = pixels_of(paint_block(tiny_model, block, "none", 0))
    stylizer = tiny_model.get()
    content = stylizer.encode_content(block.content.pixels[None])
    for place, alpha in enumerate((1.0, 0.5)):
        one = slice(place, place + 1)
        expected, _ = stylizer.paint(
            content, block.style_mean[one], block.style_std[one], [alpha]
        )
        np.testing.assert_allclose(found[place], expected[0], atol=1)
    assert (found[0] != found[1]).any()


def test_luminance_keeps_the_chroma_of_the_content(tiny_model, make_block, recipe):
    block = make_block(recipe(0))
    (plain,) = pixels_of(paint_block(tiny_model, block, "none", 0))
    (kept,) = pixels_of(paint_block(tiny_model, block, "luminance", 0))
    np.testing.assert_array_equal(kept, keep_chroma(block.content.pixels, plain))


def test_histogram_paints_with_the_recoloured_style(
    tiny_model, make_block, recipe, style_refs
):
    block = make_block(recipe(0))
    (found,) = pixels_of(paint_block(tiny_model, block, "histogram", 0))
    content = block.content.pixels
    recolored = match_colors(
        to_float(style_pixels(style_refs[0], 0)), to_float(content)
    )
    stylizer = tiny_model.get()
    expected, _ = stylizer.paint(
        stylizer.encode_content(content[None]),
        *stylizer.encode_style(recolored[None]),
        [1.0],
    )
    np.testing.assert_allclose(found, expected[0], atol=1)


def test_mask_of_one_style_leaves_the_rest(tiny_model, make_block, recipe, mask):
    plain = make_block(recipe(0))
    (whole,) = pixels_of(paint_block(tiny_model, plain, "none", 0))
    everywhere = make_block(recipe(0, masks=(mask(48),)))
    (found,) = pixels_of(paint_block(tiny_model, everywhere, "none", 0))
    np.testing.assert_allclose(found.astype(int), whole, atol=1)
    nothing = make_block(recipe(0, masks=(mask(0, "empty.png"),)))
    (result,) = paint_block(tiny_model, nothing, "none", 0)
    assert result.note == "empty region: 1.png"
    content = make_block(recipe(0, alpha=0.0))
    (untouched,) = pixels_of(paint_block(tiny_model, content, "none", 0))
    np.testing.assert_allclose(result.pixels.astype(int), untouched, atol=1)


@pytest.mark.parametrize("preserve_color", ["none", "histogram"])
def test_mask_that_is_gone_fails_its_picture(
    tiny_model, make_block, recipe, preserve_color
):
    block = make_block(recipe(0, masks=("gone.png",)))
    (error,) = paint_block(tiny_model, block, preserve_color, 0)
    assert isinstance(error, ImageError)
    assert error.reason == Reason.NOT_FOUND


def test_style_that_is_gone_fails_where_its_pixels_are_needed(
    tiny_model, make_block, recipe
):
    block = make_block(recipe(0), recipe(1))
    (share,) = block.paintings[0].recipe.styles
    gone = dataclasses.replace(block.styles[share.id], path="gone.png")
    block = dataclasses.replace(block, styles={**block.styles, share.id: gone})
    first, second = paint_block(tiny_model, block, "histogram", 0)
    assert first.reason == Reason.NOT_FOUND
    assert second.pixels.shape == (40, 48, 3)


def test_vectors_that_are_no_numbers_fail_alone(tiny_model, make_block, recipe):
    block = make_block(recipe(0), recipe(1))
    block.style_mean[0] = np.nan
    first, second = paint_block(tiny_model, block, "luminance", 0)
    assert first.reason == Reason.MODEL_ERROR
    assert second.pixels.shape == (40, 48, 3)
