"""Brush strokes with bristles, laid one by one on a canvas that keeps its relief."""

import dataclasses

import numpy as np

from paintbox.surface import Shape, coordinates, generator, light, noise

_BRISTLES = 64  # across a brush
_REACH = 256  # samples along a stroke


def _bristle_texture() -> np.ndarray:
    """Return how much paint each bristle leaves along its way, in [0, 1]."""
    rng = generator(1)
    shape = (4 * _BRISTLES, _REACH)
    streaks = noise(rng, shape, 4, stretch=40) + 0.6 * noise(rng, shape, 2, stretch=24)
    return np.clip(0.5 + 0.5 * streaks, 0, 1).astype(np.float32)


@dataclasses.dataclass
class Canvas:
    """Paint on a support.

    Attributes:
        color: float32 [height, width, 3].
        relief: float32 [height, width], thickness of the paint in pixels.
        tooth: None, or float32 [height, width] in [0, 1]: the grain of a dry support,
            which takes colour on its tops only.
    """

    color: np.ndarray
    relief: np.ndarray
    tooth: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Keep one bristle texture for all strokes."""
        self._bristles = _bristle_texture()

    @classmethod
    def primed(cls, shape: Shape, color: np.ndarray) -> "Canvas":
        """Return a canvas covered evenly with one colour."""
        ground = np.broadcast_to(color, (*shape, 3)).astype(np.float32).copy()
        return cls(ground, np.zeros(shape, np.float32))

    def stroke(
        self,
        x: float,
        y: float,
        angle: float,
        length: float,
        width: float,
        color: np.ndarray,
        *,
        bend: float = 0.0,
        load: float = 1.0,
        opacity: float = 1.0,
        ragged: float = 0.35,
        ridge: float = 0.0,
        streak: float = 0.12,
        lane: int = 0,
    ) -> None:
        """Lay one stroke.

        Args:
            x: Centre of the stroke.
            y: Centre of the stroke.
            angle: Direction in radians.
            length: Along the direction, in pixels.
            width: Across it, in pixels.
            color: float32 [3].
            bend: Curvature in 1/pixels.
            load: Thickness of the paint in pixels.
            opacity: In [0, 1].
            ragged: How unevenly the bristles end, in [0, 1].
            ridge: 0 for a brush, up to 1 for a knife that pushes paint to its edges.
            streak: How much the bristles differ in tone.
            lane: Which of the four brushes, by its bristles.
        """
        cos, sin = np.cos(angle), np.sin(angle)
        sag = abs(bend) * length**2 / 8
        half_u, half_v = length / 2 + 1, width / 2 + sag + 1
        reach_x = abs(cos) * half_u + abs(sin) * half_v
        reach_y = abs(sin) * half_u + abs(cos) * half_v
        height, columns = self.relief.shape
        left, right = max(0, int(x - reach_x)), min(columns, int(x + reach_x) + 2)
        top, bottom = max(0, int(y - reach_y)), min(height, int(y + reach_y) + 2)
        if left >= right or top >= bottom:
            return
        dx = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(x)
        dy = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
        u = dx * np.float32(cos) + dy * np.float32(sin)
        v = dy * np.float32(cos) - dx * np.float32(sin)
        if bend:
            v -= np.float32(bend / 2) * u * u
        across = v * np.float32(1 / width) + 0.5
        along = u * np.float32(1 / length) + 0.5
        # np.clip's own overhead would be a fifth of a small stroke.
        row = np.minimum(np.maximum(across * _BRISTLES, 0), _BRISTLES - 1)
        column = np.minimum(np.maximum(along * _REACH, 0), _REACH - 1)
        bristle = self._bristles[
            row.astype(np.intp) + lane % 4 * _BRISTLES, column.astype(np.intp)
        ]
        edge = np.float32(width) * (0.5 - np.abs(across - 0.5))
        end = np.float32(length) * (0.5 - np.abs(along - 0.5) - ragged * 0.3 * bristle)
        alpha = np.minimum(np.maximum(np.minimum(edge, 0.6 * end), 0), 1)
        alpha *= np.float32(opacity)
        box = (slice(top, bottom), slice(left, right))
        if self.tooth is not None:
            alpha *= np.clip((self.tooth[box] + 0.5 * bristle - 0.65) * 4, 0, 1)
        tone = (1 + streak * (bristle - 0.5) * 2)[..., None]
        patch = self.color[box]
        patch += (np.asarray(color, np.float32) * tone - patch) * alpha[..., None]
        profile = (1 - ridge) * (0.4 + 0.6 * bristle)
        if ridge:
            profile = profile + ridge * (
                0.2 + np.abs(2 * across - 1) ** 4 + 0.5 * along
            )
        relief = self.relief[box]
        relief += (np.float32(load) * profile - 0.5 * relief) * alpha

    def lit(self, depth: float = 1.0, gloss: float = 0.0) -> np.ndarray:
        """Return the painting as seen under light from the upper left."""
        return light(self.color, self.relief, depth, gloss)


def scatter(rng: np.random.Generator, shape: Shape, spacing: float) -> np.ndarray:
    """Return (x, y) points on a jittered grid in random order, float [count, 2]."""
    rows, columns = round(shape[0] / spacing) + 1, round(shape[1] / spacing) + 1
    row, column = np.mgrid[:rows, :columns]
    points = np.stack([column.ravel(), row.ravel()], axis=1) * spacing
    points = points + rng.uniform(-0.6, 0.6, points.shape) * spacing
    return points[rng.permutation(len(points))]


def pixel(field: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return the value of a field at the pixel nearest to a point."""
    row = min(max(int(y), 0), field.shape[0] - 1)
    column = min(max(int(x), 0), field.shape[1] - 1)
    return field[row, column]


