"""Pictures are measured where that is wanted; one that cannot be stays a picture."""

import dataclasses

import numpy as np
import pytest

from model.adain.ruler import Goal
from transforms.elements import ImageError, Reason
from transforms.stylize import measure
from transforms.stylize.blocks import Painted
from transforms.stylize.measure import measured
from transforms.stylize.painting import paint_block


@pytest.fixture
def block(make_block, recipe):
    """Two paintings, the first of which is to be measured."""
    made = make_block(recipe(0), recipe(1, alpha=0.5))
    first, second = made.paintings
    paintings = [dataclasses.replace(first, measured=True), second]
    return dataclasses.replace(made, paintings=paintings)


@pytest.fixture
def picture_of(block):
    return Painted(255 - block.content.pixels, note="odd")


def test_only_what_is_wanted_is_measured(tiny_model, block):
    first, second = paint_block(tiny_model, block, "none", 0)
    assert second.metrics is None
    assert set(first.metrics) == {
        "content_loss",
        *(f"style_loss_relu{n}_1" for n in (1, 2, 3, 4)),
        "ssim",
        "ruler_encoder_sha256",
    }


def test_metrics_are_those_of_the_ruler(tiny_model, block, picture_of, style_refs):
    found = measured(tiny_model, block, 0, picture_of, 0)
    ruler = tiny_model.ruler()
    style = measure.style_pixels(style_refs[0], 0)
    expected = ruler.measure(
        picture_of.pixels,
        ruler.look(block.content.pixels),
        Goal(ruler.look(style).moments, 1.0),
    )
    losses = expected.style_losses
    metrics = dict(found.metrics)
    assert metrics.pop("ruler_encoder_sha256") == ruler.encoder_sha256
    assert metrics == pytest.approx(
        {
            "content_loss": expected.content_loss,
            **{f"style_loss_relu{n}_1": losses[f"block{n}_conv1"] for n in range(1, 5)},
            "ssim": expected.ssim,
        }
    )
    np.testing.assert_array_equal(found.pixels, picture_of.pixels)
    assert found.note == "odd"


def test_the_content_itself_is_perfectly_similar(tiny_model, block):
    found = measured(tiny_model, block, 0, Painted(block.content.pixels), 0)
    assert found.metrics["ssim"] == pytest.approx(1.0)


def test_failure_stays_a_failure(tiny_model, block):
    error = ImageError(Reason.MODEL_ERROR, "NaN")
    assert measured(tiny_model, block, 0, error, 0) is error


def test_picture_that_cannot_be_measured_says_why(
    tiny_model, block, picture_of, monkeypatch
):
    monkeypatch.setattr(measure, "_MOMENTS", {})
    styles = {
        name: dataclasses.replace(ref, path="gone.png")
        for name, ref in block.styles.items()
    }
    found = measured(
        tiny_model, dataclasses.replace(block, styles=styles), 0, picture_of, 0
    )
    assert found.metrics is None
    assert found.note.startswith("odd; not measured: not_found")
    np.testing.assert_array_equal(found.pixels, picture_of.pixels)


def test_masked_picture_is_measured_by_its_regions(
    tiny_model, make_block, recipe, picture_of, listed
):
    # Black all over: no style is asked for, so there is no loss of style.
    black = listed("black.pgm", data=b"P5 48 40 255\n" + bytes(48 * 40))
    made = make_block(recipe(0, masks=(black.path,)))
    wanted = dataclasses.replace(made.paintings[0], measured=True)
    made = dataclasses.replace(made, paintings=[wanted])
    found = measured(tiny_model, made, 0, picture_of, 0)
    assert set(found.metrics) == {"content_loss", "ssim", "ruler_encoder_sha256"}
