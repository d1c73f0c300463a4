"""What is told about a picture never makes it corrupt; it may turn and colour it."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from transforms.elements import ImageError
from transforms.images import metadata
from transforms.images.decoder import decode_image
from transforms.images.metadata import exif_orientation, plain_file
from transforms.images.passthrough import format_to_keep


def photo(height=40, width=56):
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)


PIXELS = photo()


def save(format="PNG", pixels=PIXELS, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


PLAIN = save()
JPEG = save("JPEG", quality=100)


def chunk(kind, content, checksum=None):
    if checksum is None:
        checksum = zlib.crc32(kind + content)
    head = struct.pack(">I", len(content)) + kind
    return head + content + struct.pack(">I", checksum)


def with_chunk(*chunks, before=b"IDAT", data=PLAIN):
    at = data.index(before) - 4
    return data[:at] + b"".join(chunks) + data[at:]


def with_segment(*segments, data=JPEG):
    parts = [
        b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content
        for marker, content in segments
    ]
    return data[:2] + b"".join(parts) + data[2:]


def entries(*tags, order="<", following=0):
    """Return a TIFF block of one directory, from (tag, type, count, four bytes)."""
    body = struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        body += struct.pack(f"{order}HHI", tag, kind, count) + value
    mark = b"II" if order == "<" else b"MM"
    return (
        mark
        + struct.pack(f"{order}HI", 42, 8)
        + body
        + struct.pack(f"{order}I", following)
    )


def turn(value=6, order="<", kind=3):
    form = {1: "B3x", 3: "H2x", 4: "I", 6: "B3x", 8: "H2x", 9: "I"}[kind]
    return 0x0112, kind, 1, struct.pack(f"{order}{form}", value)


def gamma_profile():
    """Return an RGB profile that changes much: linear light."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 256)

    def fixed(*values):
        return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))

    blocks = {
        b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249),
        b"rXYZ": b"XYZ \0\0\0\0" + fixed(0.43607, 0.22249, 0.01392),
        b"gXYZ": b"XYZ \0\0\0\0" + fixed(0.38515, 0.71687, 0.09708),
        b"bXYZ": b"XYZ \0\0\0\0" + fixed(0.14307, 0.06061, 0.71410),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79),
        b"cprt": b"text\0\0\0\0none\0",
    }
    start, table, data = 132 + 12 * len(blocks), b"", b""
    for name, block in blocks.items():
        table += name + struct.pack(">II", start + len(data), len(block))
        data += block + bytes(-len(block) % 4)

    def build(padding):
        size = start + len(data) + padding
        head = struct.pack(">I4sI", size, b"none", 0x02100000)
        head += b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
        head += fixed(0.9642, 1.0, 0.8249)
        whole = head.ljust(128, b"\0") + struct.pack(">I", len(blocks)) + table + data
        return whole + random.Random(1).randbytes(padding)

    return build


PROFILE = gamma_profile()


def linear_light(pixels):
    value = pixels / 255
    high = 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055
    return 255 * np.where(value <= 0.0031308, 12.92 * value, high)


