import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageCms

from transforms.elements import ImageError
from transforms.images.decoder import decode_image
from transforms.images.passthrough import format_to_keep


def saved(mode, format, **options):
    file = io.BytesIO()
    rng = np.random.default_rng(1)
    channels = {"L": 1, "RGB": 3, "CMYK": 4, "RGBA": 4, "LA": 2}.get(mode, 3)
    pixels = rng.integers(0, 255, (40, 48, channels), np.uint8)
    if mode in ("1", "P", "I;16"):
        image = Image.fromarray(pixels).convert("L")
        image = (
            Image.new("I;16", (48, 40), 999) if mode == "I;16" else image.convert(mode)
        )
    else:
        image = Image.fromarray(pixels.squeeze(), mode)
    image.save(file, format, **options)
    return file.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def profile(name):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (lambda: saved("RGB", "JPEG"), "jpeg"),
        (lambda: saved("RGB", "JPEG", progressive=True), "jpeg"),
        (lambda: saved("L", "JPEG"), "jpeg"),
        (lambda: saved("RGB", "PNG"), "png"),
        (lambda: saved("L", "PNG"), "png"),
        (lambda: saved("RGB", "JPEG", exif=turned(1)), "jpeg"),
        (lambda: saved("RGB", "JPEG", exif=turned(6)), None),
        (lambda: saved("RGB", "JPEG", exif=turned(2)), None),
        (lambda: saved("RGB", "JPEG", icc_profile=profile("sRGB")), "jpeg"),
        (lambda: saved("CMYK", "JPEG"), None),
        (lambda: saved("RGBA", "PNG"), None),
        (lambda: saved("LA", "PNG"), None),
        (lambda: saved("RGB", "PNG", transparency=(0, 0, 0)), None),
        (lambda: saved("P", "PNG"), None),
        (lambda: saved("1", "PNG"), None),
        (lambda: saved("I;16", "PNG"), None),
        (lambda: saved("RGB", "WEBP"), None),
        (lambda: saved("RGB", "BMP"), None),
        (lambda: saved("RGB", "TIFF"), None),
    ],
)
def test_only_what_needs_no_change_is_kept(data, expected):
    assert format_to_keep(data()) == expected


def test_arithmetic_coding_is_not_kept():
    data = saved("RGB", "JPEG").replace(b"\xff\xc0", b"\xff\xc9", 1)
    assert format_to_keep(data) is None


def test_kept_files_mean_the_same_to_tensorflow(shared):
    """Every file of the odd ones that is kept: TensorFlow's pixels are Pillow's."""
    folder = shared / "data" / "bad"
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    kept = 0
    for name in expected:
        data = (folder / name).read_bytes()
        try:
            pixels = decode_image(data).pixels
        except ImageError:
            continue
        format = format_to_keep(data)
        if format == "jpeg":
            read = tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE")
        elif format == "png":
            read = tf.io.decode_png(data, 3)
        else:
            continue
        kept += 1
        np.testing.assert_array_equal(read, pixels, name)
    assert kept > 15
