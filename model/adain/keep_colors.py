"""Keeping the colours of the content: by luminance, or by matching the style's."""

from typing import Final

import numpy as np
import numpy.typing as npt

# Luma of JPEG: ITU-R BT.601.
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)

# A grey style has no spread in two directions of colour, and no inverse.
_EPSILON: Final = 1e-5


def keep_chroma(
    content: npt.NDArray[np.uint8], stylized: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Give a content the luminance of its stylized picture.

    With equal Cb and Cr, red, green and blue all differ by what the luma differs: so
    the difference is added to each. Where it would leave [0, 255] it is cut for all
    three, and Cb and Cr stay: Gatys et al. 2016, "Preserving color in neural artistic
    style transfer", section 4, https://arxiv.org/abs/1606.05897, who clip instead.

    Args:
        content: uint8 RGB `[height, width, 3]`.
        stylized: uint8 RGB of the same shape.

    Returns:
        uint8 RGB of the same shape, whose Cb and Cr are the content's within rounding.
    """
    colors = content.astype(np.float32)
    difference = (stylized.astype(np.float32) - colors) @ _LUMA
    low, high = -colors.min(-1), 255 - colors.max(-1)
    shift = np.clip(np.rint(difference), low, high)
    return (colors + shift[..., None]).astype(np.uint8)


def match_colors(
    style: npt.NDArray[np.float32], content: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Recolour a style so that its colours spread as the content's (CORAL).

    x' = S_c^(1/2) S_s^(-1/2) (x - mu_s) + mu_c, with S the covariance of the colours:
    Sun et al. 2016, https://arxiv.org/abs/1511.05547, and Gatys et al. 2016, eq. 6 of
    the paper above, with symmetric roots, so that colours move as little as can be.

    Args:
        style: float32 RGB `[height, width, 3]` in [0, 1].
        content: float32 RGB `[any height, any width, 3]` in [0, 1].

    Returns:
        float32 RGB of the style's shape in [0, 1], clipped.
    """
    style_mean, style_cov = _color_moments(style)
    content_mean, content_cov = _color_moments(content)
    matrix = _power(content_cov, 0.5) @ _power(style_cov, -0.5)
    recolored = (style.reshape(-1, 3) - style_mean) @ matrix.T + content_mean
    return np.clip(recolored, 0, 1).astype(np.float32).reshape(style.shape)


def _color_moments(
    image: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    colors = image.reshape(-1, 3).astype(np.float64)
    return colors.mean(0), np.cov(colors.T, bias=True) + _EPSILON * np.eye(3)


def _power(matrix: npt.NDArray[np.float64], exponent: float) -> npt.NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T
