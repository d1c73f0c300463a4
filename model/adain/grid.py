"""One ruler for every bundle: losses that can be compared, on a fixed grid.

The features are always those of one encoder, the ruler's, whatever bundle made the
pictures.
"""

import collections
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from model.adain.ruler import Goal, Measurement, Ruler
from model.adain.stylizer import Stylizer
from model.pixels import Images

# Styles decoded at a time; more gain nothing at 256 px and cost memory.
_BLOCK: Final = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One result of a grid.

    Attributes:
        content: Index of the content.
        style: Index of the style; None in the identity test, where a picture is its
            own style and should come out as it went in.
        picture: The result, float32 RGB `[height, width, 3]` in [0, 1].
        measured: What it measures.
    """

    content: int
    style: int | None
    picture: Images
    measured: Measurement


class Grid:
    """Styles, and the contents that are stylized with all of them and with themselves.

    Contents come one at a time, and of a style only its statistics are kept: a grid may
    have any number of either.

    Args:
        ruler: Measures the results.
        stylizer: The networks to judge.
        styles: float32 RGB `[height, width, 3]` in [0, 1] each.
    """

    def __init__(
        self, ruler: Ruler, stylizer: Stylizer, styles: Iterable[Images]
    ) -> None:
        self.ruler = ruler
        self._stylizer = stylizer
        self._vectors: list[tuple[Images, Images]] = []
        self._goals: list[Goal] = []
        for image in styles:
            self._vectors.append(stylizer.encode_style(image[None]))
            self._goals.append(Goal(ruler.look(image).moments))

    def __len__(self) -> int:
        return len(self._goals)

    def cells(self, content: int, image: Images) -> Iterator[Cell]:
        """Stylize and measure one content; its identity test comes last.

        Args:
            content: Index of the content.
            image: float32 RGB `[height, width, 3]` in [0, 1].
        """
        encoded = self._stylizer.encode_content(image[None])
        seen = self.ruler.look(image)
        for first in range(0, len(self), _BLOCK):
            block = range(first, min(first + _BLOCK, len(self)))
            mean, std = (
                np.concatenate([self._vectors[i][part] for i in block])
                for part in (0, 1)
            )
            pictures = self._stylizer.decode(encoded, mean, std)
            for i, picture in zip(block, pictures, strict=True):
                measured = self.ruler.measure(picture, seen, self._goals[i])
                yield Cell(content, i, picture, measured)
        # AdaIN(x, x) = x, so what differs is the decoder's own loss.
        itself = self._stylizer.encode_style(image[None])
        (picture,) = self._stylizer.decode(encoded, *itself)
        measured = self.ruler.measure(picture, seen, Goal(seen.moments))
        yield Cell(content, None, picture, measured)


class Means:
    """The means over a grid, cell by cell: what decoders are compared by."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, cell: Cell) -> None:
        """Count a result in."""
        m = cell.measured
        if cell.style is None:
            values = {
                "identity_ssim": m.ssim,
                "identity_rmse": m.rmse,
                "identity_mae": m.mae,
            }
        else:
            values = {
                "total": m.total,
                "content": m.content_loss,
                "photo": m.photo_loss,
                "style": m.style_loss,
                **{f"style/{tap}": loss for tap, loss in m.style_losses.items()},
                "ssim": m.ssim,
            }
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._counts.update(values.keys())

    def result(self) -> dict[str, float]:
        """Return the means.

        Returns:
            `total` (content + 10 · style), `content`, `photo` (content against the
            photograph itself), `style`, `style/<layer>` and `ssim` over the stylized;
            `identity_ssim`, `identity_rmse` and `identity_mae` over the identity test.
        """
        return {name: sum_ / self._counts[name] for name, sum_ in self._sums.items()}
