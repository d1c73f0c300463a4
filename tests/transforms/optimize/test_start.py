"""The styles of a run, and the picture that a bundle paints to start from."""

import numpy as np
import pytest

from model.adain.stylizer import Stylizer
from model.gatys.styles import Styles
from model.networks.regions import RegionMasks
from transforms.elements import ImageError, ImageRef
from transforms.images.masks import regions_of
from transforms.optimize import start
from transforms.optimize.runs import Original, StyleUse
from transforms.optimize.start import choose_styles, paint_start

LEFT = np.zeros((40, 48), np.uint8)
LEFT[:, :20] = 255


@pytest.fixture(scope="module")
def stylizer(tiny_bundle):
    return Stylizer(tiny_bundle)


@pytest.fixture
def images(stylizer, picture, monkeypatch):
    """A content and two styles; the tiny bundle stands for the packaged one."""
    monkeypatch.setattr(start, "_stylizer", lambda _: stylizer)
    sizes = ((40, 48), (32, 36), (44, 33))
    return [
        np.rint(255 * picture(*size, seed=seed)).astype(np.uint8)
        for seed, size in enumerate(sizes)
    ]


def uses(*shares):
    """Return the styles of a run by their keys and weights."""
    return [
        StyleUse(Original(ImageRef(key, "in", key), "0"), weight)
        for key, weight in shares
    ]


def test_weights_of_a_style_that_stands_twice_add_up(images):
    run = uses(("s", 0.25), ("t", 0.5), ("s", 0.25))
    assert choose_styles(run, None, images[1:]).weights == (0.5, 0.5)


def test_regions_of_one_style_are_one(images):
    regions = regions_of([LEFT, 255 - LEFT, None], [1, 1, 1], ["s", "t", "s"])
    styles = choose_styles(uses(("s", 1), ("t", 1), ("s", 1)), regions, images[1:])
    assert styles.places == [0, 1]
    assert styles.regions == 2
    regions = regions_of([LEFT, 255 - LEFT], [1, 1], ["s", "s"])
    alone = choose_styles(uses(("s", 1), ("s", 1)), regions, images[1:2])
    assert (alone.masks, alone.regions) == (None, 0)


def test_start_is_what_the_stylizer_paints(images, stylizer):
    content, *styles = images
    encoded = stylizer.encode_content(content[None])
    vectors = [stylizer.encode_style(one[None]) for one in styles]
    mean, std = (np.concatenate(part) for part in zip(*vectors, strict=True))

    ours = paint_start(content, Styles(styles, (0.25, 0.75)), "float32")
    mixed = [np.array([[0.25, 0.75]]) @ part for part in (mean, std)]
    wanted = stylizer.paint(encoded, *(m.astype(np.float32) for m in mixed))[0][0]
    assert np.abs(ours.astype(int) - wanted).max() <= 1

    # The rest of a mask stays as the content is.
    masks = RegionMasks(np.stack([LEFT, 255 - LEFT]))
    styles_of_regions = Styles(styles[:1], (), masks, (0, -1))
    ours = paint_start(content, styles_of_regions, "float32")
    twice = [np.concatenate([part[:1]] * 2) for part in (mean, std)]
    wanted = stylizer.paint_regions(encoded, masks, *twice, [1.0, 0.0])[0][0]
    np.testing.assert_array_equal(ours, wanted)


def test_start_that_is_not_finite_fails_the_run(images, stylizer, monkeypatch):
    monkeypatch.setattr(
        stylizer, "paint", lambda *_: (images[0][None], np.array([False]))
    )
    with pytest.raises(ImageError, match="NaN or infinity"):
        paint_start(images[0], Styles.of(images[1]), "float32")
