"""Hard-edged shapes: stencils, cells, outlines, and curves."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from paintbox.surface import Shape

Points = Iterable[Sequence[float]]


class Stencil:
    """A mask made of drawn shapes, anti-aliased by drawing it larger."""

    def __init__(self, shape: Shape, scale: int = 2) -> None:
        self._shape, self._scale = shape, scale
        self._image = Image.new("L", (shape[1] * scale, shape[0] * scale))
        self._draw = ImageDraw.Draw(self._image)

    def _scaled(self, points: Points) -> list[tuple[float, float]]:
        return [(x * self._scale, y * self._scale) for x, y in points]

    def polygon(self, points: Points, value: int = 255) -> None:
        """Fill a polygon given by its (x, y) corners."""
        self._draw.polygon(self._scaled(points), fill=value)

    def line(self, points: Points, width: float, value: int = 255) -> None:
        """Draw a line through (x, y) points."""
        pixels = max(1, round(width * self._scale))
        self._draw.line(self._scaled(points), fill=value, width=pixels, joint="curve")

    def disc(self, x: float, y: float, radius: float, value: int = 255) -> None:
        """Fill a disc."""
        box = [(x - radius, y - radius), (x + radius, y + radius)]
        self._draw.ellipse(self._scaled(box), fill=value)

    def ring(self, x: float, y: float, radius: float, width: float) -> None:
        """Draw a circle."""
        box = [(x - radius, y - radius), (x + radius, y + radius)]
        pixels = max(1, round(width * self._scale))
        self._draw.ellipse(self._scaled(box), outline=255, width=pixels)

    def thread(self, points: np.ndarray, widths: np.ndarray) -> None:
        """Draw a line of varying width with round ends."""
        for start, end, width in zip(points[:-1], points[1:], widths, strict=False):
            self.line([start, end], width)
            self.disc(*end, width / 2)

    def mask(self) -> np.ndarray:
        """Return what was drawn as float32 [height, width] in [0, 1]."""
        small = self._image.reduce(self._scale)
        return np.asarray(small, np.float32) / 255


def smooth_curve(points: np.ndarray, steps: int = 12) -> np.ndarray:
    """Return a Catmull-Rom curve through (x, y) points, float [count, 2]."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in zip(
            padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True
        )
    ]
    return np.concatenate([*pieces, points[-1:]])


def leaf(x: float, y: float, angle: float, length: float, width: float) -> np.ndarray:
    """Return the outline of a pointed leaf that grows from (x, y), [24, 2]."""
    t = np.linspace(0, 1, 12)
    side = np.sin(np.pi * t**0.8) * width / 2
    along = np.concatenate([t, t[::-1]]) * length
    across = np.concatenate([side, -side[::-1]])
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([x + along * cos - across * sin, y + along * sin + across * cos], 1)


def cells(
    rng: np.random.Generator,
    x: np.ndarray,
    y: np.ndarray,
    size: float,
    *,
    jitter: float = 0.45,
    angles: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Divide the plane into Voronoi cells around a jittered grid of centres.

    Args:
        rng: The painting's random stream.
        x: float [height, width], where to look (pixels, or warped pixels).
        y: float [height, width].
        size: Distance between centres in pixels.
        jitter: How far a centre leaves its place, in units of `size`.
        angles: Optional directions [height, width]: then cells are near squares
            turned that way (the distance is Chebyshev's), else round (Euclid's).

    Returns:
        The cell's number, the distance to its centre, the gap to the second nearest
        centre (0 on a border), each [height, width]; and the centres (x, y) by number,
        float [count, 2].
    """
    columns = int(x.max() / size) + 6
    rows = int(y.max() / size) + 6
    grid_y, grid_x = np.mgrid[-2 : rows - 2, -2 : columns - 2]
    centers = np.stack([grid_x, grid_y], axis=-1) + 0.5
    centers = (centers + rng.uniform(-jitter, jitter, centers.shape)) * size
    centers = centers.astype(np.float32)
    if angles is not None:
        at_x = np.clip(centers[..., 0], 0, angles.shape[1] - 1).astype(np.intp)
        at_y = np.clip(centers[..., 1], 0, angles.shape[0] - 1).astype(np.intp)
        cos, sin = np.cos(angles[at_y, at_x]), np.sin(angles[at_y, at_x])
    home_x = np.clip((x / size).astype(np.intp) + 2, 1, columns - 2)
    home_y = np.clip((y / size).astype(np.intp) + 2, 1, rows - 2)
    nearest = np.full(x.shape, np.inf, np.float32)
    second = nearest.copy()
    number = np.zeros(x.shape, np.intp)
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            row, column = home_y + step_y, home_x + step_x
            dx = x - centers[row, column, 0]
            dy = y - centers[row, column, 1]
            if angles is None:
                distance = np.hypot(dx, dy)
            else:
                c, s = cos[row, column], sin[row, column]
                distance = np.maximum(np.abs(dx * c + dy * s), np.abs(dy * c - dx * s))
            closer = distance < nearest
            second = np.minimum(second, np.where(closer, nearest, distance))
            number = np.where(closer, row * columns + column, number)
            nearest = np.where(closer, distance, nearest)
    return number, nearest, second - nearest, centers.reshape(-1, 2)


def borders(labels: np.ndarray) -> np.ndarray:
    """Return 1.0 where a pixel's label differs from its right or lower neighbour's."""
    edge = np.zeros(labels.shape, np.float32)
    edge[:, :-1] = labels[:, :-1] != labels[:, 1:]
    edge[:-1] = np.maximum(edge[:-1], labels[:-1] != labels[1:])
    return edge


def spiral(
    dx: np.ndarray, dy: np.ndarray, pitch: float, turn: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return an Archimedean spiral's phase in [0, 1) and the distance to its centre.

    Args:
        dx: float [height, width], pixels to the right of the centre.
        dy: float [height, width], pixels below it.
        pitch: Distance between two arms.
        turn: Where the arm starts, in radians; negate `dx` to wind the other way.
    """
    distance = np.hypot(dx, dy)
    return (distance / pitch - (np.arctan2(dy, dx) + turn) / (2 * np.pi)) % 1, distance


def pack_discs(
    rng: np.random.Generator, shape: Shape, radii: Sequence[float], tries: int = 400
) -> list[tuple[float, float, float]]:
    """Throw discs that do not touch, larger ones first; return (x, y, radius) each."""
    placed: list[tuple[float, float, float]] = []
    for radius in radii:
        for x, y in rng.uniform(0, 1, (tries, 2)) * (shape[1], shape[0]):
            if all(np.hypot(x - a, y - b) > radius + r + 2 for a, b, r in placed):
                placed.append((float(x), float(y), float(radius)))
    return placed
