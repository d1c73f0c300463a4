"""What counts in a mask: alpha, then grey; what is no mask is refused with a reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from transforms.elements import ImageError, Reason
from transforms.images.mask_values import decode_mask

SHAPE = np.zeros((40, 48), bool)
SHAPE[5:30, 8:40] = True
WHITE = SHAPE * np.uint8(255)


def save(image, format="PNG", **options):
    buffer = io.BytesIO()
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photo(seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*SHAPE.shape, 3), dtype=np.uint8)


def palette(colors, values=SHAPE):
    image = Image.fromarray(values.astype(np.uint8), "P")
    image.putpalette(sum(colors, ()))
    return image


class TestGrey:
    @pytest.mark.parametrize(
        "data",
        [
            save(WHITE),
            save(WHITE, "TIFF"),
            save(WHITE, "BMP"),
            save(WHITE, "WEBP", lossless=True),
            save(np.stack([WHITE] * 3, -1)),
            save(SHAPE),
            save(SHAPE, "TIFF"),
            save(palette([(0, 0, 0), (255, 255, 255)])),
            save(WHITE, "GIF"),
            b"P4 48 40\n" + np.packbits(~SHAPE, axis=1).tobytes(),
        ],
        ids=["L", "tiff", "bmp", "webp", "RGB", "1", "1 tiff", "P", "gif", "pbm"],
    )
    def test_white_is_the_style(self, data):
        np.testing.assert_array_equal(decode_mask(data), WHITE)

    @pytest.mark.parametrize(
        "data",
        [
            save(SHAPE.astype(np.uint8)),
            save(SHAPE.astype(np.uint8), "TIFF"),
            save(SHAPE.astype(np.uint16)),
            save(SHAPE.astype(np.int32), "TIFF"),
            save(SHAPE.astype(np.float32), "TIFF"),
            save(np.stack([SHAPE.astype(np.uint8)] * 3, -1)),
            save(palette([(0, 0, 0), (1, 1, 1)])),
        ],
        ids=["8 bits", "tiff", "16 bits", "32 bits", "float", "RGB", "palette"],
    )
    def test_zero_and_one_are_scaled(self, data):
        np.testing.assert_array_equal(decode_mask(data), WHITE)

    @pytest.mark.parametrize(
        "values",
        [
            np.linspace(0, 65535, 1920).astype(np.uint16),
            np.linspace(0, 1, 1920).astype(np.float32),
            np.linspace(0, 255, 1920).astype(np.float32),
            np.linspace(0, 255, 1920).astype(np.uint16),
            np.linspace(0, 255, 1920).astype(np.int32),
        ],
        ids=["16 bits", "float", "float of 255", "8 in 16 bits", "8 in 32 bits"],
    )
    def test_soft_values_of_any_type(self, values):
        format = "PNG" if values.dtype == np.uint16 else "TIFF"
        mask = decode_mask(save(values.reshape(40, 48), format))
        expected = np.linspace(0, 255, 1920).reshape(40, 48)
        np.testing.assert_allclose(mask, expected, atol=1)

    def test_soft_edges_stay(self):
        soft = np.linspace(0, 255, 1920).reshape(40, 48).astype(np.uint8)
        np.testing.assert_array_equal(decode_mask(save(soft)), soft)

    def test_black_is_no_style_anywhere(self):
        assert not decode_mask(save(WHITE * 0)).any()

    def test_jpeg_of_a_mask(self):
        for pixels in (WHITE, np.stack([WHITE] * 3, -1)):
            mask = decode_mask(save(pixels, "JPEG", quality=80))
            assert np.abs(mask.astype(int) - WHITE).max() < 100
            assert np.abs(mask.astype(int) - WHITE).mean() < 4

    def test_profile_does_not_count(self):
        grey = np.full((40, 48), 128, np.uint8)
        grey[0] = 255
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        data = save(np.stack([grey] * 3, -1), icc_profile=profile)
        np.testing.assert_array_equal(decode_mask(data), grey)

    def test_own_exif_turns_it(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        mask = decode_mask(save(WHITE, exif=exif))
        np.testing.assert_array_equal(mask, np.rot90(WHITE, -1))

    def test_a_mask_is_as_large_as_a_picture_and_as_small_as_it_likes(self):
        assert decode_mask(save(np.full((1, 1), 255, np.uint8))).shape == (1, 1)
        with pytest.raises(ImageError) as caught:
            decode_mask(save(WHITE), max_pixels=40 * 48 - 1)
        assert caught.value.reason == Reason.TOO_MANY_PIXELS


class TestAlpha:
    @pytest.mark.parametrize(
        "data",
        [
            save(np.dstack([photo(), WHITE])),
            save(np.dstack([photo(), WHITE]), "WEBP", lossless=True, exact=True),
            save(np.dstack([photo(), WHITE]), "TIFF"),
            save(np.dstack([WHITE * 0, WHITE])),
            save(np.dstack([np.full_like(WHITE, 255), WHITE])),
            save(palette([(200, 10, 3), (9, 99, 200)]), transparency=0),
            save(palette([(9, 9, 9), (0, 0, 0)]), transparency=bytes([0, 255])),
            save(palette([(200, 10, 3), (9, 99, 200)]), "GIF", transparency=0),
            save(np.where(SHAPE, 7, 200).astype(np.uint8), transparency=200),
            save(
                np.where(SHAPE[..., None], 7, (9, 99, 200)).astype(np.uint8),
                transparency=(9, 99, 200),
            ),
        ],
        ids=[
            "cut-out",
            "webp",
            "tiff",
            "black silhouette",
            "white silhouette",
            "palette",
            "palette of alphas",
            "gif",
            "grey value",
            "colour",
        ],
    )
    def test_alpha_is_the_mask(self, data):
        np.testing.assert_array_equal(decode_mask(data), WHITE)

    def test_soft_alpha_stays(self):
        soft = np.linspace(0, 255, 1920).reshape(40, 48).astype(np.uint8)
        data = save(np.dstack([photo(), soft]))
        np.testing.assert_array_equal(decode_mask(data), soft)

    def test_alpha_of_16_bit_grey(self):
        values = np.where(SHAPE, 300, 1000).astype(np.uint16)
        data = save(values)
        at = data.index(b"IDAT") - 4
        body = b"tRNS" + struct.pack(">H", 1000)
        chunk = struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
        np.testing.assert_array_equal(decode_mask(data[:at] + chunk + data[at:]), WHITE)

    def test_opaque_alpha_says_nothing(self):
        opaque = np.full_like(WHITE, 255)
        grey = np.dstack([WHITE, opaque])
        np.testing.assert_array_equal(decode_mask(save(grey)), WHITE)
        grey = np.dstack([WHITE, WHITE, WHITE, opaque])
        np.testing.assert_array_equal(decode_mask(save(grey)), WHITE)


class TestRefused:
    @pytest.mark.parametrize(
        ("data", "word"),
        [
            (save(photo()), "colour"),
            (save(photo(), "JPEG"), "colour"),
            (save(np.dstack([photo(), np.full_like(WHITE, 255)])), "colour"),
            (save(np.where(SHAPE[..., None], (255, 0, 0), 0).astype("u1")), "colour"),
            (save(palette([(0, 0, 0), (128, 0, 0)])), "colour"),
            (save(Image.new("CMYK", (48, 40), (200, 0, 0, 0)), "TIFF"), "colour"),
            (save(np.dstack([WHITE, 255 - np.roll(WHITE, 16, 1)])), "two"),
            (save(SHAPE * np.uint8(2)), "no white"),
            (save(np.arange(1920).reshape(40, 48).astype(np.uint8) % 21), "no white"),
            (save(np.arange(1920).reshape(40, 48).astype(np.uint8) % 151), "no white"),
            (save(SHAPE * np.uint16(20)), "no white"),
            (save(SHAPE * np.uint16(4000)), "no white"),
            (save(SHAPE * np.int32(20), "TIFF"), "no white"),
            (save(SHAPE * np.float32(0.5), "TIFF"), "no white"),
            (save(SHAPE * np.uint8(128)), "no white"),
            (save(SHAPE * np.int32(-1), "TIFF"), "values are -1"),
            (save(SHAPE * np.float32(1e9), "TIFF"), "values are"),
            (save(SHAPE * np.float32(np.nan), "TIFF"), "values are nan"),
        ],
    )
    def test_what_cannot_be_a_mask(self, data, word):
        with pytest.raises(ImageError, match=word) as caught:
            decode_mask(data)
        assert caught.value.reason == Reason.BAD_PAIR

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", Reason.EMPTY_FILE),
            (b"text", Reason.NOT_AN_IMAGE),
            (save(WHITE)[:-40], Reason.TRUNCATED),
        ],
    )
    def test_what_is_no_picture(self, data, reason):
        with pytest.raises(ImageError) as caught:
            decode_mask(data)
        assert caught.value.reason == reason
