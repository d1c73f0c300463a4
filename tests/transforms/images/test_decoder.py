"""`decode_image` against NumPy and values worked out by hand, rule by rule."""

import concurrent.futures
import io
import json
import pathlib
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from transforms.elements import ImageError, Reason
from transforms.images import decoder as images
from transforms.images import srgb as color
from transforms.images.decoder import decode_image, encode_image, resize_image

BAD = pathlib.Path(__file__).resolve().parents[4] / "shared" / "data" / "bad"

# What turns stored pixels upright, in NumPy's words (EXIF 2.32, figure of tag 0x0112).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def save(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photo(height=40, width=56, seed=0):
    """Smooth colours with a little noise: uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 7 + k) + np.cos(y / (5 + k)) for k in range(3)], -1)
    noise = rng.normal(0, 4, (height, width, 3))
    return np.clip(128 + 55 * waves + noise, 0, 255).astype("u1")


def flat(mode, value, size=(40, 36)):
    return Image.new(mode, size, value)


def png_chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(width, height, depth, color_type, rows):
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    body = b"".join(b"\0" + row for row in rows)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(body))
        + png_chunk(b"IEND", b"")
    )


def encode_srgb(linear):
    """IEC 61966-2-1, from linear [0, 1] to [0, 255]."""
    linear = np.asarray(linear, "f8")
    low, high = 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    return 255 * np.where(linear <= 0.0031308, low, high)


def icc(space, tags, pcs=b"XYZ ", kind=b"mntr"):
    """Build an ICC v2 profile from its tags (ICC.1:2001-04)."""

    def fixed(*values):
        return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))

    blocks = {b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249)}
    blocks[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79)
    blocks[b"cprt"] = b"text\0\0\0\0none\0"
    for name, value in tags.items():
        xyz = isinstance(value, tuple)
        blocks[name] = b"XYZ \0\0\0\0" + fixed(*value) if xyz else value
    start, table, data = 128 + 4 + 12 * len(blocks), b"", b""
    for name, block in blocks.items():
        table += name + struct.pack(">II", start + len(data), len(block))
        data += block + bytes(-len(block) % 4)
    header = (
        struct.pack(">I4sI", start + len(data), b"none", 0x02100000)
        + kind + space + pcs + bytes(12) + b"acsp" + bytes(28)
        + fixed(0.9642, 1.0, 0.8249)
    )  # fmt: skip
    header = header.ljust(128, b"\0")
    return header + struct.pack(">I", len(blocks)) + table + data


# sRGB's primaries adapted to D50, from the sRGB profile of the ICC.
RED = (0.43607, 0.22249, 0.01392)
GREEN = (0.38515, 0.71687, 0.09708)
BLUE = (0.14307, 0.06061, 0.71410)
LINEAR = b"curv\0\0\0\0" + struct.pack(">IH", 1, 256)


def rgb_profile(red=RED, green=GREEN, blue=BLUE, curve=LINEAR):
    primaries = {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return icc(b"RGB ", primaries | curves)


class TestColour:
    def test_rgb_png_is_exact(self):
        pixels = photo()
        decoded = decode_image(save(Image.fromarray(pixels), "PNG"))
        np.testing.assert_array_equal(decoded.pixels, pixels)
        assert decoded.pixels.dtype == np.uint8
        assert (decoded.original_width, decoded.original_height) == (56, 40)

    def test_grey_repeats_in_three_channels(self):
        gray = photo()[..., 0]
        pixels = decode_image(save(Image.fromarray(gray), "PNG")).pixels
        np.testing.assert_array_equal(pixels, np.stack([gray] * 3, -1))

    def test_one_bit_is_black_and_white(self):
        bits = np.random.default_rng(1).random((40, 40)) < 0.5
        pixels = decode_image(save(Image.fromarray(bits), "PNG")).pixels
        np.testing.assert_array_equal(pixels, np.stack([bits * 255] * 3, -1))

    def test_palette_becomes_its_colours(self):
        image = Image.fromarray((np.arange(1600) % 3).reshape(40, 40).astype("u1"), "P")
        image.putpalette([10, 20, 30, 200, 100, 0, 1, 2, 3])
        pixels = decode_image(save(image, "PNG")).pixels
        table = np.array([[10, 20, 30], [200, 100, 0], [1, 2, 3]])
        np.testing.assert_array_equal(pixels, table[np.asarray(image)])

    def test_rgba_is_composited_on_white(self):
        alpha = np.random.default_rng(2).integers(0, 256, (40, 56, 1), "u1")
        pixels = photo()
        data = save(Image.fromarray(np.concatenate([pixels, alpha], 2)), "PNG")
        a = alpha / 255
        expected = pixels * a + 255 * (1 - a)
        np.testing.assert_allclose(decode_image(data).pixels, expected, atol=0.51)

    def test_grey_with_alpha_is_composited_on_white(self):
        image = flat("LA", (60, 128))
        expected = 60 * 128 / 255 + 255 * (127 / 255)
        assert abs(decode_image(save(image, "PNG")).pixels - expected).max() <= 0.51

    @pytest.mark.parametrize(
        ("mode", "value", "transparent"),
        [("L", 60, 60), ("RGB", (9, 8, 7), (9, 8, 7)), ("1", 0, 0), ("P", 1, 1)],
    )
    def test_transparent_value_is_white(self, mode, value, transparent):
        image = flat(mode, value)
        opaque = {"L": 61, "RGB": (9, 8, 8), "1": 255, "P": 2}[mode]
        if mode == "P":
            image.putpalette([0, 0, 0, 5, 6, 7, 70, 80, 90])
        image.paste(opaque, (0, 0, 40, 18))
        pixels = decode_image(save(image, "PNG", transparency=transparent)).pixels
        shown = {"L": 61, "RGB": (9, 8, 8), "1": 255, "P": (70, 80, 90)}[mode]
        assert (pixels[18:] == 255).all()
        assert (pixels[:18] == shown).all()

    def test_palette_with_alpha_per_entry_is_composited(self):
        image = flat("P", 1)
        image.putpalette([0, 0, 0, 100, 0, 200])
        pixels = decode_image(save(image, "PNG", transparency=bytes([255, 51]))).pixels
        expected = [100 * 0.2 + 255 * 0.8, 255 * 0.8, 200 * 0.2 + 255 * 0.8]
        np.testing.assert_allclose(pixels[0, 0], expected, atol=0.51)

    def test_transparent_gif_is_white(self):
        image = flat("P", 0)
        image.putpalette([200, 0, 0, 0, 200, 0])
        pixels = decode_image(save(image, "GIF", transparency=0)).pixels
        assert (pixels == 255).all()

    def test_transparent_webp_is_white(self):
        image = flat("RGBA", (0, 0, 0, 0))
        assert (decode_image(save(image, "WEBP", lossless=True)).pixels == 255).all()

    def test_cmyk_jpeg_is_converted(self):
        # Pillow writes Adobe's inverted CMYK: a reader must invert it back.
        c, m, y, k = 30, 100, 200, 40
        pixels = decode_image(save(flat("CMYK", (c, m, y, k)), "JPEG", quality=100))
        expected = [(255 - v) * (255 - k) / 255 for v in (c, m, y)]
        np.testing.assert_allclose(pixels.pixels[5, 5], expected, atol=3)

    def test_ycck_jpeg_is_converted(self):
        c, m, y, k = 100, 90, 150, 40
        data = save(flat("CMYK", (c, m, y, k)), "JPEG", quality=100)
        at = data.index(b"Adobe") + 11
        assert data[at] == 0
        data = data[:at] + b"\2" + data[at + 1 :]  # now the same numbers are YCCK
        # Stored: 255 - v. libjpeg: C = 255 - R(Y, Cb, Cr). Adobe: C counts from white.
        luma, cb, cr = 255 - c, 255 - m - 128, 255 - y - 128
        ink = [luma + 1.402 * cr, luma - 0.344 * cb - 0.714 * cr, luma + 1.772 * cb]
        expected = [(255 - v) * (255 - k) / 255 for v in ink]
        pixels = decode_image(data).pixels
        np.testing.assert_allclose(pixels[5, 5], expected, atol=3)

    def test_lab_tiff_is_converted(self):
        # L* = 50, a* = b* = 0 (128 in Pillow's memory): Y = ((50 + 16) / 116)^3.
        data = save(flat("LAB", (round(50 * 2.55), 128, 128)), "TIFF")
        expected = encode_srgb(((50 + 16) / 116) ** 3)
        np.testing.assert_allclose(decode_image(data).pixels[3, 3], expected, atol=2)


class TestDepth:
    def test_16_bit_grey_png_is_divided_by_257(self):
        values = np.linspace(0, 65535, 1600).round().astype("u2").reshape(40, 40)
        pixels = decode_image(save(Image.fromarray(values), "PNG")).pixels
        np.testing.assert_array_equal(pixels[..., 1], np.rint(values / 257))

    def test_16_bit_transparent_value_is_white(self):
        values = np.full((40, 40), 1000, "u2")
        values[:20] = 1001
        data = save(Image.fromarray(values), "PNG")
        chunk = png_chunk(b"tRNS", struct.pack(">H", 1000))
        at = data.index(b"IDAT") - 4
        pixels = decode_image(data[:at] + chunk + data[at:]).pixels
        assert (pixels[:20] == 4).all()
        assert (pixels[20:] == 255).all()

    @pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (6, 4), (4, 2)])
    def test_16_bit_colour_png_is_scaled(self, color_type, channels):
        rng = np.random.default_rng(3)
        values = rng.integers(0, 65536, (36, 40, channels)).astype(">u2")
        if channels != 3:
            values[..., -1] = 65535
        data = png(40, 36, 16, color_type, [row.tobytes() for row in values])
        expected = values[..., :3] if channels != 2 else values[..., [0, 0, 0]]
        difference = np.abs(decode_image(data).pixels - expected / 257.0)
        assert difference.max() <= 1

    # Pillow 12.3 knows no big-endian 16-bit TIFF that counts from white.
    @pytest.mark.parametrize(
        ("order", "white_is_zero"), [("<", False), (">", False), ("<", True)]
    )
    def test_16_bit_grey_tiff_in_both_byte_orders(self, order, white_is_zero):
        values = np.linspace(0, 65535, 1600).astype(f"{order}u2").reshape(40, 40)
        mark, entries = (b"II" if order == "<" else b"MM"), b""
        tags = [
            (256, 40),
            (257, 40),
            (258, 16),
            (259, 1),
            (262, int(not white_is_zero)),
        ]
        tags += [(273, 8 + 2 + 12 * 8 + 4), (277, 1), (279, 3200)]
        for tag, value in tags:
            entries += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
        head = mark + struct.pack(f"{order}HIH", 42, 8, len(tags)) + entries + bytes(4)
        data = head + values.tobytes()
        expected = np.rint(values / 257.0)
        pixels = decode_image(data).pixels[..., 0]
        np.testing.assert_array_equal(
            pixels, 255 - expected if white_is_zero else expected
        )

    def test_16_bit_pgm_is_scaled(self):
        values = np.linspace(0, 65535, 1600).astype(">u2").reshape(40, 40)
        data = b"P5 40 40 65535\n" + values.tobytes()
        pixels = decode_image(data).pixels[..., 0]
        np.testing.assert_array_equal(pixels, np.rint(values / 257.0))

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (np.linspace(0, 1, 1600), np.linspace(0, 255, 1600)),
            (np.linspace(0, 200, 1600), np.linspace(0, 200, 1600)),
            (np.linspace(-3, 900, 1600), np.linspace(0, 255, 1600)),
        ],
        ids=["unit", "bytes", "other"],
    )
    def test_float_tiff_is_scaled_never_clipped(self, values, expected):
        image = Image.fromarray(values.astype("f4").reshape(40, 40))
        pixels = decode_image(save(image, "TIFF")).pixels[..., 0]
        np.testing.assert_allclose(pixels.ravel(), expected, atol=0.51)

    def test_32_bit_tiff_is_scaled_never_clipped(self):
        values = np.linspace(-5, 2_000_000_000, 1600).astype("i4").reshape(40, 40)
        pixels = decode_image(save(Image.fromarray(values), "TIFF")).pixels[..., 0]
        assert pixels[0, 0] == 0
        assert pixels[-1, -1] == 255
        assert abs(pixels[20, 0] - 127.5) <= 2

    def test_values_that_are_not_finite_are_corrupt(self):
        image = Image.fromarray(np.full((40, 40), np.nan, "f4"))
        assert reason(save(image, "TIFF")) == Reason.CORRUPT


class TestProfile:
    def test_swapped_primaries_and_linear_curve_are_undone(self):
        pixels = photo()
        profile = rgb_profile(red=BLUE, blue=RED)
        data = save(Image.fromarray(pixels), "PNG", icc_profile=profile)
        expected = encode_srgb(pixels[..., ::-1] / 255)
        np.testing.assert_allclose(decode_image(data).pixels, expected, atol=1.6)

    def test_jpeg_profile_is_converted(self):
        data = save(
            flat("RGB", (50, 100, 150)), "JPEG", quality=100, icc_profile=rgb_profile()
        )
        expected = encode_srgb(np.array([50, 100, 150]) / 255)
        np.testing.assert_allclose(decode_image(data).pixels[9, 9], expected, atol=3)

    def test_alpha_is_composited_after_the_conversion(self):
        data = save(flat("RGBA", (50, 100, 150, 128)), "PNG", icc_profile=rgb_profile())
        linear = encode_srgb(np.array([50, 100, 150]) / 255)
        expected = linear * 128 / 255 + 127
        np.testing.assert_allclose(decode_image(data).pixels[0, 0], expected, atol=1.6)

    @pytest.mark.parametrize("mode", ["L", "LA"])
    def test_grey_profile_is_converted(self, mode):
        profile = icc(b"GRAY", {b"kTRC": LINEAR})
        image = flat(mode, 64 if mode == "L" else (64, 255))
        pixels = decode_image(save(image, "PNG", icc_profile=profile)).pixels
        np.testing.assert_allclose(pixels[0, 0], encode_srgb(64 / 255), atol=1.6)

    def test_cmyk_profile_is_converted(self):
        # A profile of our own: black ink alone counts, L* = 100 (1 - K).
        table = bytes(
            value
            for corner in range(16)
            for value in (0 if corner & 1 else 255, 128, 128)
        )
        identity = [1, 0, 0, 0, 1, 0, 0, 0, 1]
        lut = (
            b"mft1\0\0\0\0"
            + bytes([4, 3, 2, 0])
            + struct.pack(">9i", *(v * 65536 for v in identity))
            + bytes(range(256)) * 4
            + table
            + bytes(range(256)) * 3
        )
        profile = icc(b"CMYK", {b"A2B0": lut}, pcs=b"Lab ", kind=b"prtr")
        data = save(flat("CMYK", (200, 10, 90, 102)), "TIFF", icc_profile=profile)
        expected = encode_srgb(((60 + 16) / 116) ** 3)  # K = 0.4: L* = 60
        np.testing.assert_allclose(decode_image(data).pixels[0, 0], expected, atol=2)

    def test_srgb_profile_changes_nothing(self):
        pixels = photo()
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        data = save(Image.fromarray(pixels), "PNG", icc_profile=profile)
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    @pytest.mark.parametrize(
        "profile",
        [b"not a profile", rgb_profile()[:200], icc(b"GRAY", {b"kTRC": LINEAR})],
        ids=["garbage", "cut", "of another kind"],
    )
    def test_invalid_profile_is_ignored(self, profile):
        pixels = photo()
        data = save(Image.fromarray(pixels), "PNG", icc_profile=profile)
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    def test_threads_share_a_transform(self):
        color._cached_transform.cache_clear()
        profile = rgb_profile(red=BLUE, blue=RED)
        files = [
            save(Image.fromarray(photo(seed=k)), "PNG", icc_profile=profile)
            for k in range(8)
        ]
        expected = [decode_image(data).pixels for data in files]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda data: decode_image(data).pixels, files * 4))
        for one, other in zip(found, expected * 4, strict=True):
            np.testing.assert_array_equal(one, other)


def exif(orientation, order="<", kind=3):
    short = struct.pack(f"{order}HH", orientation, 0)
    value = short if kind == 3 else struct.pack(f"{order}I", orientation)
    mark = b"II" if order == "<" else b"MM"
    return (
        b"Exif\0\0" + mark + struct.pack(f"{order}HIH", 42, 8, 1)
        + struct.pack(f"{order}HHI", 0x0112, kind, 1) + value + bytes(4)
    )  # fmt: skip


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize(("order", "kind"), [("<", 3), (">", 3), (">", 4)])
    def test_png_is_turned_upright(self, orientation, order, kind):
        pixels = photo()
        data = save(Image.fromarray(pixels), "PNG", exif=exif(orientation, order, kind))
        decoded = decode_image(data)
        expected = UPRIGHT[orientation](pixels)
        np.testing.assert_array_equal(decoded.pixels, expected)
        size = (decoded.original_height, decoded.original_width)
        assert size == expected.shape[:2]

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize(
        ("format", "options"),
        [("TIFF", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 100})],
    )
    def test_other_formats_are_turned_upright(self, orientation, format, options):
        pixels = photo()
        tags = Image.Exif()
        tags[0x0112] = orientation
        decoded = decode_image(
            save(Image.fromarray(pixels), format, exif=tags, **options)
        )
        expected = UPRIGHT[orientation](pixels)
        assert decoded.pixels.shape == expected.shape
        assert (decoded.original_height, decoded.original_width) == expected.shape[:2]
        difference = np.abs(decoded.pixels.astype("i2") - expected).mean()
        assert difference <= (4 if format == "JPEG" else 0)

    def test_resized_image_is_upright(self):
        data = save(Image.fromarray(photo(64, 96)), "PNG", exif=exif(6))
        decoded = decode_image(data, size=32)
        assert decoded.pixels.shape == (48, 32, 3)
        assert (decoded.original_width, decoded.original_height) == (64, 96)

    @pytest.mark.parametrize(
        "block",
        [
            b"",
            b"Exif\0\0",
            b"Exif\0\0II*\0\xff\xff\xff\xff",
            b"garbage",
            exif(9),
            exif(0),
            exif(6)[:18],
        ],
    )
    def test_unreadable_exif_is_ignored(self, block):
        pixels = photo()
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=100)
        data = buffer.getvalue()
        data = (
            data[:2]
            + b"\xff\xe1"
            + struct.pack(">H", len(block) + 2)
            + block
            + data[2:]
        )
        assert decode_image(data).pixels.shape == pixels.shape


def reason(data, **options):
    with pytest.raises(ImageError) as caught:
        decode_image(data, **options)
    assert caught.value.message
    return caught.value.reason


class TestRefused:
    def test_empty_file(self):
        assert reason(b"") == Reason.EMPTY_FILE

    @pytest.mark.parametrize(
        "data",
        [
            b"version https://git-lfs.github.com/spec/v1\n",
            b"<!DOCTYPE html><html></html>",
            b"BMW, Python and P3 are no pictures, nor is GIF",
            bytes(1000),
            b"PK\3\4" + bytes(60),
            b"\0",
        ],
    )
    def test_not_an_image(self, data):
        assert reason(data) == Reason.NOT_AN_IMAGE

    @pytest.mark.parametrize("fraction", [0.02, 0.3, 0.5, 0.9, 0.99])
    @pytest.mark.parametrize(
        ("format", "options"),
        [
            ("JPEG", {}),
            ("JPEG", {"progressive": True}),
            ("PNG", {}),
            ("GIF", {}),
            ("WEBP", {}),
            ("WEBP", {"lossless": True}),
            ("BMP", {}),
            ("PPM", {}),
            ("AVIF", {}),
            ("JPEG2000", {}),
        ],
    )
    def test_truncated(self, format, options, fraction):
        data = save(Image.fromarray(photo(120, 160)), format, **options)
        decode_image(data)
        cut = data[: max(20, int(len(data) * fraction))]
        assert reason(cut) == Reason.TRUNCATED
        assert reason(cut, size=32) == Reason.TRUNCATED

    def test_jpeg_without_its_last_byte_is_truncated(self):
        data = save(Image.fromarray(photo()), "JPEG")
        assert reason(data[:-1]) == Reason.TRUNCATED

    @pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of a cut TIFF
    @pytest.mark.parametrize("fraction", [0.05, 0.5, 0.95])
    def test_truncated_tiff(self, fraction):
        for compression in (None, "tiff_lzw"):
            data = save(Image.fromarray(photo()), "TIFF", compression=compression)
            assert reason(data[: int(len(data) * fraction)]) == Reason.TRUNCATED

    @pytest.mark.parametrize("format", ["JPEG", "PNG"])
    @pytest.mark.parametrize("fraction", [0.5, 0.9])
    def test_tail_of_zeros_is_refused(self, format, fraction):
        data = save(Image.fromarray(photo(120, 160)), format)
        keep = int(len(data) * fraction)
        found = reason(data[:keep] + bytes(len(data) - keep))
        assert found in (Reason.TRUNCATED, Reason.CORRUPT)

    def test_garbage_after_the_signature_is_not_an_image(self):
        data = b"\x89PNG\r\n\x1a\n" + b"garbage!" * 40
        assert reason(data) == Reason.NOT_AN_IMAGE

    def test_flipped_bit_in_png_pixels_is_corrupt(self):
        data = bytearray(save(Image.fromarray(photo()), "PNG"))
        data[len(data) // 2] ^= 4
        assert reason(bytes(data)) == Reason.CORRUPT

    @pytest.mark.parametrize("side", [(31, 48), (48, 31), (1, 1)])
    def test_too_small(self, side):
        assert reason(save(flat("RGB", 0, side), "PNG")) == Reason.TOO_SMALL

    @pytest.mark.parametrize("side", [(32, 48), (48, 32), (32, 32)])
    def test_side_of_32_is_enough(self, side):
        assert (
            decode_image(save(flat("RGB", 0, side), "PNG")).pixels.shape[1::-1] == side
        )

    def test_smallest_side_is_an_option(self):
        data = save(flat("RGB", 0, (31, 31)), "PNG")
        assert decode_image(data, min_side=1).pixels.shape == (31, 31, 3)
        # The file's size counts, not the size asked for.
        data = save(flat("RGB", 0, (64, 64)), "PNG")
        assert decode_image(data, size=8).pixels.shape == (8, 8, 3)

    @pytest.mark.parametrize("side", [9460, 12000, 30000])
    def test_bomb_is_refused_by_its_header_without_a_warning(self, side):
        # No pixels at all: had they been asked for, it would be truncated. From 9460
        # pixels a side Pillow warns, an error in these tests; from 13378 it raises.
        assert reason(png(side, side, 1, 0, [])) == Reason.TOO_MANY_PIXELS

    def test_gif_bomb_is_refused(self):
        data = bytearray(save(flat("L", 0), "GIF"))
        data[6:10] = b"\xff\xff\xff\xff"
        assert reason(bytes(data)) == Reason.TOO_MANY_PIXELS

    def test_cap_is_an_option(self):
        data = save(flat("RGB", 0, (40, 40)), "PNG")
        assert decode_image(data, max_pixels=1600).pixels.shape == (40, 40, 3)
        assert reason(data, max_pixels=1599) == Reason.TOO_MANY_PIXELS

    def test_enlarging_beyond_the_cap_is_refused(self):
        data = save(flat("L", 0, (32, 4000)), "PNG")
        found = reason(data, size=1000, enlarge=True)
        assert found == Reason.TOO_MANY_PIXELS

    def test_no_memory_is_told(self, monkeypatch):
        def load(self):
            raise MemoryError

        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load, raising=False)
        assert reason(save(flat("RGB", 0), "PNG")) == Reason.OUT_OF_MEMORY

    @pytest.mark.parametrize(
        ("place", "name"),
        [
            (PngImagePlugin.PngImageFile, "_open"),
            (PngImagePlugin.PngImageFile, "load"),
            (images, "to_rgb"),
            (images, "_resample"),
            (images, "upright"),
        ],
    )
    def test_programming_error_is_not_a_corrupt_image(self, monkeypatch, place, name):
        def broken(*args):
            raise AttributeError("module 'PIL.Image' has no attribute 'ANTIALIAS'")

        monkeypatch.setattr(place, name, broken, raising=False)
        with pytest.raises(AttributeError, match="ANTIALIAS"):
            decode_image(save(flat("RGB", 0), "PNG"))

    def test_type_error_of_ours_is_not_a_corrupt_image(self, monkeypatch):
        def broken(*args):
            raise TypeError("ours")

        monkeypatch.setattr(images, "to_rgb", broken)
        with pytest.raises(TypeError, match="ours"):
            decode_image(save(flat("RGB", 0), "PNG"))


class TestFormats:
    @pytest.mark.parametrize(
        ("format", "options"),
        [
            ("PNG", {}),
            ("BMP", {}),
            ("TIFF", {"compression": "tiff_lzw"}),
            ("WEBP", {"lossless": True}),
            ("PPM", {}),
            ("JPEG2000", {}),
            ("TIFF", {"compression": "tiff_adobe_deflate", "big_tiff": True}),
        ],
    )
    def test_lossless_formats_are_exact(self, format, options):
        pixels = photo()
        data = save(Image.fromarray(pixels), format, **options)
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    @pytest.mark.parametrize("format", ["JPEG", "AVIF", "WEBP"])
    def test_lossy_formats_are_close(self, format):
        pixels = photo()
        data = save(Image.fromarray(pixels), format, quality=95)
        assert np.abs(decode_image(data).pixels.astype("i2") - pixels).mean() < 6

    @pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
    def test_first_frame_of_an_animation(self, format):
        frames = [
            flat("RGB", value) for value in ((200, 30, 10), (0, 0, 255), (0, 9, 0))
        ]
        options = {"lossless": True} if format == "WEBP" else {}
        data = save(
            frames[0], format, save_all=True, append_images=frames[1:], **options
        )
        assert (decode_image(data).pixels == (200, 30, 10)).all()

    def test_first_picture_of_an_mpo(self):
        data = save(
            flat("RGB", (200, 30, 10)),
            "MPO",
            save_all=True,
            append_images=[flat("RGB", 0)],
        )
        assert np.abs(decode_image(data).pixels - [200.0, 30, 10]).max() <= 3

    def test_only_content_counts(self):
        # Nothing but bytes goes in: there is no name to be misled by.
        assert (
            decode_image(save(flat("RGB", 7), "WEBP", lossless=True)).pixels.max() == 7
        )

    @pytest.mark.skipif(not BAD.exists(), reason=f"no shared data at {BAD}")
    def test_shared_files_are_judged_as_expected(self):
        truncated, text = "image file is truncated", "MAX_TEXT_CHUNK"
        judged = json.loads((BAD / "expected.json").read_text())
        for name, answer in judged.items():
            try:
                decode_image((BAD / name).read_bytes())
            except ImageError as error:
                found = error.reason
            else:
                found = None
            expected = {
                "shortest side under": Reason.TOO_SMALL,
                "over the pixel cap": Reason.TOO_MANY_PIXELS,
                "empty file": Reason.EMPTY_FILE,
                truncated: Reason.TRUNCATED,
                # The text does not count any more, but there are few pixels.
                text: Reason.TOO_SMALL,
                "not recognised": Reason.NOT_AN_IMAGE,
                "3x62728": Reason.TOO_SMALL,  # broken, too, but the header comes first
            }
            wanted = next(
                (r for why, r in expected.items() if why in answer["why"]), None
            )
            assert found == (None if answer["decodable"] else wanted), name


class TestResize:
    @pytest.mark.parametrize(
        ("shape", "size", "expected"),
        [
            ((100, 200), 50, (50, 100)),
            ((200, 100), 50, (100, 50)),
            ((100, 150), 33, (33, 50)),  # 49.5 is rounded up
            ((480, 640), 256, (256, 341)),
            ((40, 41), 40, (40, 41)),
            ((40, 60), 80, (40, 60)),
        ],
    )
    def test_shortest_side_becomes_size(self, shape, size, expected):
        pixels = photo(*shape)
        assert resize_image(pixels, size).shape == (*expected, 3)
        decoded = decode_image(save(Image.fromarray(pixels), "PNG"), size=size)
        np.testing.assert_array_equal(decoded.pixels, resize_image(pixels, size))
        assert (decoded.original_height, decoded.original_width) == shape

    def test_small_image_is_kept_unless_enlarged(self):
        pixels = photo(40, 60)
        assert resize_image(pixels, 80) is pixels
        assert resize_image(pixels, 80, enlarge=True).shape == (80, 120, 3)

    def test_checkerboard_averages_out(self):
        board = np.indices((512, 512)).sum(0) % 2 * 255
        pixels = np.stack([board] * 3, -1).astype("u1")
        small = resize_image(pixels, 100)
        assert small.std() < 3
        assert abs(small.mean() - 127.5) < 1

    def test_constant_image_stays_constant(self):
        assert (resize_image(np.full((97, 131, 3), 77, "u1"), 40) == 77).all()

    def test_large_jpeg_is_drafted_and_close_to_the_full_decode(self, monkeypatch):
        loaded = []
        load = images.load_pixels

        def spy(image, data):
            loaded.append(image.size)
            load(image, data)

        monkeypatch.setattr(images, "load_pixels", spy)
        data = save(Image.fromarray(photo(800, 1200)), "JPEG", quality=95)
        drafted = decode_image(data, size=64)
        assert loaded == [(300, 200)]  # 1/4; 1/8 would be under twice 96x64
        assert (drafted.original_width, drafted.original_height) == (1200, 800)
        full = resize_image(decode_image(data).pixels, 64)
        assert loaded[1] == (1200, 800)
        assert drafted.pixels.shape == full.shape == (64, 96, 3)
        difference = np.abs(drafted.pixels.astype("i2") - full)
        assert difference.mean() < 1
        assert difference.max() <= 6

    @pytest.mark.parametrize("size", [0, -1])
    def test_size_must_be_positive(self, size):
        with pytest.raises(ValueError, match=f"Received: size={size}"):
            resize_image(photo(), size)

    @given(
        height=st.integers(1, 90),
        width=st.integers(1, 90),
        size=st.integers(1, 60),
        enlarge=st.booleans(),
    )
    @settings(deadline=None, max_examples=60)
    def test_aspect_and_side(self, height, width, size, enlarge):
        pixels = np.zeros((height, width, 3), "u1")
        new = resize_image(pixels, size, enlarge=enlarge).shape
        short = min(height, width)
        if size < short or enlarge:
            assert min(new[:2]) == size
            scale = size / short
            assert abs(new[0] - height * scale) <= 0.5
            assert abs(new[1] - width * scale) <= 0.5
        else:
            assert new == pixels.shape


class TestEncode:
    def test_png_round_trip_is_exact(self):
        pixels = photo()
        data = encode_image(pixels, "png")
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)
        assert data == encode_image(pixels.copy(), "png")

    @pytest.mark.parametrize(("quality", "most"), [(95, 4), (75, 12)])
    def test_jpeg_round_trip_is_close_and_repeatable(self, quality, most):
        pixels = photo()
        data = encode_image(pixels, "jpg", quality)
        assert data == encode_image(pixels.copy(), "jpg", quality)
        assert np.abs(decode_image(data).pixels.astype("i2") - pixels).mean() <= most

    def test_colour_is_whole_from_quality_90(self):
        def sampling(quality):
            with Image.open(io.BytesIO(encode_image(photo(), "jpg", quality))) as image:
                return image.layer[0][1:3]

        assert sampling(90) == (1, 1)
        assert sampling(89) == (2, 2)

    def test_what_was_decoded_can_be_encoded(self):
        decoded = decode_image(encode_image(photo(), "png")).pixels
        assert not decoded.flags.writeable
        assert encode_image(decoded, "png") == encode_image(photo(), "png")

    @pytest.mark.parametrize(
        ("pixels", "format", "quality", "what"),
        [
            (photo().astype("f4"), "png", 95, "`pixels`"),
            (photo()[..., 0], "png", 95, "`pixels`"),
            (photo(), "gif", 95, "`format`"),
            (photo(), "jpg", 0, "`quality`"),
            (photo(), "jpg", 101, "`quality`"),
        ],
    )
    def test_wrong_arguments_are_named(self, pixels, format, quality, what):
        with pytest.raises(ValueError, match=what):
            encode_image(pixels, format, quality)


FILES = {
    (format, *options): save(Image.fromarray(photo()), format, **dict(options))
    for format, *options in [
        ("JPEG",),
        ("JPEG", ("progressive", True)),
        ("PNG",),
        ("GIF",),
        ("WEBP",),
        ("TIFF",),
        ("TIFF", ("compression", "jpeg")),
        ("AVIF",),
        ("JPEG2000",),
        ("PPM",),
        ("BMP",),
    ]
}


# Pillow warns about damaged TIFF directories; the judgement is what counts here.
@pytest.mark.filterwarnings("ignore::UserWarning")
class TestAnyBytes:
    @given(kind=st.sampled_from(sorted(FILES)), data=st.data())
    @settings(deadline=None, max_examples=150, derandomize=True)
    def test_part_of_a_file_is_refused_or_whole(self, kind, data):
        whole = FILES[kind]
        length = data.draw(st.integers(0, len(whole)))
        try:
            part = decode_image(whole[:length]).pixels
        except ImageError:
            return
        np.testing.assert_array_equal(part, decode_image(whole).pixels)

    @given(kind=st.sampled_from(sorted(FILES)), data=st.data())
    @settings(deadline=None, max_examples=300, derandomize=True)
    def test_damage_is_an_image_error_or_an_image(self, kind, data):
        damaged = bytearray(FILES[kind])
        places = st.integers(0, min(len(damaged), 700) - 1)
        for place, value in data.draw(
            st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=9)
        ):
            damaged[place] = value
        try:
            decoded = decode_image(bytes(damaged), max_pixels=1_000_000, size=32)
        except ImageError:
            return
        assert decoded.pixels.dtype == np.uint8
        assert decoded.pixels.shape[2] == 3

    @given(st.binary(max_size=200))
    @settings(deadline=None, max_examples=100)
    def test_noise_is_an_image_error(self, data):
        with pytest.raises(ImageError):
            decode_image(data)