class TestText:
    @pytest.mark.parametrize("place", [b"IDAT", b"IEND"])
    @pytest.mark.parametrize("kind", ["zTXt", "tEXt", "iTXt", "iTXt deflated"])
    def test_text_of_any_size_is_skipped(self, kind, place):
        text = b"a" * 3_000_000
        content = {
            "zTXt": b"workflow\0\0" + zlib.compress(text),
            "tEXt": b"workflow\0" + text,
            "iTXt": b"workflow\0\0\0\0\0" + text,
            "iTXt deflated": b"workflow\0\1\0\0\0" + zlib.compress(text),
        }[kind]
        data = with_chunk(chunk(kind[:4].encode(), content), before=place)
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)

    def test_many_texts_are_skipped(self):
        text = chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 900_000))
        data = with_chunk(*[text] * 100)
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)

    @pytest.mark.parametrize(
        ("kind", "content"),
        [
            (b"zTXt", b"k\0\0not deflated"),
            (b"zTXt", b"k\0\7" + zlib.compress(b"a")),
            (b"iTXt", b"\xff\xfe"),
            (b"iCCP", b"no profile"),
            (b"iCCP", b""),
            (b"eXIf", b"junk"),
            (b"pHYs", b"1"),
            (b"sRGB", b""),
            (b"gAMA", b""),
            (b"cHRM", b"123"),
            (b"tIME", b""),
            (b"acTL", b"1"),
            (b"acTL", struct.pack(">II", 0, 0)),
            (b"fcTL", b"1"),
            (b"zzZz", b"private"),
        ],
    )
    @pytest.mark.parametrize("place", [b"IDAT", b"IEND"])
    def test_broken_chunk_is_skipped(self, kind, content, place):
        data = with_chunk(chunk(kind, content), before=place)
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)

    def test_wrong_checksum_of_what_is_told_is_no_damage_of_the_pixels(self):
        data = with_chunk(chunk(b"tEXt", b"a\0b", 1), chunk(b"iCCP", b"a\0\0b", 2))
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)

    @pytest.mark.parametrize("name", ["transparency", "icc_profile", "exif", "gamma"])
    def test_text_cannot_pass_for_what_changes_pixels(self, name):
        data = save(pnginfo=text_of(name, "abc"))
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)

    @pytest.mark.parametrize("name", [b"PLTE", b"tRNS"])
    def test_lost_colours_are_damage(self, name):
        image = Image.new("P", (40, 40), 1)
        image.putpalette([0, 0, 0, 9, 99, 199])
        buffer = io.BytesIO()
        image.save(buffer, "PNG", transparency=0)
        data = bytearray(buffer.getvalue())
        at = data.index(name)
        data[at + 3] ^= 0x02  # still four letters
        with pytest.raises(ImageError):
            decode_image(bytes(data))

    @pytest.mark.parametrize("marker", [*range(0xE0, 0xF0), 0xFE])
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"x",
            b"JFIF",
            b"Exif\0\0",
            b"Adobe",
            b"ICC_PROFILE\0",
            b"ICC_PROFILE\0\1",
            b"ICC_PROFILE\0\0\0",
            b"Photoshop 3.0\x008BIM\4",
            b"Photoshop 3.0\x008BIM\3\xed\0\0\0\0\0\2ab",
            b"MPF\0II*\0\xff\xff\xff\xff",
            b"http://ns.adobe.com/xap/1.0/\0<x",
            b"FPXR\0",
            b"\xff\xd8\xff" * 20000,
        ],
    )
    def test_segment_of_a_jpeg_is_skipped(self, marker, content):
        data = with_segment((marker, content))
        expected = decode_image(JPEG).pixels
        np.testing.assert_array_equal(decode_image(data).pixels, expected)

    def test_thousands_of_segments_are_skipped(self):
        data = with_segment(*[(0xE1, b"http://ns.adobe.com/xmp/" + bytes(60000))] * 300)
        expected = decode_image(JPEG).pixels
        np.testing.assert_array_equal(decode_image(data).pixels, expected)

    def test_colours_of_adobe_are_kept(self):
        buffer = io.BytesIO()
        Image.new("CMYK", (40, 40), (30, 100, 200, 40)).save(buffer, "JPEG")
        data = buffer.getvalue()
        assert plain_file(data).data.count(b"Adobe") == 1
        expected = decode_image(data).pixels
        data = with_segment((0xE1, b"x"), (0xEE, b"Adobe"), data=data)
        np.testing.assert_array_equal(decode_image(data).pixels, expected)

    def test_nothing_to_leave_out_is_the_very_same(self):
        assert plain_file(PLAIN).data is PLAIN
        assert plain_file(b"GIF89a").data == b"GIF89a"


def text_of(name, value):
    info = PngImagePlugin.PngInfo()
    info.add_text(name, value)
    return info


