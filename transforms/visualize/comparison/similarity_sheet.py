"""The sheet of the similarity of layers: two matrices with their numbers."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from model.attribution.similarity import Similarity
from transforms.visualize import canvas
from transforms.visualize.canvas import MARGIN, Canvas
from transforms.visualize.comparison.settings import Comparison
from transforms.visualize.sheet import Sheet, Tile, sheet_path

CKA: Final = "cka"
DEBIASED: Final = "debiased"

_TITLES: Final = {CKA: "linear CKA", DEBIASED: "debiased"}

_CELL: Final = 42
_NAMES: Final = 96
_DARK: Final = (22, 22, 22)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """How alike the layers of two networks are.

    Attributes:
        labels: What the networks are called.
        rows: Layers of the first.
        columns: Layers of the second.
        values: For each row, how alike each column is; None where a layer gives the
            same for every example.
        images: Number of photographs.
        examples: Number of examples, the cells of all photographs.
    """

    labels: tuple[str, str]
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[Similarity | None]]
    images: int
    examples: int


def draw_similarity(matrix: Matrix) -> Sheet:
    """Draw linear CKA and, beside it, its debiased estimate, with their numbers."""
    wide = _NAMES + len(matrix.columns) * _CELL
    tall = 64 + len(matrix.rows) * _CELL
    sheet = Canvas(2 * MARGIN + 2 * wide + 24, MARGIN + 46 + tall + MARGIN)
    down, across = matrix.labels
    sheet.write(f"Layers of {down}, downwards, and of {across}", MARGIN, MARGIN, 15)
    sheet.write(
        f"{matrix.examples} examples: the cells of {matrix.images} photographs",
        MARGIN,
        MARGIN + 22,
        12,
        canvas.SOFT,
    )
    tiles = []
    parts: list[tuple[str, Callable[[Similarity], float | None]]] = [
        (CKA, lambda found: found.cka),
        (DEBIASED, lambda found: found.debiased),
    ]
    for place, (part, value_of) in enumerate(parts):
        box = (MARGIN + place * (wide + 24), MARGIN + 46, wide, tall)
        values = [
            [None if found is None else value_of(found) for found in row]
            for row in matrix.values
        ]
        _draw_matrix(sheet, box, _TITLES[part], matrix, values)
        known = [v for row in values for v in row if v is not None] or [0.0]
        tiles.append(Tile("", box, part=part, minimum=min(known), maximum=max(known)))
    facts = {
        "channel": None,
        "networks": list(matrix.labels),
        "rows": list(matrix.rows),
        "columns": list(matrix.columns),
        "images": matrix.images,
        "examples": matrix.examples,
        CKA: [[None if f is None else f.cka for f in row] for row in matrix.values],
        DEBIASED: [
            [None if f is None else f.debiased for f in row] for row in matrix.values
        ],
    }
    kind = Comparison.SIMILARITY
    path = sheet_path("", kind, "")
    return Sheet(path, kind, "", "", sheet.png(), sheet.size, tiles, None, [facts])


def _draw_matrix(
    sheet: Canvas,
    box: tuple[int, int, int, int],
    title: str,
    matrix: Matrix,
    values: Sequence[Sequence[float | None]],
) -> None:
    left, top, _, _ = box
    sheet.write(title, left, top, 13)
    for column, name in enumerate(matrix.columns):
        at = left + _NAMES + column * _CELL
        sheet.write(_short(name), at + 4, top + 40, 11, canvas.SOFT)
    for row, name in enumerate(matrix.rows):
        y = top + 62 + row * _CELL
        sheet.write(_short(name), left, y + _CELL // 2 - 8, 11, canvas.SOFT)
        for column, value in enumerate(values[row]):
            spot = (left + _NAMES + column * _CELL, y, _CELL - 2, _CELL - 2)
            _draw_cell(sheet, spot, value)


def _draw_cell(
    sheet: Canvas, spot: tuple[int, int, int, int], value: float | None
) -> None:
    if value is None:
        sheet.cross_out(spot, "none")
        return
    left, top, width, height = spot
    colour = canvas.viridis(np.array(value))
    sheet.paste(np.broadcast_to(colour, (height, width, 3)), left, top)
    ink: Any = _DARK if value > 0.5 else canvas.INK
    sheet.write(f"{value:.2f}", left + 7, top + height // 2 - 8, 11, ink)


def _short(name: str) -> str:
    """Return the name of a layer as the galleries say it on buttons.

    >>> _short("block4_conv1"), _short("other")
    ('4.1', 'other')
    """
    return re.sub(r"^block(\d+)_conv(\d+)$", r"\1.\2", name)
