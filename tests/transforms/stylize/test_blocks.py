"""Blocks: as many pictures as fit into the budget, masked ones alone."""

import numpy as np
import pytest

from transforms.elements import ImageRef
from transforms.images.load import LoadedImage
from transforms.stylize import blocks
from transforms.stylize.blocks import (
    BLOCK_PIXELS,
    CANVAS_PIXELS,
    DecodedContent,
    split_blocks,
)
from transforms.stylize.cells import StyleShare
from transforms.stylize.pairing import Recipe
from transforms.stylize.plan import Painting, PlannedContent
from transforms.stylize.style_bank import StyleBank

REF = ImageRef("a.jpg", "photos", "/photos/a.jpg")
SHARES = [StyleShare(f"s{i}", f"s{i}.png", f"{i:02d}") for i in range(3)]


@pytest.fixture(autouse=True)
def bank(monkeypatch):
    vectors = np.float32([[0, 1], [2, 3], [4, 5]])
    made = StyleBank(tuple(SHARES), vectors, vectors + 10)
    monkeypatch.setattr(blocks, "shared_bank", lambda _: made)


def plain(place=0):
    return Painting(Recipe((SHARES[place],), (place,), 1.0), ())


def content_of(height, width, paintings):
    # The pixels are never looked at.
    pixels = np.broadcast_to(np.uint8(0), (height, width, 3))
    image = LoadedImage(REF, "00", pixels, width, height)
    planned = PlannedContent("00", (REF,), paintings, 0, 0, 0, ())
    return DecodedContent(planned, image)


def split(content, style_refs=()):
    return list(split_blocks(content, None, dict(style_refs)))


@pytest.mark.parametrize(
    ("height", "width", "most"),
    [
        (256, 256, 4),
        (255, 257, 4),
        (256, 257, 3),
        (32, 32, 256),
        (512, 512, 1),
        (700, 900, 1),
        # In tiles: the content is encoded once for as many finished pictures as fit.
        (4000, 6000, CANVAS_PIXELS // 24_000_000),
    ],
)
def test_block_holds_what_fits_into_the_budget(height, width, most):
    paintings = [plain() for _ in range(2 * most + 1)]
    sizes = [len(block) for block in split(content_of(height, width, paintings))]
    assert sizes == [most, most, 1]
    assert most == 1 or most * height * width <= max(BLOCK_PIXELS, CANVAS_PIXELS)


def test_blends_are_mixed_and_masked_pictures_are_alone():
    blend = tuple(
        StyleShare(s.id, s.key, s.sha256, weight)
        for s, weight in zip(SHARES[:2], (1, 3), strict=True)
    )
    mixed = Painting(Recipe(blend, (0, 1), 1.0), ())
    masked = Painting(Recipe(tuple(SHARES[:2]), (0, 1), 1.0, ("m.png", "")), ())
    first, second = split(content_of(64, 64, [masked, plain(2), mixed]))
    assert first.paintings == [plain(2), mixed]
    np.testing.assert_allclose(first.style_mean, [[4, 5], [1.5, 2.5]])
    np.testing.assert_allclose(first.style_std, [[14, 15], [11.5, 12.5]])
    assert second.paintings == [masked]
    np.testing.assert_array_equal(second.style_mean, [[0, 1], [2, 3]])


def test_only_the_styles_of_a_block_travel_with_it():
    refs = {share.id: ImageRef(share.key, "art", f"/{share.key}") for share in SHARES}
    (block,) = split(content_of(64, 64, [plain(0), plain(2)]), refs)
    assert set(block.styles) == {"s0", "s2"}


def test_content_with_nothing_to_do_has_no_block():
    planned = content_of(64, 64, []).planned
    assert split(DecodedContent(planned, None)) == []
    assert split(content_of(64, 64, [])) == []