class TestProfile:
    @pytest.mark.parametrize("padding", [0, 1_400_000, 9_000_000])
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
    def test_large_profile_is_used(self, format, padding):
        options = {"quality": 100} if format == "JPEG" else {}
        if format == "WEBP":
            options = {"lossless": True}
        flat = np.full((40, 48, 3), (50, 100, 150), np.uint8)
        data = save(format, flat, icc_profile=PROFILE(padding), **options)
        expected = linear_light(flat)
        np.testing.assert_allclose(decode_image(data).pixels, expected, atol=2)

    @pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
    def test_profile_above_the_limit_is_skipped(self, format, monkeypatch):
        padding = metadata.MAX_PROFILE_BYTES
        options = {"lossless": True} if format == "WEBP" else {}
        data = save(format, icc_profile=PROFILE(padding), **options)
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)

    def test_profile_that_inflates_for_ever_is_skipped(self):
        bomb = b"p\0\0" + zlib.compress(bytes(300 << 20), 9)
        assert len(bomb) < 1 << 20
        data = with_chunk(chunk(b"iCCP", bomb))
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)

    @pytest.mark.parametrize(
        "profile",
        [
            b"junk" * 400_000,
            PROFILE(0)[:200],
            PROFILE(0)[:300],
            b"\0" * 3000,
            PROFILE(0)[:128] + struct.pack(">I", 0xFFFFFFFF) + PROFILE(0)[132:],
        ],
        ids=["junk", "head", "cut", "zeros", "absurd count"],
    )
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
    def test_broken_profile_is_skipped(self, format, profile):
        options = {"lossless": True} if format == "WEBP" else {}
        data = save(format, icc_profile=profile, **options)
        expected = decode_image(save(format, **options)).pixels
        np.testing.assert_array_equal(decode_image(data).pixels, expected)

    @pytest.mark.parametrize("kind", [2, 3, 4, 5, 12])
    def test_profile_of_a_tiff_that_is_no_bytes_is_skipped(self, kind):
        buffer = io.BytesIO()
        Image.fromarray(PIXELS).save(buffer, "TIFF", icc_profile=bytes(4096))
        data = buffer.getvalue()
        before = struct.pack("<HHI", 34675, 7, 4096)
        size = {2: 1, 3: 2, 4: 4, 5: 8, 12: 8}[kind]
        after = struct.pack("<HHI", 34675, kind, 4096 // size)
        assert data.count(before) == 1
        data = data.replace(before, after)
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)

    def test_parts_of_a_profile_in_any_order(self):
        profile = PROFILE(100_000)
        parts = [profile[:40_000], profile[40_000:90_000], profile[90_000:]]
        segments = [
            (0xE2, b"ICC_PROFILE\0" + bytes([number, 3]) + part)
            for number, part in enumerate(parts, start=1)
        ]
        for order in ((0, 1, 2), (2, 0, 1)):
            data = with_segment(*(segments[place] for place in order))
            assert plain_file(data).profile == profile
        for some in (segments[:2], segments[1:]):
            assert plain_file(with_segment(*some)).profile is None
            assert decode_image(with_segment(*some)).pixels.shape == PIXELS.shape

    def test_srgb_of_any_size_changes_nothing(self):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        data = save(icc_profile=profile + bytes(2_000_000))
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)


UPRIGHT = np.rot90(PIXELS, -1)  # orientation 6


