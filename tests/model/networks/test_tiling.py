"""Tiles give exactly what the whole gives."""

from collections.abc import Callable

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from model.adain.stylizer import Stylizer, to_uint8
from model.bundle import Bundle, load_bundle
from model.networks.tiling import RunningMoments, plan_tiles

Picture = Callable[..., np.ndarray]


@hypothesis.given(
    rows=st.integers(2, 90),
    columns=st.integers(2, 90),
    budget=st.integers(256 * 256, 400 * 400),
    halo=st.sampled_from([32, 64]),
)
def test_tiles_cover_every_pixel_once_within_the_budget(
    rows: int, columns: int, budget: int, halo: int
) -> None:
    height, width = 8 * rows, 8 * columns
    seen = np.zeros((rows, columns), int)
    for vertical, horizontal in plan_tiles(
        height, width, max_pixels=budget, halo=halo, align=8
    ):
        outer = [span.outer_stop - span.outer_start for span in (vertical, horizontal)]
        assert outer[0] * outer[1] <= budget
        for span, length in ((vertical, height), (horizontal, width)):
            assert all(value % 8 == 0 for value in dataclass_values(span))
            assert span.outer_start == max(0, span.start - halo)
            assert span.outer_stop == min(length, span.stop + halo)
        v, h = vertical.core, horizontal.core
        seen[v.start // 8 : v.stop // 8, h.start // 8 : h.stop // 8] += 1
    assert (seen == 1).all()


def dataclass_values(span) -> list[int]:
    return [span.start, span.stop, span.outer_start, span.outer_stop]


def test_what_fits_is_one_tile() -> None:
    tiles = plan_tiles(256, 512, max_pixels=256 * 512, halo=64, align=8)
    assert len(tiles) == 1


def test_budget_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`max_pixels` must leave room.*Received"):
        plan_tiles(1024, 1024, max_pixels=128 * 128, halo=64, align=8)


@hypothesis.given(
    cuts=st.lists(st.integers(1, 99), max_size=4), offset=st.floats(0, 1e6)
)
def test_moments_of_parts_are_those_of_the_whole(
    cuts: list[int], offset: float
) -> None:
    x = np.random.default_rng(5).normal(offset, 1, (100, 3))
    moments = RunningMoments()
    for part in np.split(x, sorted(set(cuts))):
        moments.add(np.full((1, 1), len(part)), part.mean(0)[None], part.var(0)[None])
    weight, mean, std = moments.result(0.0)
    assert weight == 100
    np.testing.assert_allclose(mean[0], x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(std[0], x.std(0), rtol=1e-6)


def test_empty_parts_change_nothing() -> None:
    moments = RunningMoments()
    for weight, mean in ((0.0, 0.0), (2.0, 5.0), (0.0, 0.0)):
        moments.add([[weight]], [[mean]], [[1.0]])
    assert [float(v.item()) for v in moments.result(0.0)] == [2.0, 5.0, 1.0]


@pytest.mark.parametrize("budget", [256 * 256, 264 * 320, 400 * 304])
@pytest.mark.parametrize("size", [(520, 456), (403, 629)], ids=str)
def test_tiled_equals_untiled(
    tiny_bundle: Bundle, picture: Picture, size: tuple[int, int], budget: int
) -> None:
    content, style = to_uint8(picture(*size, 1))[None], to_uint8(picture(390, 300, 2))
    whole = Stylizer(tiny_bundle, max_tile_pixels=10**9)
    tiled = Stylizer(tiny_bundle, max_tile_pixels=budget)
    for found, expected in zip(
        tiled.encode_style(style[None]), whole.encode_style(style[None]), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    moments = whole.encode_style(style[None])
    pictures = [
        stylizer.paint(stylizer.encode_content(content), *moments, 0.8)[0]
        for stylizer in (whole, tiled)
    ]
    assert pictures[0].shape == (1, *size, 3)
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() <= 1


def test_tiled_batch_and_floats(tiny_bundle: Bundle, picture: Picture) -> None:
    content, style = picture(300, 410, 1)[None], picture(64, 64, 2)[None]
    whole, tiled = (Stylizer(tiny_bundle, max_tile_pixels=n) for n in (10**9, 65536))
    mean, std = whole.encode_style(style)
    moments = np.repeat(mean, 2, 0), np.repeat(std, 2, 0)
    found = tiled.decode(tiled.encode_content(content), *moments, [0.2, 1])
    expected = whole.decode(whole.encode_content(content), *moments, [0.2, 1])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_too_small_a_halo_would_be_seen(
    tiny_bundle: Bundle, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The networks do see so far: without the halo there are seams."""
    content = to_uint8(picture(403, 629, 1))[None]
    whole, tiled = (Stylizer(tiny_bundle, max_tile_pixels=n) for n in (10**9, 65536))
    style = whole.encode_style(content[:, ::-1])
    expected = whole.paint(whole.encode_content(content), *style)[0].astype(int)
    encoded = tiled.encode_content(content)
    plain = tiled._tiles
    monkeypatch.setattr(tiled, "_tiles", lambda c, halo=16: plain(c, halo))
    assert np.abs(tiled.paint(encoded, *style)[0] - expected).max() > 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "budget"),
    [
        ((997, 1501), 256 * 256),
        ((1000, 1500), 512 * 512),
        ((997, 1501), 900 * 640),
    ],
    ids=str,
)
def test_default_bundle_tiled_equals_untiled(
    picture: Picture, size: tuple[int, int], budget: int
) -> None:
    bundle = load_bundle("paper")
    content, style = to_uint8(picture(*size, 1))[None], picture(256, 256, 2)[None]
    whole = Stylizer(bundle, max_tile_pixels=10**9)
    tiled = Stylizer(bundle, max_tile_pixels=budget)
    moments = whole.encode_style(style)
    pictures = [
        stylizer.paint(stylizer.encode_content(content), *moments)[0].astype(int)
        for stylizer in (whole, tiled)
    ]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
