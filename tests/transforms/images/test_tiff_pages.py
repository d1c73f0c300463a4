"""Which picture of a TIFF is taken: never the preview of another one."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from transforms.elements import ImageError, Reason
from transforms.images.decoder import decode_image

PREVIEW = np.full((36, 40, 3), (250, 10, 10), np.uint8)


def photo(height=64, width=80, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def page(pixels, below=(), kind=None, **tags):
    """Return one directory: pixels, the directories below it, other tags by number."""
    if kind is not None:
        tags["254"] = kind
    return pixels, tuple(below), {int(tag): value for tag, value in tags.items()}


def tiff(*pages, order="<", big=False, after=None):
    """Write a TIFF of uncompressed RGB pages (TIFF 6.0 and BigTIFF)."""
    word = "Q" if big else "I"
    step = 8 if big else 4
    head = (b"II" if order == "<" else b"MM") + struct.pack(
        f"{order}HHHQ" if big else f"{order}HI", *((43, 8, 0, 16) if big else (42, 8))
    )
    body = bytearray(head)

    def write(pixels, below, tags, following):
        place = len(body)
        height, width = pixels.shape[:2]
        values = {
            256: width,
            257: height,
            258: 8,
            259: 1,
            262: 2,
            273: 0,
            277: 3,
            278: height,
            279: pixels.nbytes,
            **tags,
        }
        if below:
            values[330] = 0
        entry = 20 if big else 12
        start = place + (8 if big else 2)
        end = start + entry * len(values) + step
        body.extend(bytes(end - place))
        values[273] = len(body)
        body.extend(pixels.tobytes() + bytes(pixels.nbytes % 2))
        subs = []
        for number, item in enumerate(below):
            subs.append(len(body))
            write(*item, 0)
            assert number < 9
        if len(subs) == 1:
            values[330] = subs[0]
        elif subs:
            values[330] = len(body)
            body.extend(struct.pack(f"{order}{len(subs)}{word}", *subs))
        struct.pack_into(f"{order}{'Q' if big else 'H'}", body, place, len(values))
        for at, tag in enumerate(sorted(values)):
            count = max(1, len(subs)) if tag == 330 else 1
            form = f"{order}HH{word}{word}"
            kind = 16 if big else 4
            value = values[tag]
            struct.pack_into(form, body, start + at * entry, tag, kind, count, value)
        last = following if following is not None else len(body)
        struct.pack_into(f"{order}{word}", body, end - step, last)

    for number, item in enumerate(pages):
        final = number == len(pages) - 1
        write(*item, (after or 0) if final else None)
    return bytes(body)


# Pillow 12 reads no BigTIFF in big-endian order.
FORMS = [("<", False), (">", False), ("<", True)]


@pytest.mark.parametrize(("order", "big"), FORMS)
class TestPictureIsTaken:
    def test_page_behind_a_preview(self, order, big):
        pixels = photo()
        data = tiff(page(PREVIEW, kind=1), page(pixels, kind=0), order=order, big=big)
        decoded = decode_image(data)
        np.testing.assert_array_equal(decoded.pixels, pixels)
        assert (decoded.original_width, decoded.original_height) == (80, 64)

    def test_page_behind_two_previews_and_a_mask(self, order, big):
        pixels = photo()
        pages = [page(PREVIEW, kind=kind) for kind in (1, 0x10001, 4, 8)]
        data = tiff(*pages, page(pixels), page(photo(seed=1)), order=order, big=big)
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    def test_older_tag_of_previews(self, order, big):
        pixels = photo()
        small = page(PREVIEW, **{"255": 2})
        data = tiff(small, page(pixels, **{"255": 1}), order=order, big=big)
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    def test_picture_below_the_preview(self, order, big):
        pixels = photo()
        first = page(PREVIEW, [page(pixels, kind=0)], kind=1)
        for rest in ([], [page(photo(seed=1))]):
            data = tiff(first, *rest, order=order, big=big)
            np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    def test_picture_among_several_below_the_preview(self, order, big):
        pixels = photo()
        below = [page(PREVIEW, kind=1), page(pixels, kind=0), page(PREVIEW, kind=1)]
        data = tiff(page(PREVIEW, below, kind=1), order=order, big=big)
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    def test_larger_picture_below_an_unmarked_one(self, order, big):
        pixels = photo()
        for kind in (None, 0):
            first = page(PREVIEW, [page(pixels, kind=kind)])
            data = tiff(first, page(photo(200, 200)), order=order, big=big)
            np.testing.assert_array_equal(decode_image(data).pixels, pixels)
        first = page(pixels, [page(PREVIEW), page(photo(200, 200), kind=1)])
        data = tiff(first, order=order, big=big)
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    def test_first_page_of_many_and_of_a_pyramid(self, order, big):
        pixels = photo()
        for kind in (None, 2, 1):
            data = tiff(page(pixels), page(PREVIEW, kind=kind), order=order, big=big)
            np.testing.assert_array_equal(decode_image(data).pixels, pixels)
        data = tiff(page(pixels, [page(PREVIEW, kind=1)]), order=order, big=big)
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    def test_orientation_is_that_of_the_picture(self, order, big):
        pixels = photo()
        # A SHORT or LONG of one value: the writer above writes LONG.
        first = page(PREVIEW, kind=1, **{"274": 3})
        data = tiff(first, page(pixels, **{"274": 6}), order=order, big=big)
        np.testing.assert_array_equal(decode_image(data).pixels, np.rot90(pixels, -1))


def refused(data):
    with pytest.raises(ImageError) as caught:
        decode_image(data)
    return caught.value


class TestRefused:
    @pytest.mark.parametrize("photometric", [32803, 34892])
    def test_sensor_data_is_a_camera_raw(self, photometric):
        raw = page(photo(), kind=0, **{"262": photometric})
        for pages in (
            [page(PREVIEW, [raw], kind=1)],
            [page(PREVIEW, kind=1), raw],
            [page(photo(seed=1), [raw])],
            [raw],
        ):
            error = refused(tiff(*pages))
            assert error.reason == Reason.UNSUPPORTED
            assert "camera raw" in error.message
            assert "Develop it" in error.message

    def test_previews_alone_are_refused(self):
        error = refused(tiff(page(PREVIEW, kind=1), page(PREVIEW, kind=1)))
        assert error.reason == Reason.UNSUPPORTED
        assert "previews" in error.message

    def test_picture_that_cannot_be_read_does_not_give_its_preview(self):
        odd = page(photo(), kind=0, **{"259": 34712})  # JPEG 2000 of a scanner
        error = refused(tiff(page(PREVIEW, kind=1), odd))
        assert "number 2" in error.message
        assert "previews" in error.message

    def test_cut_in_the_picture_is_truncated(self):
        data = tiff(page(PREVIEW, kind=1), page(photo(), kind=0))
        assert refused(data[:-2000]).reason == Reason.TRUNCATED

    def test_chain_that_comes_back_ends(self):
        error = refused(tiff(page(PREVIEW, kind=1), page(PREVIEW, kind=1), after=8))
        assert error.reason == Reason.UNSUPPORTED
        pixels = photo()
        data = tiff(page(pixels), after=8)
        np.testing.assert_array_equal(decode_image(data).pixels, pixels)

    def test_order_that_pillow_lacks_is_named(self):
        error = refused(tiff(page(photo()), order=">", big=True))
        assert error.reason == Reason.UNSUPPORTED
        assert "BigTIFF" in error.message

    def test_directories_without_end_are_not_walked(self):
        pages = [page(PREVIEW[:1, :1], kind=1)] * 500
        assert refused(tiff(*pages)).reason == Reason.UNSUPPORTED


def test_compressed_picture_behind_a_preview():
    small, large = Image.fromarray(PREVIEW), Image.fromarray(photo(120, 160))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        buffer = io.BytesIO()
        small.encoderinfo = {"tiffinfo": {254: 1}}
        small.save(
            buffer,
            "TIFF",
            compression=compression,
            save_all=True,
            append_images=[large],
            tiffinfo={254: 1},
        )
        data = buffer.getvalue()
        with Image.open(io.BytesIO(data)) as image:
            kinds = []
            for number in range(image.n_frames):
                image.seek(number)
                kinds.append(image.tag_v2.get(254, 0))
        if kinds[1]:  # Pillow wrote the tag into both
            second = data.rindex(struct.pack("<HHII", 254, 4, 1, 1))
            data = data[: second + 8] + bytes(4) + data[second + 12 :]
        decoded = decode_image(data)
        assert decoded.pixels.shape == (120, 160, 3)
        if compression != "jpeg":
            np.testing.assert_array_equal(decoded.pixels, photo(120, 160))
