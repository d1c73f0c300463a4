"""The report of an evaluation: a table for machines and a page for people."""

import base64
import dataclasses
import functools
import importlib.resources
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jinja2
import numpy as np
import pyarrow as pa

from model.evaluation import Cell, Grid
from transforms.elements import Failure
from transforms.images import encode_image
from transforms.schemas import EVALUATION, FAILURES

# What the page shows of a large grid.
_SHOWN_CONTENTS: Final = 8
_SHOWN_STYLES: Final = 8
_SHOWN_EXTREMES: Final = 6


def evaluation_table(
    cells: Sequence[Cell], content_keys: Sequence[str], style_keys: Sequence[str]
) -> pa.Table:
    """Return one row a result; of the identity test where `kind` says so."""
    rows = []
    for cell in cells:
        measured = cell.measured
        identity = cell.style is None
        rows.append(
            {
                "kind": "identity" if identity else "pair",
                "content_key": content_keys[cell.content],
                "style_key": _style_key(cell, content_keys, style_keys),
                "content_loss": measured.content_loss,
                "style_losses": list(measured.style_losses.items()),
                "style_loss": measured.style_loss,
                "total": measured.total,
                "ssim": measured.ssim,
                "rmse": measured.rmse,
            }
        )
    return pa.Table.from_pylist(rows, EVALUATION)


def failures_table(failures: Sequence[Failure]) -> pa.Table:
    """Return one row an image that could not be read."""
    rows = sorted((dataclasses.asdict(f) for f in failures), key=lambda r: r["key"])
    return pa.Table.from_pylist(rows, FAILURES)


def evaluation_html(
    summary: Mapping[str, Any],
    grid: Grid,
    cells: Sequence[Cell],
    content_keys: Sequence[str],
    style_keys: Sequence[str],
) -> bytes:
    """Return the page, its pictures inside; equal results give equal bytes.

    Args:
        summary: What goes into `evaluation.json`.
        grid: What was evaluated.
        cells: The results.
        content_keys: Of its contents.
        style_keys: Of its styles.
    """

    def figure(cell: Cell) -> dict[str, Any]:
        style = (grid.contents if cell.style is None else grid.styles)[
            cell.content if cell.style is None else cell.style
        ]
        return {
            "content_key": content_keys[cell.content],
            "style_key": _style_key(cell, content_keys, style_keys),
            "content": _data_url(grid.contents[cell.content]),
            "style": _data_url(style),
            "result": _data_url(cell.picture),
            "measured": cell.measured,
        }

    pairs = [cell for cell in cells if cell.style is not None]
    identity = [cell for cell in cells if cell.style is None]
    by_total = sorted(pairs, key=lambda cell: cell.measured.total)
    best, worst = (_one_a_style(order) for order in (by_total, by_total[::-1]))
    shown = {(cell.content, cell.style): cell for cell in pairs}
    rows = [
        {
            "key": content_keys[content],
            "content": _data_url(grid.contents[content]),
            "results": [
                {
                    "picture": _data_url(shown[content, style].picture),
                    "measured": shown[content, style].measured,
                }
                for style in range(min(len(style_keys), _SHOWN_STYLES))
            ],
        }
        for content in range(min(len(content_keys), _SHOWN_CONTENTS))
    ]
    styles = [
        {"key": style_keys[i], "picture": _data_url(grid.styles[i])}
        for i in range(min(len(style_keys), _SHOWN_STYLES))
    ]
    html = _template().render(
        summary=summary,
        styles=styles,
        rows=rows,
        best=[figure(cell) for cell in best[:_SHOWN_EXTREMES]],
        worst=[figure(cell) for cell in worst[:_SHOWN_EXTREMES]],
        identity=[figure(cell) for cell in identity[:_SHOWN_EXTREMES]],
    )
    return html.encode()


def _one_a_style(cells: Sequence[Cell]) -> list[Cell]:
    """Return the first cell of each style: one easy style would fill the list."""
    first: dict[int | None, Cell] = {}
    for cell in cells:
        first.setdefault(cell.style, cell)
    return list(first.values())


def _style_key(
    cell: Cell, content_keys: Sequence[str], style_keys: Sequence[str]
) -> str:
    return content_keys[cell.content] if cell.style is None else style_keys[cell.style]


def _data_url(picture: Any) -> str:
    pixels = np.rint(picture * np.float32(255)).astype(np.uint8)
    data = encode_image(pixels, "jpg", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    folder = importlib.resources.files("transforms") / "templates"
    return environment.from_string((folder / "evaluate.html").read_text("utf-8"))
