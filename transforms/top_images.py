"""Which images of the whole collection excite a channel most, and where."""

import dataclasses
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.pvalue import AsList, PCollection, TaggedOutput
from apache_beam.transforms.combiners import Top

from model.featuremaps import ReceptiveField
from transforms import canvas
from transforms.canvas import GAP, MARGIN, Canvas, Pixels
from transforms.decode import load_bytes, load_image
from transforms.elements import Failure, ImageError, ImageRef, Reason
from transforms.failures import FAILED
from transforms.maps import Owner, commit_maps, is_done, write_sheet
from transforms.output import OutputFolder
from transforms.visual import (
    COLLECTION,
    Channels,
    Kind,
    Sheet,
    Tile,
    VisualizeSettings,
    sheet_path,
)

# How many images a channel gets: a row of the sheet.
WINNERS: Final = 9

_SIDE: Final = 96
_CAPTION: Final = 15


@dataclasses.dataclass(frozen=True, slots=True)
class Excitation:
    """How strongly an image excites a channel: what crosses the shuffle.

    Ordered by score; of equal scores the smaller image id is the greater, so that the
    winners do not depend on the order of the collection.

    Attributes:
        score: Activation of the channel's strongest neuron.
        image_id: Id of the image.
        ref: Where the image is.
        row: Row of that neuron.
        column: Its column.
    """

    score: float
    image_id: str
    ref: ImageRef
    row: int
    column: int

    def __lt__(self, other: "Excitation") -> bool:
        return (self.score, other.image_id) < (other.score, self.image_id)


def pack_scores(peaks: Mapping[str, Sequence[npt.NDArray[Any]]]) -> bytes:
    """Return the strongest neurons of an image as the bytes of an .npz.

    Args:
        peaks: For each layer activation, row and column of each channel.
    """
    file = io.BytesIO()
    arrays = {
        f"{layer}/{name}": array
        for layer, values in peaks.items()
        for name, array in zip(("score", "row", "column"), values, strict=True)
    }
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def excitations(
    ref: ImageRef, scores: bytes, settings: VisualizeSettings
) -> Iterator[tuple[tuple[str, int], Excitation]]:
    """Yield what an image does to each channel that is asked for, if it fires.

    Args:
        ref: The image.
        scores: From `pack_scores`.
        settings: Which layers and channels.
    """
    image_id = ref.id
    with np.load(io.BytesIO(scores), allow_pickle=False) as arrays:
        for layer in settings.layers:
            score, row, column = (
                arrays[f"{layer}/{name}"].tolist()
                for name in ("score", "row", "column")
            )
            for channel in settings.channels.listed or range(len(score)):
                if score[channel] > 0:
                    yield (
                        (layer, channel),
                        Excitation(
                            score[channel], image_id, ref, row[channel], column[channel]
                        ),
                    )


Winners = tuple[tuple[str, int], list[Excitation]]


@dataclasses.dataclass
class FindTopImages(
    beam.PTransform[PCollection[tuple[tuple[str, int], Excitation]], Any]
):
    """Becomes, for each layer, a sheet of the images that excite its channels most.

    Input: ((layer, channel), `Excitation`) of the whole collection. Output: counts in
    `COUNTS`, failures in `FAILED`. Only references and scores cross the shuffle; the
    winners are read again where their crops are drawn. Of `top:N` channels those with
    the highest score anywhere are shown. Idempotent; a sheet whose winners are those of
    the last run and that is intact is kept.

    Attributes:
        output: Where to.
        settings: Which layers and channels.
        fields: Receptive field of each layer.
        parts: Of the maps.
        recovered: Their names, as soon as they can be read.
    """

    COUNTS = "counts"

    output: OutputFolder
    settings: VisualizeSettings
    fields: Mapping[str, ReceptiveField]
    parts: int
    recovered: PCollection[str]

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, scored: PCollection[Any]) -> Any:
        """Wire the step."""
        draw = beam.ParDo(
            _DrawTopImagesDoFn(self.output, self.settings, self.fields, self.parts),
            AsList(self.recovered),
        )
        # Every layer is drawn, also one that nothing excites.
        layers = scored.pipeline | "Layers" >> beam.Create(
            [(layer, None) for layer in self.settings.layers]
        )
        winners = (
            scored | "Top" >> Top.PerKey(WINNERS) | "KeyByLayer" >> beam.Map(_by_layer)
        )
        return (
            (layers, winners)
            | "WithAllLayers" >> beam.Flatten()
            | "GroupByLayer" >> beam.GroupByKey()
            | "DrawTopImages" >> draw.with_outputs(FAILED, main=self.COUNTS)
        )


def _by_layer(winners: Winners) -> tuple[str, Winners | None]:
    return winners[0][0], winners


def choose_channels(winners: Iterable[Winners], channels: Channels) -> list[Winners]:
    """Return the channels to show: those asked for, or those with the highest scores.

    Args:
        winners: Of one layer, any order.
        channels: What is asked for.
    """
    if channels.listed:
        place = {channel: index for index, channel in enumerate(channels.listed)}
        return sorted(winners, key=lambda w: place[w[0][1]])
    ordered = sorted(winners, key=lambda w: (-w[1][0].score, w[0][1]))
    return ordered[: channels.top]


class _DrawTopImagesDoFn(beam.DoFn):
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
        self, grouped: tuple[str, Iterable[Winners | None]], _recovered: list[str]
    ) -> Iterator[Any]:
        layer, found = grouped
        rows = choose_channels(
            (winners for winners in found if winners is not None),
            self._settings.channels,
        )
        made_of = [
            f"{channel} {e.image_id} {e.score!r}"
            for (_, channel), es in rows
            for e in es
        ]
        cell_id = self._settings.cell_id(Kind.TOP_IMAGES, layer, *made_of)
        owner = Owner(cell_id, id=f"{COLLECTION}-top-images-{layer}")
        yield "sheets_planned", 1
        if is_done(self._output, self._parts, owner):
            yield "sheets_kept", 1
            return
        crops: dict[tuple[int, str], Pixels | None] = {}
        for channel, excitation in _in_order_of_images(rows):
            try:
                crop = self._crop(layer, excitation)
            except ImageError as error:
                crop = None
                failure = excitation.ref.failure("DrawTopImages", error)
                yield TaggedOutput(FAILED, failure)
            crops[channel, excitation.image_id] = crop
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
            yield "sheets_failed", 1
        else:
            yield "sheets_done", 1

    def _crop(self, layer: str, excitation: Excitation) -> Pixels:
        image = load_image(load_bytes(excitation.ref), self._settings.size)
        height, width, _ = image.pixels.shape
        place = (excitation.row, excitation.column)
        top, left, bottom, right = self._fields[layer].box(*place, height, width)
        return image.pixels[top:bottom, left:right].copy()


def _in_order_of_images(rows: Sequence[Winners]) -> list[tuple[int, Excitation]]:
    wanted = [(channel, e) for (_, channel), found in rows for e in found]
    return sorted(wanted, key=lambda pair: (pair[1].image_id, pair[0]))


def draw_top_images(
    layer: str,
    rows: Sequence[Winners],
    crops: Mapping[tuple[int, str], Pixels | None],
    size: int,
) -> Sheet:
    """Draw a layer's channels, one a row, with the crops that excite them most.

    Args:
        layer: Name of the layer.
        rows: Its channels with their excitations, the strongest first.
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
    for row, ((_, channel), found) in enumerate(rows):
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
