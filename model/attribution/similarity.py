"""How alike two layers are: linear CKA, over any number of examples in flat memory.

Kornblith et al. 2019, https://arxiv.org/abs/1905.00414, section 3, with X [n, p] and
Y [n, q] the activations of two layers for the same n examples, columns centred:

    CKA(X, Y) = |Yᵀ X|² / (|Xᵀ X| |Yᵀ Y|),  | | the Frobenius norm.

It is 1 where one is a rotation of the other times a number. Unrelated layers do not
reach 0 unless n is far larger than p and q: about √(p q / ((n + p) (n + q))) if all
directions are as strong. So the same quotient of unbiased estimates stands beside it
(Song et al. 2012, https://jmlr.org/papers/v13/song12a.html, equation 5, in the form of
Kornblith's code), which is 0 on average for unrelated ones.

All that both need are sums over examples, so batches are added up, in float64.
"""

import dataclasses
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Sums = npt.NDArray[np.float64]

# Below this share of what it was before it was centred, a spread is rounding.
_NOTHING: Final = 1e-12

# The unbiased estimate divides by n - 3, after Song et al.
FEWEST_EXAMPLES: Final = 4


class Similarity(NamedTuple):
    """How alike two layers are.

    Attributes:
        cka: Linear CKA, in [0, 1].
        debiased: The quotient of the unbiased estimates, at most about 1; may be below
            0. None where it has no value.
    """

    cka: float
    debiased: float | None


class Covariation(NamedTuple):
    """How much two layers vary together.

    Attributes:
        plain: |Yᵀ X|² of the centred columns.
        unbiased: Its unbiased estimate; None for fewer than `FEWEST_EXAMPLES`.
        varies: Whether neither layer gives the same for every example.
    """

    plain: float
    unbiased: float | None
    varies: bool


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PairSums:
    """Sums over examples of two layers, x [p] and y [q] of each.

    Attributes:
        count: n, how many examples.
        x: Σ x, float64 [p].
        y: Σ y, float64 [q].
        xy: Σ x yᵀ, float64 [p, q].
        xx: Σ |x|².
        yy: Σ |y|².
        x_yy: Σ x |y|², float64 [p].
        y_xx: Σ y |x|², float64 [q].
        xx_yy: Σ |x|² |y|².
    """

    count: int
    x: Sums
    y: Sums
    xy: Sums
    xx: float
    yy: float
    x_yy: Sums
    y_xx: Sums
    xx_yy: float

    @classmethod
    def of(cls, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> "PairSums":
        """Return the sums of a batch.

        Numbers far from 0 beside their spread lose digits: take something near their
        mean off before, the same of every batch. Nothing else changes.

        Args:
            x: float [n, p], activations of one layer.
            y: float [n, q], those of the other for the same examples.
        """
        x, y = (np.asarray(one, np.float64) for one in (x, y))
        xx, yy = ((one**2).sum(axis=1) for one in (x, y))
        return cls(
            len(x),
            x.sum(axis=0),
            y.sum(axis=0),
            x.T @ y,
            float(xx.sum()),
            float(yy.sum()),
            yy @ x,
            xx @ y,
            float(xx @ yy),
        )

    def __add__(self, other: "PairSums") -> "PairSums":
        """Return the sums of the examples of both."""
        mine, theirs = (
            [getattr(one, field.name) for field in dataclasses.fields(PairSums)]
            for one in (self, other)
        )
        return PairSums(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def covariation(self) -> Covariation:
        """Return how much the two layers vary together.

        Factors that are those of every pair of layers are left out.
        """
        n, mean_x, mean_y = self.count, self.x / self.count, self.y / self.count
        centred = self.xy - n * np.outer(mean_x, mean_y)
        plain = float((centred**2).sum())
        if n < FEWEST_EXAMPLES:
            return Covariation(plain, None, self._varies)
        # Of the centred rows x': Σ |x'|², Σ |y'|² and Σ |x'|² |y'|².
        mx, my = float(mean_x @ mean_x), float(mean_y @ mean_y)
        xx, yy = self.xx - n * mx, self.yy - n * my
        both = (
            self.xx_yy
            - 2 * float(mean_y @ self.y_xx)
            - 2 * float(mean_x @ self.x_yy)
            + my * self.xx
            + mx * self.yy
            + 4 * float(mean_x @ self.xy @ mean_y)
            - 3 * n * mx * my
        )
        taken = n / (n - 2) * both - xx * yy / ((n - 1) * (n - 2))
        return Covariation(plain, plain - taken, self._varies)

    @property
    def _varies(self) -> bool:
        spread_x = self.xx - float(self.x @ self.x) / self.count
        spread_y = self.yy - float(self.y @ self.y) / self.count
        return spread_x > _NOTHING * self.xx and spread_y > _NOTHING * self.yy


def linear_cka(
    between: Covariation, x: Covariation, y: Covariation
) -> Similarity | None:
    """Return how alike two layers are.

    Args:
        between: How they vary together, over all examples.
        x: How the first varies with itself.
        y: How the second varies with itself.

    Returns:
        None where one of them gives the same for every example.
    """
    if not between.varies:
        return None
    free = None
    if between.unbiased is not None and x.unbiased and y.unbiased:
        product = x.unbiased * y.unbiased
        if min(x.unbiased, y.unbiased) > 0:
            free = float(between.unbiased / np.sqrt(product))
    return Similarity(float(between.plain / np.sqrt(x.plain * y.plain)), free)


def pooled_examples(features: npt.NDArray[Any], side: int) -> npt.NDArray[np.float32]:
    """Return a layer's activations in the cells of a grid, an example each.

    A cell is the mean of what it covers of the map; a place that several cells share
    counts in each by its share. So cells of layers of unequal size are examples of the
    same parts of a picture. Where a map has fewer places than the grid, they repeat.

    Args:
        features: float [height, width, channels].
        side: Cells on each side.

    Returns:
        float32 [side², channels], row by row.
    """
    height, width, channels = features.shape
    rows, columns = _cells(height, side), _cells(width, side)
    exact = np.asarray(features, np.float64)
    narrow = np.tensordot(rows, exact, axes=(1, 0))
    cells = np.tensordot(columns, narrow, axes=(1, 1)).transpose(1, 0, 2)
    return cells.reshape(side * side, channels).astype(np.float32)


def _cells(length: int, side: int) -> npt.NDArray[np.float64]:
    """Return how much each cell takes of each place: [side, length], rows sum to 1."""
    edges = np.arange(side + 1) * length / side
    places = np.arange(length)
    low = np.maximum(edges[:-1, None], places)
    high = np.minimum(edges[1:, None], places + 1)
    return np.maximum(high - low, 0) * side / length
