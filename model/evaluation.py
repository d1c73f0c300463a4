"""One ruler for every bundle: losses that can be compared, on a fixed grid.

The features are always those of one encoder, the ruler's, whatever bundle made the
pictures.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from model.pixels import Images
from model.quality import Goal, Measurement, Ruler
from model.stylizer import Stylizer

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
    """Every content with every style, and every content with itself.

    Args:
        ruler: Measures the results.
        contents: float32 RGB `[height, width, 3]` in [0, 1] each, of one size.
        styles: Likewise.
    """

    def __init__(
        self, ruler: Ruler, contents: Sequence[Images], styles: Sequence[Images]
    ) -> None:
        self.ruler = ruler
        self.contents = contents
        self.styles = styles
        # Once: the pictures stay while the decoder changes.
        self._seen_contents = [ruler.look(image) for image in contents]
        self._goals = [Goal(ruler.look(image).moments) for image in styles]

    def __len__(self) -> int:
        return len(self.contents) * (len(self.styles) + 1)

    def evaluate(self, stylizer: Stylizer) -> Iterator[Cell]:
        """Stylize and measure the grid, content by content, its identity test last."""
        moments = [stylizer.encode_style(image[None]) for image in self.styles]
        for index, image in enumerate(self.contents):
            content = stylizer.encode_content(image[None])
            seen = self._seen_contents[index]
            for first in range(0, len(self.styles), _BLOCK):
                block = range(first, min(first + _BLOCK, len(self.styles)))
                pictures = stylizer.decode(
                    content,
                    np.concatenate([moments[i][0] for i in block]),
                    np.concatenate([moments[i][1] for i in block]),
                )
                for i, picture in zip(block, pictures, strict=True):
                    measured = self.ruler.measure(picture, seen, self._goals[i])
                    yield Cell(index, i, picture, measured)
            # AdaIN(x, x) = x, so what differs is the decoder's own loss.
            (picture,) = stylizer.decode(content, *stylizer.encode_style(image[None]))
            measured = self.ruler.measure(picture, seen, Goal(seen.moments))
            yield Cell(index, None, picture, measured)


def summarize(cells: Sequence[Cell]) -> dict[str, float]:
    """Return the means over a grid: what decoders are compared by.

    Returns:
        `total` (content + 10 · style), `content`, `style`, `style/<layer>` and `ssim`
        over the stylized; `identity_ssim` and `identity_rmse` over the identity test.
    """
    stylized = [cell.measured for cell in cells if cell.style is not None]
    identity = [cell.measured for cell in cells if cell.style is None]
    layers = stylized[0].style_losses
    return {
        "total": _mean([m.total for m in stylized]),
        "content": _mean([m.content_loss for m in stylized]),
        "style": _mean([m.style_loss for m in stylized]),
        **{
            f"style/{layer}": _mean([m.style_losses[layer] for m in stylized])
            for layer in layers
        },
        "ssim": _mean([m.ssim for m in stylized]),
        "identity_ssim": _mean([m.ssim for m in identity]),
        "identity_rmse": _mean([m.rmse for m in identity]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(np.asarray(values, np.float64)))
