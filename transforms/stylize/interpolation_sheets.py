"""Interpolation sheets: what lies between two, three or four styles, as one picture."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.elements import CellStatus
from transforms.images.contact_sheets import draw_contact_sheet, sheet_jpeg
from transforms.images.decoder import decode_image
from transforms.images.thumbnails import thumbnail_of
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import read_rows
from transforms.stylize.cells import ORIGINAL_ID
from transforms.stylize.pairing import BlendPairing

SHEETS: Final = "sheets"

_WHITE: Final = (255, 255, 255)

Row = Mapping[str, Any]


def sheet_name(content_id: str, alpha: float) -> str:
    """Return the name of a content's sheet inside the output.

    >>> sheet_name("cat-1", 0.5)
    'sheets/cat-1@a0500.jpg'
    """
    strength = "" if alpha == 1 else f"@a{round(alpha * 1000):04d}"
    return f"{SHEETS}/{content_id}{strength}.jpg"


def sheet_places(corners: int, pictures: int) -> list[tuple[float, int]]:
    """Return where each picture of `corner_weights` goes, as (column, row).

    A triangle's rows are centred, so their columns may be halves.

    >>> sheet_places(3, 3)
    [(0.5, 0), (0.0, 1), (1.0, 1)]
    """
    if corners == 2:
        return [(float(i), 0) for i in range(pictures)]
    if corners == 3:
        steps = math.isqrt(2 * pictures)
        return [
            (column + (steps - 1 - row) / 2, row)
            for row in range(steps)
            for column in range(row + 1)
        ]
    steps = math.isqrt(pictures)
    return [(float(i % steps), i // steps) for i in range(pictures)]


@dataclasses.dataclass
class WriteSheets(beam.PTransform[PCollection[str], PCollection[str]]):
    """Each manifest part becomes the interpolation sheets of its contents.

    Input: names of manifest parts. Output: names of the sheets, `sheets/<content>.jpg`,
    `@aNNNN` for any strength but 1. A picture that failed leaves its place white.
    Idempotent.

    Attributes:
        output: The folder of the job, with its pictures.
        pairing: The weights that were asked for.
    """

    output: OutputFolder
    pairing: BlendPairing

    def expand(self, parts: PCollection[str]) -> PCollection[str]:
        """Write the sheets of each part."""
        return parts | "Write" >> beam.FlatMap(write_sheets, self.output, self.pairing)


def write_sheets(
    part: str, output: OutputFolder, pairing: BlendPairing
) -> Iterator[str]:
    """Write the sheets of the contents of one manifest part; yield their names."""
    rows = read_rows(output.path(part))
    for content, group in itertools.groupby(rows, key=lambda row: row["content_id"]):
        cells = [row for row in group if row["styles"][0]["id"] != ORIGINAL_ID]
        keys = sorted({style["key"] for row in cells for style in row["styles"]})
        for alpha in pairing.alphas:
            chosen = {
                _weights(row, keys): row
                for row in cells
                if row["alpha"] == alpha and row["status"] == CellStatus.DONE
            }
            data = _sheet(output, chosen, pairing.weights)
            if data is not None:
                name = sheet_name(content, alpha)
                output.write(name, data)
                yield name


def _weights(row: Row, keys: Sequence[str]) -> tuple[float, ...]:
    shares = {style["key"]: style["weight"] for style in row["styles"]}
    return tuple(shares.get(key, 0.0) for key in keys)


def _sheet(
    output: OutputFolder,
    cells: Mapping[tuple[float, ...], Row],
    weights: Sequence[tuple[float, ...]],
) -> bytes | None:
    places = sheet_places(len(weights[0]), len(weights))
    pictures = {
        place: decode_image(
            thumbnail_of(output.read(cells[wanted]["path"])), min_side=1
        ).pixels
        for wanted, place in zip(weights, places, strict=True)
        if wanted in cells
    }
    if not pictures:
        return None
    columns, lines = (1 + math.floor(max(p[axis] for p in places)) for axis in (0, 1))
    sheet = draw_contact_sheet(pictures, columns, lines, paper=_WHITE)
    return sheet_jpeg(sheet, quality=90)
