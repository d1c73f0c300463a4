import io

import numpy as np
import pytest
from PIL import Image

from transforms.images import thumbnails
from transforms.images.decoder import encode_image
from transforms.storage.folder import OutputFolder


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((600, 800), (256, 192)),
        ((100, 50), (50, 100)),
        ((400, 8000), (768, 38)),
    ],
)
def test_thumbnail_shrinks_only(shape, expected):
    pixels = np.full((*shape, 3), 90, np.uint8)

    image = Image.open(io.BytesIO(thumbnails.thumbnail(pixels)))

    assert (image.format, image.size) == ("JPEG", expected)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1500, 3000), (1024, 512)), ((2048, 1024), (512, 1024)), ((70, 90), (90, 70))],
)
def test_preview_bounds_the_longest_side(shape, expected):
    pixels = np.zeros((*shape, 3), np.uint8)
    pixels[..., 0] = 200

    data = thumbnails.preview(pixels)

    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("JPEG", expected)
    np.testing.assert_allclose(np.asarray(image).mean((0, 1)), [200, 0, 0], atol=3)
    assert data == thumbnails.preview(pixels)


@pytest.mark.parametrize(
    ("shape", "made"),
    [((288, 1152), False), ((289, 40), True), ((40, 1153), True), ((256, 256), False)],
)
def test_a_small_picture_needs_no_thumbnail(tmp_path, shape, made):
    output = OutputFolder(str(tmp_path))
    data = encode_image(np.zeros((*shape, 3), np.uint8), "png")

    thumbnails.write_thumbnail(output, "images/a/b.png", data)

    assert output.exists("gallery/thumbs/a/b.jpg") == made
    if made:
        assert output.read("gallery/thumbs/a/b.jpg") == thumbnails.thumbnail_of(data)
