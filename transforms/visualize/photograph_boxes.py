"""Where in its photograph a top image is: what the gallery draws a box around."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from model.attribution.featuremaps import ReceptiveField, receptive_field
from model.networks.vgg import vgg_layers
from transforms.storage.folder import OutputFolder
from transforms.visualize.settings import VisualizeSettings
from transforms.visualize.sheet import scores_path

# Top, left, bottom and right in pixels of the photograph as it was looked at.
Box = tuple[int, int, int, int]


def boxes_of(
    tops: Sequence[tuple[str, str, int]],
    sizes: Mapping[str, tuple[int, int]],
    output: OutputFolder,
    settings: VisualizeSettings,
) -> dict[tuple[str, str, int], Box]:
    """Return what the strongest neurons of some photographs see.

    It follows from the scores that are kept of each photograph, so it is told of
    outputs from before boxes were drawn, too. Each photograph's are read once.

    Args:
        tops: Key of the photograph, layer and channel.
        sizes: Width and height of each photograph by its key.
        output: Output folder of the job.
        settings: What was shown.

    Returns:
        The box of each; none where the scores of a photograph are not to be had.
    """
    network = vgg_layers(settings.network)
    fields = {layer: receptive_field(network, layer) for layer in settings.layers}
    wanted: dict[str, list[tuple[str, str, int]]] = {}
    for top in tops:
        wanted.setdefault(top[0], []).append(top)
    boxes: dict[tuple[str, str, int], Box] = {}
    for key, of_one in wanted.items():
        if key in sizes:
            width, height = sizes[key]
            boxes.update(_boxes_in(of_one, width, height, output, fields))
    return boxes


def _boxes_in(
    tops: Sequence[tuple[str, str, int]],
    width: int,
    height: int,
    output: OutputFolder,
    fields: Mapping[str, ReceptiveField],
) -> Iterator[tuple[tuple[str, str, int], Box]]:
    try:
        data = output.read(scores_path(tops[0][0]))
    except OSError:
        return  # The photograph is shown without.
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        loaded: dict[str, Any] = {name: arrays[name] for name in arrays.files}
    for key, layer, channel in tops:
        row, column = (
            int(loaded[f"{layer}/{part}"][channel]) for part in ("row", "column")
        )
        yield (key, layer, channel), fields[layer].box(row, column, height, width)
