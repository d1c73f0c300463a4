"""Colour, noise, paper and light: what every painting is made on.

Colours are float32 RGB in [0, 1], images [height, width, 3], masks and height maps
[height, width]. Points are (x, y) in pixels, y downwards.
"""

import numpy as np
from PIL import Image

Shape = tuple[int, int]


def generator(seed: int) -> np.random.Generator:
    """Return the random stream of one painting, the same on every call."""
    return np.random.Generator(np.random.PCG64(seed))


def coordinates(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Return the x and y of every pixel, each float32 [height, width]."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return x, y


def colors(*codes: str) -> np.ndarray:
    """Return hexadecimal colours such as `"f4a259"` as float32 [count, 3]."""
    rows = [[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in codes]
    return np.array(rows, np.float32) / 255


def ramp(palette: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Interpolate along a palette.

    Args:
        palette: float32 [count, 3], evenly spaced over [0, 1].
        position: float [...], clipped to [0, 1].

    Returns:
        float32 [..., 3].
    """
    # A table of 1024 steps is far finer than 8 bits and five times faster than exact.
    stops, steps = np.linspace(0, 1, len(palette)), np.linspace(0, 1, 1024)
    table = np.stack(
        [np.interp(steps, stops, palette[:, i]) for i in range(3)], axis=-1
    )
    index = np.clip(np.asarray(position) * 1023 + 0.5, 0, 1023).astype(np.intp)
    return table.astype(np.float32)[index]


def mix(first: np.ndarray, second: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Blend two colours or images; `amount` [height, width] is the second's share."""
    share = np.asarray(amount, np.float32)[..., None]
    return first + (second - first) * share


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """Rise smoothly from 0 at `low` to 1 at `high` (falls where low > high)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def resize(field: np.ndarray, shape: Shape) -> np.ndarray:
    """Resample a float field [height, width] to another shape, bicubically."""
    image = Image.fromarray(np.ascontiguousarray(field, np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def noise(
    rng: np.random.Generator, shape: Shape, cell: float, stretch: float = 1.0
) -> np.ndarray:
    """Return smooth value noise, roughly in [-1, 1].

    Args:
        rng: The painting's random stream.
        shape: Height and width.
        cell: Size of a bump in pixels.
        stretch: How many times longer than high a bump is.
    """
    rows = max(2, round(shape[0] / cell)) + 3
    columns = max(2, round(shape[1] / cell / stretch)) + 3
    lattice = rng.uniform(-1, 1, (rows, columns))
    return resize(lattice, shape)


def fractal_noise(
    rng: np.random.Generator,
    shape: Shape,
    cell: float,
    octaves: int = 5,
    stretch: float = 1.0,
) -> np.ndarray:
    """Return noise of many scales, each half the size and weight, in [0, 1]."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        total += noise(rng, shape, max(cell / 2**octave, 1.0), stretch) / 2**octave
    low, high = np.quantile(total[::3, ::3], (0.01, 0.99))
    return np.clip((total - low) / (high - low), 0, 1)


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Blur [height, width] or [height, width, channels] with a Gaussian."""
    radius = max(1, round(2.5 * sigma))
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    result = np.asarray(field, np.float32)
    for axis in (0, 1):
        pad = [(0, 0)] * result.ndim
        pad[axis] = (radius, radius)
        padded = np.pad(result, pad, mode="edge")
        size = result.shape[axis]
        result = np.zeros_like(result)
        for start, weight in enumerate(kernel):
            window = [slice(None)] * result.ndim
            window[axis] = slice(start, start + size)
            result += weight * padded[tuple(window)]
    return result


def sample(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Look pixels up at real coordinates, bilinearly; the edge pixels continue."""
    height, width = image.shape[:2]
    x = np.clip(x, 0, width - 1.001)
    y = np.clip(y, 0, height - 1.001)
    left, top = x.astype(np.intp), y.astype(np.intp)
    fx, fy = x - left, y - top
    if image.ndim == 3:
        fx, fy = fx[..., None], fy[..., None]
    upper = image[top, left] * (1 - fx) + image[top, left + 1] * fx
    lower = image[top + 1, left] * (1 - fx) + image[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy


def light(
    image: np.ndarray, height: np.ndarray, depth: float = 1.0, gloss: float = 0.0
) -> np.ndarray:
    """Light a surface from the upper left.

    Args:
        image: float32 [height, width, 3].
        height: float32 [height, width], in pixels.
        depth: Factor on the height; larger is rougher.
        gloss: Strength of the highlight of wet or varnished paint.
    """
    slope_y, slope_x = np.gradient(height * depth)
    norm = np.sqrt(1 + slope_x**2 + slope_y**2)
    # Light from (-0.5, -0.6, 0.62); a flat surface keeps its colour.
    diffuse = (0.5 * slope_x + 0.6 * slope_y + 0.62) / norm / 0.62
    shaded = image * (0.45 + 0.55 * np.clip(diffuse, 0, 1.7))[..., None]
    if gloss:
        # Half vector between that light and a viewer straight above.
        half = (0.28 * slope_x + 0.33 * slope_y + 0.9) / norm
        shaded = (
            shaded
            + gloss
            * (np.clip(half, 0, 1) ** 60)[..., None]
            * (smoothstep(0.02, 0.4, np.hypot(slope_x, slope_y))[..., None])
        )
    return shaded


def weave(shape: Shape, pitch: float = 3.2) -> np.ndarray:
    """Return the height map of linen canvas, in [0, 1]."""
    x, y = coordinates(shape)
    across = np.sin(np.pi * x / pitch)
    down = np.sin(np.pi * y / pitch)
    return np.maximum(across * np.sign(down), down * np.sign(-across)) * 0.5 + 0.5


def paper(rng: np.random.Generator, shape: Shape, cell: float = 3.0) -> np.ndarray:
    """Return the grain of rough paper, in [0, 1]."""
    return 0.65 * fractal_noise(rng, shape, cell, 2) + 0.35 * fractal_noise(
        rng, shape, 4 * cell, 3
    )


def finish(image: np.ndarray) -> np.ndarray:
    """Return the image as uint8 RGB."""
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
