"""The report of an evaluation: a table for machines and a page for people.

Both grow content by content and hold no picture that they will not show.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.adain.grid import Cell
from transforms.elements import Failure
from transforms.images.decoder import encode_image
from transforms.pages.render import data_url, render
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import sealed_writer
from transforms.storage.schemas import EVALUATION, FAILURES

Picture = npt.NDArray[np.float32]

# What the page shows of a large grid.
_SHOWN_CONTENTS: Final = 8
_SHOWN_STYLES: Final = 8
_SHOWN_EXTREMES: Final = 6


@dataclasses.dataclass(frozen=True, slots=True)
class Square:
    """A picture of the grid.

    Attributes:
        key: Key of the picture.
        read: Returns it, float32 RGB `[side, side, 3]` in [0, 1].
    """

    key: str
    read: Callable[[], Picture]

    @property
    def url(self) -> str:
        """The picture for a page."""
        return _picture_url(self.read())


@contextlib.contextmanager
def evaluation_table(
    output: OutputFolder, name: str
) -> Iterator[Callable[[Sequence[Cell], str, Sequence[str]], None]]:
    """Write a Parquet file of one row a result, some rows at a time.

    Yields:
        A function that appends the results of one content, with its key and the keys of
        all styles; `kind` tells pairs from the identity test.

    Raises:
        OSError: The file cannot be written.
    """
    with (
        output.create(name) as file,
        sealed_writer(file, EVALUATION) as writer,
    ):

        def append(cells: Sequence[Cell], content: str, styles: Sequence[str]) -> None:
            rows = [_row(cell, content, styles) for cell in cells]
            writer.write_table(pa.Table.from_pylist(rows, EVALUATION))

        yield append


def _row(cell: Cell, content: str, styles: Sequence[str]) -> dict[str, Any]:
    measured = cell.measured
    return {
        "kind": "identity" if cell.style is None else "pair",
        "content_key": content,
        "style_key": content if cell.style is None else styles[cell.style],
        "content_loss": measured.content_loss,
        "style_losses": list(measured.style_losses.items()),
        "style_loss": measured.style_loss,
        "total": measured.total,
        "ssim": measured.ssim,
        "rmse": measured.rmse,
        "mae": measured.mae,
        "photo_loss": measured.photo_loss,
    }


def failures_table(failures: Sequence[Failure]) -> pa.Table:
    """Return one row an image that could not be read."""
    rows = sorted((dataclasses.asdict(f) for f in failures), key=lambda r: r["key"])
    return pa.Table.from_pylist(rows, FAILURES)


class EvaluationPage:
    """The page, its pictures inside; equal results give equal bytes.

    Args:
        styles: Styles of the grid, in order.
    """

    def __init__(self, styles: Sequence[Square]) -> None:
        self._styles = styles
        self._rows: list[dict[str, Any]] = []
        self._identity: list[dict[str, Any]] = []
        self._lowest = _Extremes(1)
        self._highest = _Extremes(-1)

    def add(self, content: Square, cells: Sequence[Cell]) -> None:
        """Take what is worth showing of the results of a content."""
        pairs = [(cell.style, cell) for cell in cells if cell.style is not None]
        if len(self._rows) < _SHOWN_CONTENTS:
            results = [
                {"picture": _picture_url(cell.picture), "measured": cell.measured}
                for _, cell in pairs[:_SHOWN_STYLES]
            ]
            row = {"key": content.key, "content": content.url, "results": results}
            self._rows.append(row)
        for style, cell in pairs:
            for extremes in (self._lowest, self._highest):
                extremes.offer(
                    style,
                    cell.measured.total,
                    functools.partial(_figure, content, self._styles[style], cell),
                )
        for cell in cells:
            if cell.style is None and len(self._identity) < _SHOWN_EXTREMES:
                self._identity.append(_figure(content, content, cell))

    def html(self, summary: Mapping[str, Any]) -> bytes:
        """Return the page.

        Args:
            summary: What goes into `evaluation.json`.
        """
        styles = [
            {"key": style.key, "picture": style.url}
            for style in self._styles[:_SHOWN_STYLES]
        ]
        return render(
            "evaluate.html",
            summary=summary,
            styles=styles,
            rows=self._rows,
            best=self._lowest.figures(),
            worst=self._highest.figures(),
            identity=self._identity,
        )


class _Extremes:
    """The styles with the lowest (or highest) totals, one content of each.

    One of each, since one easy style would fill the list.

    Args:
        sign: 1 for the lowest, -1 for the highest.
    """

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._kept: dict[int, tuple[float, dict[str, Any]]] = {}

    def offer(
        self, style: int, total: float, make: Callable[[], dict[str, Any]]
    ) -> None:
        """Keep a result if it is one of the most extreme, and only then draw it."""
        rank = self._sign * total
        if style in self._kept:
            if rank < self._kept[style][0]:
                self._kept[style] = rank, make()
            return
        if len(self._kept) == _SHOWN_EXTREMES:
            last = max(self._kept, key=lambda kept: (self._kept[kept][0], kept))
            if rank >= self._kept[last][0]:
                return
            del self._kept[last]
        self._kept[style] = rank, make()

    def figures(self) -> list[dict[str, Any]]:
        """Return what was kept, the most extreme first."""
        order = sorted(self._kept.items(), key=lambda item: (item[1][0], item[0]))
        return [figure for _, (_, figure) in order]


def _figure(content: Square, style: Square, cell: Cell) -> dict[str, Any]:
    return {
        "content_key": content.key,
        "style_key": style.key,
        "content": content.url,
        "style": style.url,
        "result": _picture_url(cell.picture),
        "measured": cell.measured,
    }


def _picture_url(picture: Picture) -> str:
    pixels = np.rint(picture * np.float32(255)).astype(np.uint8)
    return data_url(encode_image(pixels, "jpg", quality=85))