class TestExif:
    @pytest.mark.parametrize(
        "block",
        [
            # The orientation is there, whatever else is.
            entries(turn()),
            entries(turn(kind=1)),
            entries(turn(kind=4)),
            entries(turn(kind=8)),
            entries(turn(order=">"), order=">"),
            entries(turn(order=">", kind=1), order=">"),
            entries(turn(), following=8),
            entries((0x8769, 4, 1, struct.pack("<I", 8)), turn()),
            entries((0x8769, 4, 1, b"\xff" * 4), (0x8825, 4, 1, b"\xff" * 4), turn()),
            entries((0x927C, 7, 0xFFFFFFFF, b"\xff" * 4), turn()),
            entries((0x010F, 2, 0x7FFFFFFF, bytes(4)), turn(), (1, 99, 1, bytes(4))),
            entries((0x0201, 4, 1, bytes(4)), (0x0202, 4, 1, b"\xff" * 4), turn()),
            entries((0xC4A5, 0, 0, bytes(4)), turn()),
            entries((0x011A, 5, 1, bytes(4)), turn()),
        ],
    )
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
    def test_orientation_counts_whatever_else_is_broken(self, format, block):
        exif = b"Exif\0\0" + block
        if format == "JPEG":
            data = with_segment((0xE1, exif))
            assert decode_image(data).pixels.shape == UPRIGHT.shape
            return
        data = (
            with_chunk(chunk(b"eXIf", block))
            if format == "PNG"
            else save("WEBP", lossless=True, exif=exif)
        )
        decoded = decode_image(data)
        np.testing.assert_array_equal(decoded.pixels, UPRIGHT)
        assert decoded.orientation == 6
        assert format_to_keep(data) is None

    def test_exif_of_many_segments(self):
        block = entries((0x927C, 7, 150_000, struct.pack("<I", 50)), turn())
        parts = [block, *[bytes(50_000)] * 3]
        data = with_segment(*((0xE1, b"Exif\0\0" + part) for part in parts))
        assert decode_image(data).pixels.shape == UPRIGHT.shape

    def test_exif_behind_the_pixels_of_a_png(self):
        data = with_chunk(chunk(b"eXIf", entries(turn())), before=b"IEND")
        np.testing.assert_array_equal(decode_image(data).pixels, UPRIGHT)
        assert format_to_keep(data) is None

    def test_exif_with_a_wrong_checksum_is_not_trusted(self):
        data = with_chunk(chunk(b"eXIf", entries(turn()), 1))
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)

    @pytest.mark.parametrize(
        "block",
        [
            b"",
            b"II*\0",
            b"II*\0\xff\xff\xff\xff",
            b"junk" * 9,
            b"II*\0\x08\0\0\0\xff\xff" + bytes(60),
            entries(turn(0)),
            entries(turn(9)),
            entries((0x0112, 2, 1, b"6\0\0\0")),
            entries((0x0112, 5, 1, b"\xff" * 4)),
        ],
    )
    def test_unreadable_exif_turns_nothing(self, block):
        assert exif_orientation(b"Exif\0\0" + block) == 1
        data = with_chunk(chunk(b"eXIf", block))
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)
        data = save("WEBP", lossless=True, exif=b"Exif\0\0" + block)
        np.testing.assert_array_equal(decode_image(data).pixels, PIXELS)
        shape = decode_image(with_segment((0xE1, b"Exif\0\0" + block))).pixels.shape
        assert shape == PIXELS.shape

    @pytest.mark.parametrize("block", [b"junk" * 9, b"II*\0\xff\xff\xff\xff"])
    def test_broken_exif_of_an_avif_turns_nothing(self, block):
        good = save("AVIF", quality=100, exif=entries((0x010F, 2, 4, b"abc\0")))
        at = good.index(b"II*\0")
        length = len(entries((0x010F, 2, 4, b"abc\0")))
        bad = good[:at] + block[:length].ljust(length, b"\0") + good[at + length :]
        expected = decode_image(good).pixels
        np.testing.assert_array_equal(decode_image(bad).pixels, expected)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize(
        "tag",
        [
            (0x8769, 4, 1, struct.pack("<I", 8)),
            (0x8825, 4, 1, b"\xff\xff\xff\0"),
            (0x8769, 3, 1, b"\xff" * 4),
        ],
    )
    def test_exif_of_a_tiff_does_not_matter(self, tag):
        data = save("TIFF")
        (start,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, start)
        table = data[start + 2 : start + 2 + 12 * count]
        new = struct.pack("<H", count + 2) + table
        new += struct.pack("<HHI", *turn()[:3]) + turn()[3]
        new += struct.pack("<HHI", *tag[:3]) + tag[3] + bytes(4)
        data = data[:4] + struct.pack("<I", len(data)) + data[8:] + new
        np.testing.assert_array_equal(decode_image(data).pixels, UPRIGHT)