def curvature(angles: np.ndarray) -> np.ndarray:
    """Return how fast the streamlines of a direction field turn, in 1/pixels."""
    cos, sin = np.cos(angles), np.sin(angles)
    cos_y, cos_x = np.gradient(cos)
    sin_y, sin_x = np.gradient(sin)
    turn_cos = cos * cos_x + sin * cos_y
    turn_sin = cos * sin_x + sin * sin_y
    return cos * turn_sin - sin * turn_cos


def vortex_angles(shape: Shape, vortices: list[tuple[float, ...]]) -> np.ndarray:
    """Return the direction field of whirls in a current that runs to the right.

    Args:
        shape: Height and width.
        vortices: (x, y, radius, strength) each; where the strength is negative, it
            turns the other way.
    """
    x, y = coordinates(shape)
    flow_x, flow_y = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    for center_x, center_y, radius, strength in vortices:
        dx, dy = x - center_x, y - center_y
        distance = np.hypot(dx, dy) + 1e-3
        pull = strength * np.exp(-((distance / radius) ** 2))
        flow_x += -dy / distance * pull
        flow_y += dx / distance * pull
    return np.arctan2(flow_y, flow_x)


def paint_over(
    canvas: Canvas,
    rng: np.random.Generator,
    reference: np.ndarray,
    angles: np.ndarray,
    spacing: float,
    length: float,
    width: float,
    *,
    jitter: float = 0.06,
    wander: float = 0.15,
    where: np.ndarray | None = None,
    **stroke: float,
) -> None:
    """Cover a canvas with strokes that take their colour from a reference image.

    Args:
        canvas: Painted on.
        rng: The painting's random stream.
        reference: float32 [height, width, 3], what is depicted.
        angles: float32 [height, width], directions in radians.
        spacing: Distance between strokes in pixels.
        length: Length of a stroke; each differs by up to 40 %.
        width: Width of a stroke; each differs by up to 30 %.
        jitter: How much a stroke's colour departs from the reference.
        wander: How much its direction departs, in radians.
        where: Optional [height, width] probability that a stroke is laid.
        **stroke: Passed to `Canvas.stroke`.
    """
    turn = curvature(angles)
    for x, y in scatter(rng, reference.shape[:2], spacing):
        shift = rng.normal(0, jitter, 3) * 0.5 + rng.normal(0, jitter)
        size = rng.uniform(0.6, 1.4) * length
        breadth = rng.uniform(0.7, 1.3) * width
        tilt, chance, lane = rng.normal(0, wander), rng.random(), rng.integers(4)
        if where is not None and chance >= pixel(where, x, y):
            continue
        canvas.stroke(
            x,
            y,
            pixel(angles, x, y) + tilt,
            size,
            breadth,
            pixel(reference, x, y) + shift,
            bend=min(max(float(pixel(turn, x, y)), -1.6 / size), 1.6 / size),
            lane=int(lane),
            **stroke,
        )
