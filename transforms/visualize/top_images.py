"""Which images of the whole collection excite a channel most, and where."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection, TaggedOutput

from model.attribution.featuremaps import ReceptiveField
from transforms.elements import Count, Failure, ImageError, ImageRef, Reason
from transforms.images.load import load_bytes, load_image
from transforms.steps.outcome import Outcome
from transforms.steps.try_map import FAILED
from transforms.storage.folder import OutputFolder
from transforms.storage.parts import GroupByKnownKey
from transforms.visualize import canvas
from transforms.visualize.canvas import GAP, MARGIN, Canvas, Pixels
from transforms.visualize.maps_table import Owner, commit_maps, is_done, write_sheet
from transforms.visualize.settings import COLLECTION, Kind, VisualizeSettings
from transforms.visualize.sheet import Sheet, Tile, sheet_path
from transforms.visualize.top_scores import (
    WINNERS,
    Excitation,
    Winners,
    WinnersCombineFn,
    chosen_rows,
)

_SIDE: Final = 96
_CAPTION: Final = 15


# A channel, and what excites it most.
Row = tuple[int, list[Excitation]]


@dataclasses.dataclass
class RankImages(
    beam.PTransform[
        PCollection[tuple[str, Winners]], PCollection[tuple[str, list[Winners]]]
    ]
):
    """Becomes, for each layer, the images that excite its channels most.

    Input: (layer, `Winners`) of each image of the whole collection. Output: (layer, the
    one `Winners` of all), with an empty list for a layer that no image was seen by.
    Only references and scores cross the shuffle, those of the best.

    Attributes:
        layers: Names of the layers.
    """

    layers: tuple[str, ...]

    def expand(
        self, scored: PCollection[tuple[str, Winners]]
    ) -> PCollection[tuple[str, list[Winners]]]:
        """Combine the images of each layer."""
        return (
            scored
            | "Best" >> beam.CombinePerKey(WinnersCombineFn())
            # A layer that nothing excites is drawn too.
            | "GroupByLayer" >> GroupByKnownKey(self.layers)
        )


@dataclasses.dataclass
class DrawTopImages(beam.PTransform[PCollection[tuple[str, list[Winners]]], Outcome]):
    """Turns the winners of each layer into a sheet of crops.

    Input: what `RankImages` gives. Output: `Outcome`. The winners are read again where
    their crops are drawn. Of `top:N` channels those with the highest
    score anywhere are shown. Idempotent; a sheet whose winners are those of the last
    run and that is intact is kept, unless one of them could not be read again.

    Attributes:
        output: Output folder of the job.
        settings: Which layers and channels.
        fields: Receptive field of each layer.
        parts: Number of parts of the maps.
        recovered: Names of the parts, as soon as they can be read.
    """

    output: OutputFolder
    settings: VisualizeSettings
    fields: Mapping[str, ReceptiveField]
    parts: int
    recovered: PCollection[str]

    def expand(self, ranked: PCollection[tuple[str, list[Winners]]]) -> Outcome:
        """Draw the winners of each layer."""
        draw = beam.ParDo(
            _DrawDoFn(self.output, self.settings, self.fields, self.parts),
            AsList(self.recovered),
        )
        drawn = ranked | "Draw" >> draw.with_outputs(FAILED, main="counts")
        return Outcome(drawn.counts, drawn[FAILED])


class _DrawDoFn(beam.DoFn):
    def __init__(
        self,
        output: OutputFolder,
        settings: VisualizeSettings,
        fields: Mapping[str, ReceptiveField],
        parts: int,
    ) -> None:
        self._output = output
        self._settings = settings
        self._fields = fields
        self._parts = parts

    def process(
        self, grouped: tuple[str, list[Winners]], _recovered: list[str]
    ) -> Iterator[Any]:
        layer, several = grouped
        rows = [
            row
            for winners in several
            for row in chosen_rows(winners, self._settings.channels)
        ]
        made_of = [
            f"{channel} {e.image_id} {e.score!r}"
            for channel, found in rows
            for e in found
        ]
        cell_id = self._settings.cell_id(Kind.TOP_IMAGES, layer, *made_of)
        owner = Owner(cell_id, id=f"{COLLECTION}-top-images-{layer}")
        yield Count.SHEETS_PLANNED, 1
        if is_done(self._output, self._parts, owner):
            yield Count.SHEETS_KEPT, 1
            return
        crops, failures = cut_crops(rows, self._fields[layer], self._settings.size)
        for failure in failures:
            yield TaggedOutput(FAILED, failure)
        if failures:
            # With a hole it is no sheet to keep: the next run draws it again.
            holes = self._settings.cell_id(cell_id, "with holes")
            owner = dataclasses.replace(owner, cell_id=holes)
        sheet = draw_top_images(layer, rows, crops, self._fields[layer].size)
        try:
            commit_maps(self._output, owner, write_sheet(self._output, owner, sheet))
        except OSError as error:
            yield TaggedOutput(
                FAILED,
                Failure(
                    sheet.path, "", "DrawTopImages", Reason.WRITE_ERROR, str(error)
                ),
            )
            yield Count.SHEETS_FAILED, 1
        else:
            yield Count.SHEETS_DONE, 1


def cut_crops(
    rows: Sequence[Row], field: ReceptiveField, size: int
) -> tuple[dict[tuple[int, str], Pixels | None], list[Failure]]:
    """Cut what the strongest neurons see out of their images, each read once.

    Args:
        rows: Channels and their excitations.
        field: Receptive field of the layer.
        size: Shortest side in pixels that larger images are shrunk to; 0 keeps all.

    Returns:
        uint8 [h, w, 3] for each (channel, image id), None where the image cannot be
        read any more; and a failure for each such image.
    """
    wanted: dict[ImageRef, list[tuple[int, Excitation]]] = {}
    for channel, found in rows:
        for excitation in found:
            wanted.setdefault(excitation.ref, []).append((channel, excitation))
    crops: dict[tuple[int, str], Pixels | None] = {}
    failures = []
    for ref, excitations in wanted.items():
        pixels = None
        try:
            pixels = load_image(load_bytes(ref), size).pixels
        except ImageError as error:
            failures.append(ref.failure("DrawTopImages", error))
        for channel, e in excitations:
            crop = None
            if pixels is not None:
                box = field.box(e.row, e.column, *pixels.shape[:2])
                top, left, bottom, right = box
                crop = pixels[top:bottom, left:right].copy()
            crops[channel, e.image_id] = crop
    return crops, failures


def draw_top_images(
    layer: str,
    rows: Sequence[Row],
    crops: Mapping[tuple[int, str], Pixels | None],
    size: int,
) -> Sheet:
    """Draw a layer's channels, one a row, with the crops that excite them most.

    Args:
        layer: Name of the layer.
        rows: Channels with their excitations, the strongest first.
        crops: uint8 [h, w, 3] for each (channel, image id): the receptive field of the
            strongest neuron, cut off at the border of the image; None where the image
            could not be read again.
        size: Side of the receptive field in pixels.
    """
    left = MARGIN + 74
    height = _SIDE + _CAPTION + GAP
    sheet = Canvas(
        left + WINNERS * (_SIDE + GAP) + MARGIN - GAP,
        MARGIN + 48 + max(1, len(rows)) * height,
    )
    sheet.write(f"{layer}: what excites a channel most", MARGIN, MARGIN - 2, 15)
    sheet.write(
        f"receptive fields of {size} x {size} pixels, with the activation",
        MARGIN,
        MARGIN + 20,
        12,
        canvas.SOFT,
    )
    if not rows:
        sheet.write(
            "no image excites a channel", MARGIN, MARGIN + 60, 12, canvas.ACCENT
        )
    tiles = []
    for row, (channel, found) in enumerate(rows):
        top = MARGIN + 46 + row * height
        sheet.write(f"{channel}", MARGIN, top + _SIDE // 2 - 8, 15)
        for rank, excitation in enumerate(found, start=1):
            box = (left + (rank - 1) * (_SIDE + GAP), top, _SIDE, _SIDE)
            tiles.append(
                Tile(
                    layer,
                    box,
                    channel,
                    maximum=excitation.score,
                    source=excitation.ref.key,
                    rank=rank,
                )
            )
            crop = crops[channel, excitation.image_id]
            if crop is None:
                sheet.cross_out(box, "not readable")
            else:
                _paste_inside(sheet, crop, box)
            sheet.write(
                f"{excitation.score:.4g}", box[0], top + _SIDE + 1, 10, canvas.SOFT
            )
    path = sheet_path("", Kind.TOP_IMAGES, layer)
    return Sheet(path, Kind.TOP_IMAGES, layer, "", sheet.png(), sheet.size, tiles)


def _paste_inside(sheet: Canvas, crop: Pixels, box: tuple[int, int, int, int]) -> None:
    """Put a crop into the middle of its square, its aspect kept."""
    left, top, width, height = box
    scale = min(width / crop.shape[1], height / crop.shape[0])
    across, tall = (max(1, round(side * scale)) for side in crop.shape[1::-1])
    shown = canvas.fitted(crop, across, tall)
    sheet.paste(shown, left + (width - across) // 2, top + (height - tall) // 2)
