"""Colours of the content: kept exactly, or matched."""

import hypothesis
import numpy as np
from hypothesis import strategies as st
from PIL import Image

from model.adain.keep_colors import keep_chroma, match_colors


@hypothesis.given(seed=st.integers(0, 1000))
def test_chroma_stays_within_rounding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    content, stylized = rng.integers(0, 256, (2, 8, 8, 3), np.uint8)
    kept = keep_chroma(content, stylized)
    before, after = (
        np.asarray(Image.fromarray(image).convert("YCbCr")).astype(int)
        for image in (content, kept)
    )
    assert np.abs(after[..., 1:] - before[..., 1:]).max() <= 1


def test_luminance_is_the_stylized_one_where_it_fits(rng: np.random.Generator) -> None:
    content, stylized = rng.integers(100, 156, (2, 16, 16, 3), np.uint8)
    luma = [0.299, 0.587, 0.114]
    error = keep_chroma(content, stylized) @ luma - stylized @ luma
    assert np.abs(error).max() <= 0.51


def test_same_picture_stays(rng: np.random.Generator) -> None:
    content = rng.integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_array_equal(keep_chroma(content, content), content)


def colors(rng: np.random.Generator, mean: list[float], spread: float) -> np.ndarray:
    mix = rng.normal(0, spread, (3, 3))
    values = rng.normal(0, 1, (40, 50, 3)) @ mix + mean
    return np.clip(values, 0, 1).astype(np.float32)


def test_matched_colors_have_the_moments_of_the_content(
    rng: np.random.Generator,
) -> None:
    style, content = (
        colors(rng, mean, 0.03) for mean in ([0.3, 0.5, 0.6], [0.6, 0.5, 0.4])
    )
    before = style.copy()
    matched = match_colors(style, content)
    assert matched.dtype == np.float32
    np.testing.assert_array_equal(style, before)
    flat, wanted = matched.reshape(-1, 3), content.reshape(-1, 3)
    np.testing.assert_allclose(flat.mean(0), wanted.mean(0), atol=2e-3)
    np.testing.assert_allclose(np.cov(flat.T), np.cov(wanted.T), atol=1e-3)


def test_grey_style_is_matched_to_finite_colors(rng: np.random.Generator) -> None:
    grey = np.full((8, 8, 3), 0.5, np.float32)
    matched = match_colors(grey, colors(rng, [0.6, 0.2, 0.4], 0.05))
    assert np.isfinite(matched).all()
    assert matched.min() >= 0
    assert matched.max() <= 1
