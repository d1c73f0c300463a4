"""Masks: whose region is what, and which masks fit a photograph."""

import hashlib
import os

import numpy as np
import pytest
from PIL import Image

from transforms.elements import ImageError, ImageRef
from transforms.images.load import LoadedImage
from transforms.images.masks import load_mask, regions_of

LEFT = np.repeat([[255, 0]], 2, 0).astype(np.uint8)
NONE = np.zeros((2, 2), np.uint8)
ALL = np.full((2, 2), 255, np.uint8)

REF = ImageRef("c.jpg", "in", "c.jpg")


def content(height, width, *, original=None, orientation=1):
    """A content as the worker has it; its original is upright (height, width)."""
    pixels = np.zeros((height, width, 3), np.uint8)
    tall, wide = original or (height, width)
    return LoadedImage(REF, "0", pixels, wide, tall, orientation)


@pytest.fixture
def mask(tmp_path):
    """Return a writer of masks: white in the left half."""

    def write(height, width, name="m.png", **options):
        pixels = np.zeros((height, width), np.uint8)
        pixels[:, : max(1, width // 2)] = 255
        Image.fromarray(pixels).save(tmp_path / name, **options)
        return str(tmp_path / name)

    return write


def refused(path, image, sha256=None):
    with pytest.raises(ImageError) as caught:
        load_mask(path, sha256, image)
    return caught.value


class TestRegions:
    def test_second_style_gets_the_rest(self):
        found = regions_of([LEFT, None], [0.5, 0.5], ["s", "t"])
        np.testing.assert_array_equal(found.shares, [LEFT, 255 - LEFT])
        np.testing.assert_array_equal(found.weights, [1, 1])
        assert found.places == [0, 1]
        assert found.note is None

    def test_single_style_leaves_the_content_elsewhere(self):
        found = regions_of([LEFT], [1.0], ["s"])
        np.testing.assert_array_equal(found.shares, [LEFT, 255 - LEFT])
        assert found.places == [0, -1]

    @pytest.mark.parametrize(
        ("masks", "places", "empty"),
        [
            ([ALL, None], [0], "t"),
            ([NONE, None], [1], "s"),
            ([NONE, ALL], [1], "s"),
            ([NONE, NONE], [0, 1], "s, t"),
        ],
    )
    def test_empty_region_falls_to_the_other_style_and_is_noted(
        self, masks, places, empty
    ):
        found = regions_of(masks, [0.5, 0.5], ["s", "t"])
        assert found.places == places
        assert (found.shares == 255).all()
        assert found.note == f"empty region: {empty}"

    def test_rest_of_soft_and_overlapping_masks(self):
        soft = np.array([[0, 100], [200, 255]], np.uint8)
        found = regions_of([soft, soft, None], [1, 1, 1], ["s", "t", "u"])
        np.testing.assert_array_equal(found.shares[2], [[255, 55], [0, 0]])

    def test_weights_scale_the_masks(self):
        found = regions_of([LEFT, ALL], [0.25, 0.75], ["s", "t"])
        np.testing.assert_allclose(found.weights, [1 / 3, 1])

    def test_notes_stand_together(self):
        found = regions_of([LEFT, NONE], [0.5, 0.5], ["s", "t"], ["n"])
        assert found.note == "empty region: t; n"


class TestShape:
    def test_mask_of_another_size_is_resized_nearest(self, tmp_path):
        pixels = np.array([[0, 255], [128, 255]], np.uint8)
        Image.fromarray(pixels).save(tmp_path / "m.png")
        found, note = load_mask(str(tmp_path / "m.png"), None, content(4, 6))
        np.testing.assert_array_equal(found, np.repeat(np.repeat(pixels, 2, 0), 3, 1))
        assert note is None

    @pytest.mark.parametrize(
        ("size", "photo"),
        [
            ((300, 400), (3000, 4000)),
            ((683, 1024), (3456, 5184)),  # 682.67 is rounded
            ((682, 1024), (3456, 5184)),
            ((67, 100), (2000, 3000)),
            ((3000, 4000), (3000, 4000)),
            ((6000, 8000), (300, 400)),
        ],
    )
    def test_any_scale_of_the_photograph_fits(self, mask, size, photo):
        image = content(96, 128, original=photo)
        found, note = load_mask(mask(*size), None, image)
        assert found.shape == (96, 128)
        assert note is None

    @pytest.mark.parametrize(
        ("size", "photo"),
        [
            ((300, 300), (300, 400)),
            ((400, 300), (300, 400)),
            ((290, 400), (300, 400)),
            ((512, 512), (427, 640)),
            ((72, 128), (480, 640)),
        ],
    )
    def test_another_aspect_is_refused(self, mask, size, photo):
        error = refused(mask(*size), content(96, 128, original=photo))
        assert error.reason == "bad_pair"
        assert "aspect" in error.message
        assert "m.png" in error.message

    @pytest.mark.parametrize("value", [0, 255])
    def test_mask_of_one_value_has_any_shape(self, tmp_path, value):
        Image.new("L", (8, 8), value).save(tmp_path / "m.png")
        image = content(96, 128, orientation=6)
        found, note = load_mask(str(tmp_path / "m.png"), None, image)
        assert (found == value).all()
        assert note is None

    @pytest.mark.parametrize("orientation", [5, 6, 7, 8])
    def test_stored_grid_of_a_turned_photograph_is_refused(self, mask, orientation):
        image = content(160, 96, orientation=orientation)
        for size in ((96, 160), (48, 80), (192, 320)):
            error = refused(mask(*size), image)
            assert error.reason == "bad_pair"
            assert f"EXIF orientation ({orientation})" in error.message
        for size in ((160, 96), (80, 48)):
            path = mask(*size, name=f"u{size[0]}.png")
            assert load_mask(path, None, image)[1] is None

    def test_stored_grid_of_an_almost_square_photograph_is_refused(self, mask):
        image = content(101, 100, orientation=6)
        assert "EXIF" in refused(mask(100, 101), image).message
        assert load_mask(mask(101, 100, name="u.png"), None, image)[0].any()

    @pytest.mark.parametrize(
        ("photo", "orientation"),
        [((96, 160), 2), ((96, 160), 3), ((96, 160), 4), ((100, 100), 6)],
    )
    def test_grid_that_cannot_be_told_is_noted(self, mask, photo, orientation):
        image = content(*photo, orientation=orientation)
        _, note = load_mask(mask(*photo), None, image)
        assert f"EXIF orientation ({orientation})" in note
        assert "m.png" in note

    def test_mask_with_an_orientation_of_its_own(self, mask):
        exif = Image.Exif()
        exif[0x0112] = 6
        path = mask(96, 160, exif=exif)
        found, note = load_mask(path, None, content(160, 96, orientation=6))
        assert found.shape == (160, 96)
        assert found[:80].all()  # the left is above, once it is turned
        assert not found[80:].any()
        assert note is None


class TestFile:
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("gone.png", "not_found"),
            ("text.png", "not_an_image"),
            ("empty.png", "empty_file"),
            ("pipe.png", "unreadable"),
            ("folder.png", "unreadable"),
        ],
    )
    def test_mask_that_cannot_be_used(self, tmp_path, name, reason):
        (tmp_path / "text.png").write_text("<html></html>")
        (tmp_path / "empty.png").write_bytes(b"")
        (tmp_path / "folder.png").mkdir()
        os.mkfifo(tmp_path / "pipe.png")
        error = refused(str(tmp_path / name), content(4, 6))
        assert error.reason == reason
        assert name in error.message

    def test_mask_that_changed_since_the_plan_is_refused(self, mask):
        path = mask(4, 6)
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        assert load_mask(path, digest, content(4, 6))[0].any()
        other = mask(8, 12)
        error = refused(other, content(4, 6), "0" * 64)
        assert error.reason == "bad_pair"
        assert "changed" in error.message

    # Pillow warns of lengths, never of contents.
    @pytest.mark.filterwarnings("ignore::UserWarning")
    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"P1 ",
            b"P2\n",
            b"P5 ",
            b"\x89PNG\r\n\x1a\n",
            b"II*\0\x08\0\0\0",
            b"GIF89a",
            b"BM" + bytes(12) + b"\x28\0\0\0",
            b"\xff\xd8\xff",
            b"%PDF-",
            b"8BPS\0\1",
        ],
    )
    def test_no_content_of_a_refused_mask_is_told(self, tmp_path, head):
        (tmp_path / "m.png").write_bytes(head + b"hunter2 HUNTER2 " * 20)
        error = refused(str(tmp_path / "m.png"), content(4, 6))
        told = f"{error} {error.message}".lower()
        assert "hunter2" not in told
        assert "hunt" not in told
