"""Files that are not read are named by their content, with what to do."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from transforms.elements import ImageError, Reason
from transforms.images import extra_formats
from transforms.images.decoder import decode_image


def refused(data):
    with pytest.raises(ImageError) as caught:
        decode_image(data)
    return caught.value


def ftyp(major, *others):
    body = major + bytes(4) + b"".join(others)
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body + bytes(200)


def psd(merged):
    """Write a Photoshop document of one white channel set, merged or not."""
    version = struct.pack(">I?", 1, merged) + b"\0"
    resources = b"8BIM" + struct.pack(">HHI", 1057, 0, len(version)) + version
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 40, 48, 8, 3)
    parts = struct.pack(">I", 0) + struct.pack(">I", len(resources)) + resources
    return head + parts + struct.pack(">I", 0) + b"\0\0" + b"\xff" * (3 * 40 * 48)


@pytest.fixture
def no_extra(monkeypatch):
    monkeypatch.setattr(extra_formats.importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("no_extra")
@pytest.mark.parametrize(
    ("data", "name", "advice"),
    [
        (ftyp(b"heic", b"mif1", b"heic"), "HEIC", "stylebeam[formats]"),
        (ftyp(b"heix"), "HEIC", "stylebeam[formats]"),
        (ftyp(b"mif1", b"heic"), "HEIC", "stylebeam[formats]"),
        (b"\xff\x0a" + bytes(60), "JPEG XL", "stylebeam[formats]"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60), "JPEG XL", "stylebeam[formats]"),
        (ftyp(b"crx ", b"isom"), "camera raw", "Develop"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(60), "camera raw", "Develop"),
        (b"II\x1a\0\0\0HEAPCCDR" + bytes(60), "camera raw", "Develop"),
        (b"II*\0\x10\0\0\0IIIIwaR" + bytes(60), "camera raw", "Develop"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(60), "camera raw", "Develop"),
        (b"IIRO\x08\0\0\0" + bytes(60), "camera raw", "Develop"),
        (b"IIRS\x08\0\0\0" + bytes(60), "camera raw", "Develop"),
        (b"MMOR\0\0\0\x08" + bytes(60), "camera raw", "Develop"),
        (b"IIU\0\x18\0\0\0" + bytes(60), "camera raw", "Develop"),
        (b"FOVb" + bytes(60), "camera raw", "Develop"),
        (b"%PDF-1.7\n" + bytes(60), "PDF", "Render"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript", "Render"),
        (b"\xc5\xd0\xd3\xc6" + bytes(60), "PostScript", "Render"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", "Render"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a --><svg >", "SVG", "Render"),
        (b"  \n<!DOCTYPE svg PUBLIC 'x'><svg:svg x='1'>", "SVG", "Render"),
        ("<?xml version='1.0'?><svg>".encode("utf-16"), "SVG", "Render"),
        (ftyp(b"isom", b"mp42"), "video", "frames"),
        (ftyp(b"qt  "), "video", "frames"),
        (b"\0\0\0\x20moov" + bytes(60), "video", "frames"),
        (b"\x1aE\xdf\xa3" + bytes(60), "video", "frames"),
        (b"RIFF\x10\0\0\0AVI LIST" + bytes(60), "video", "frames"),
        (b"8BPS\0\2" + bytes(60), "PSB", "Export"),
        (psd(False), "Photoshop", "Maximize"),
        (b"gimp xcf v011\0" + bytes(60), "GIMP", "Export"),
        (b"\0\0\1\0\2\0" + bytes(60), "icon", "Export"),
        (b"icns\0\0\1\0" + bytes(60), "icon", "Export"),
        (b"\x76\x2f\x31\x01" + bytes(60), "OpenEXR", "Export"),
        (b"#?RADIANCE\n", "Radiance", "Export"),
        (bytes(128) + b"DICM" + bytes(60), "DICOM", "Export"),
        (b"qoif" + bytes(60), "QOI", "Export"),
        (b"DDS " + bytes(60), "DDS", "Export"),
    ],
)
def test_format_is_named_with_what_to_do(data, name, advice):
    error = refused(data)
    assert error.reason == Reason.UNSUPPORTED
    assert name in error.message
    assert advice in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"PK\3\4" + bytes(60), "zip"),
        (b"\x1f\x8b\x08" + bytes(60), "Unpack"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html><body><svg></svg></body></html>", "web page"),
        (b"<html><head>", "web page"),
        (b"Just some words", "no known format"),
        (bytes(1000), "no known format"),
    ],
)
def test_what_is_no_picture_is_named(data, word):
    error = refused(data)
    assert error.reason == Reason.NOT_AN_IMAGE
    assert word in error.message


def test_no_byte_of_the_file_is_told():
    secret = b"password=hunter2"
    for data in (secret, b"<x>" + secret, b"%PDF-" + secret, b"\0" + secret):
        assert "hunter2" not in refused(data).message
        assert "password" not in refused(data).message


def test_photoshop_document_with_its_picture_is_read():
    assert (decode_image(psd(True)).pixels == 255).all()


def test_icons_of_pillow_are_named():
    image = Image.new("RGB", (64, 64), (1, 2, 3))
    for format, name in (("ICO", "ICO"), ("ICNS", "ICNS")):
        buffer = io.BytesIO()
        image.save(buffer, format)
        assert name in refused(buffer.getvalue()).message


def test_jpeg_xl_tells_its_size():
    # Two headers of libjxl: 90 x 60 and, by ratio, 1920 x 1080.
    assert extra_formats._jxl_size(b"\xff\x0a\xd8A\x10\t\x08\0\1\0") == (90, 60)

    def header(width, height):
        bits = 0 | (1 << 1) | ((height - 1) << 3) | (0 << 16)  # U32: 13 bits
        bits |= (1 << 19) | ((width - 1) << 21)
        return b"\xff\x0a" + bits.to_bytes(12, "little")

    for size in ((1, 1), (300, 7), (8000, 8192)):
        assert extra_formats._jxl_size(header(*size)) == size
    boxed = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl " + bytes(8)
    for kind, index in ((b"jxlc", b""), (b"jxlp", bytes(4))):
        body = index + header(300, 7)
        box = struct.pack(">I", 8 + len(body)) + kind + body
        assert extra_formats._jxl_size(boxed + box) == (300, 7)
    with pytest.raises(ValueError, match="codestream"):
        extra_formats._jxl_size(boxed)


class TestExtra:
    """With `pip install 'stylebeam[formats]'`."""

    @pytest.fixture
    def heic(self):
        heif = pytest.importorskip("pillow_heif")

        def save(pixels, **options):
            buffer = io.BytesIO()
            image = Image.fromarray(pixels)
            heif.from_pillow(image).save(buffer, quality=-1, chroma=444, **options)
            return buffer.getvalue()

        return save

    @pytest.fixture
    def jxl(self):
        pytest.importorskip("pillow_jxl")

        def save(pixels, **options):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "JXL", lossless=True, **options)
            return buffer.getvalue()

        return save

    @pytest.fixture
    def pixels(self):
        y, x = np.mgrid[0:60, 0:90]
        return np.stack([x * 2, y * 4, x + y], -1).astype(np.uint8)

    def test_heic_is_read(self, heic, pixels):
        found = decode_image(heic(pixels))
        assert np.abs(found.pixels.astype(int) - pixels).max() <= 3
        assert (found.original_width, found.original_height) == (90, 60)

    def test_heic_is_turned_once(self, pixels):
        exif = Image.Exif()
        exif[0x0112] = 6
        pytest.importorskip("pillow_heif").register_heif_opener()
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(
            buffer, "HEIF", quality=-1, chroma=444, exif=exif.tobytes()
        )
        found = decode_image(buffer.getvalue()).pixels
        assert found.shape == (90, 60, 3)
        assert np.abs(found.astype(int) - np.rot90(pixels, -1)).max() <= 3

    def test_jxl_is_read(self, jxl, pixels):
        np.testing.assert_array_equal(decode_image(jxl(pixels)).pixels, pixels)
        data = jxl(pixels, use_container=True)
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    def test_limits_hold(self, heic, jxl, pixels):
        for data in (heic(pixels), jxl(pixels)):
            for options, reason in (
                ({"max_pixels": 90 * 60 - 1}, Reason.TOO_MANY_PIXELS),
                ({"min_side": 61}, Reason.TOO_SMALL),
            ):
                with pytest.raises(ImageError) as caught:
                    decode_image(data, **options)
                assert caught.value.reason == reason

    def test_damage_is_an_image_error(self, heic, jxl, pixels):
        for data in (heic(pixels), jxl(pixels)):
            for stop in range(16, len(data) - 1, len(data) // 12):
                assert refused(data[:stop]).reason in (
                    Reason.TRUNCATED,
                    Reason.CORRUPT,
                    Reason.NOT_AN_IMAGE,
                )
