"""How much fine detail a picture has: what total variation takes away."""

import numpy as np
import numpy.typing as npt


def high_frequency_energy(picture: npt.NDArray[np.uint8]) -> float:
    """Return the mean square of what a small blur removes from a picture.

    mean((x − b * x)²) with the binomial kernel b = [1 2 1]ᵀ[1 2 1] / 16 and reflected
    borders. The filter 1 − cos²(ω_y/2) cos²(ω_x/2) passes nothing of a flat region and
    all of a checkerboard of single pixels.

    Args:
        picture: uint8 RGB `[height, width, 3]`, at least 2 x 2.

    Returns:
        In grey levels of 255, squared; 0 where every pixel equals its neighbours.

    >>> checkers = np.indices((8, 8)).sum(0)[..., None].repeat(3, 2) % 2 * 20
    >>> high_frequency_energy(checkers.astype(np.uint8))
    100.0
    """
    x = picture.astype(np.float32)
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    blurred = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4
    return float(np.mean((x - blurred) ** 2, dtype=np.float64))
