"""The sheets of feature visualizations: the pictures of one target in a row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from transforms.visualize import canvas
from transforms.visualize.activation.targets import FRAMES, Target
from transforms.visualize.canvas import CAPTION, GAP, MARGIN, Canvas
from transforms.visualize.image_sheets import npz
from transforms.visualize.settings import Excited, Kind
from transforms.visualize.sheet import Sheet, Tile, statistics

if TYPE_CHECKING:  # It imports TensorFlow.
    from model.attribution.feature_visualization import Vision

# What the longest title takes.
_LEAST_WIDTH: Final = 420


def draw_activation(target: Target, visions: "Sequence[Vision]", raw: bool) -> Sheet:
    """Draw the pictures of a target, each as it is, with what it excites.

    Args:
        target: What they excite.
        visions: The pictures, squares of one size.
        raw: Whether the activations are kept as numbers, too.
    """
    side = visions[0].picture.shape[0]
    width = 2 * MARGIN + len(visions) * (side + GAP) - GAP
    sheet = Canvas(max(_LEAST_WIDTH, width), 2 * MARGIN + 26 + side + CAPTION)
    sheet.write(_title(target), MARGIN, MARGIN - 2, 15)
    tiles = []
    for place, vision in enumerate(visions):
        box = (MARGIN + place * (side + GAP), MARGIN + 26, side, side)
        sheet.paste(vision.picture, box[0], box[1])
        tile = _tile(target, place, box, vision)
        tiles.append(tile)
        under = (
            f"{tile.part or f'{tile.mean:.4g} on average'}, up to {tile.maximum:.4g}"
        )
        sheet.write(under, box[0], box[1] + side + 3, 11, canvas.SOFT)
    numbers = None
    if raw:
        numbers = npz(activations=np.stack([v.activations for v in visions]))
    return Sheet(
        target.path,
        Kind.ACTIVATION,
        target.layer,
        str(target.excited),
        sheet.png(),
        sheet.size,
        tiles,
        numbers,
    )


def _title(target: Target) -> str:
    return {
        Excited.CHANNEL: "{}: what channel {} wants to see",
        Excited.NEURON: "{}: what a neuron of channel {} wants to see",
        Excited.LAYER: "{}: what excites the whole layer",
        Excited.BETWEEN: "{}: from channel {} to channel {}",
    }[target.excited].format(target.layer, *target.channels)


def _tile(
    target: Target, place: int, box: tuple[int, int, int, int], vision: "Vision"
) -> Tile:
    values: npt.NDArray[Any] = vision.activations
    channel = target.channels[0] if target.channels else None
    part = ""
    if target.excited is Excited.BETWEEN:
        share = place / (FRAMES - 1)
        values = (1 - share) * values[..., 0] + share * values[..., 1]
        part = f"{share:.0%}"
        # Of neither between the two.
        ends = {0: target.channels[0], FRAMES - 1: target.channels[1]}
        channel = ends.get(place)
    facts = statistics(values)
    return Tile(target.layer, box, channel, part, **facts, rank=place + 1)
