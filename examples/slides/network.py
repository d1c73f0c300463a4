"""Figures of the network itself: its shape, its first filters, its input."""

from collections.abc import Sequence

import numpy as np

from model.attribution.featuremaps import most_active, receptive_field
from model.networks.encoder import IMAGENET_MEAN_BGR
from slides.classroom import BLOCKS, Classroom, floats
from slides.figure import Drawing, Figure, Picture, Table, grey, tiled
from transforms.visualize.canvas import viridis

# The classifier behind the convolutions, as the paper has it: at 224 pixels, 7 x 7
# places of 512 channels, 4096, 4096, 1000.
_CLASSIFIER = ((7 * 7 * 512, 4096), (4096, 4096), (4096, 1000))
_INPUT = 224


def to_scale(room: Classroom) -> Sequence[Figure]:
    """Draw VGG to scale, and tell channels, parameters and receptive fields."""
    rows, boxes = [], []
    side, left = _INPUT, 0.0
    total = 0
    for layer in room.layers:
        if layer.pool_before:
            side //= 2
            left += 14
        weights = layer.kernel**2 * layer.in_channels * layer.out_channels
        parameters = weights + layer.out_channels
        total += parameters
        field = receptive_field(room.layers, layer.name)
        rows.append(
            [
                layer.name,
                f"{side} × {side}",
                str(layer.out_channels),
                f"{parameters:,}",
                f"{field.size}",
                f"{field.stride}",
            ]
        )
        width = layer.out_channels / 12
        boxes.append(_box(left, side, width, layer.name, layer.out_channels))
        left += width + 5
    classifier = sum((before + 1) * after for before, after in _CLASSIFIER)
    svg = (
        f'<svg viewBox="0 -18 {left + 4:.0f} {_INPUT + 36}" role="img" '
        f'aria-label="The convolutions of {room.network}, to scale">'
        f"{''.join(boxes)}</svg>"
    )
    return [
        Drawing(
            svg,
            "Height: side of the maps. Width: channels. A gap: a pooling, which "
            f"halves the sides. Convolutions: {total:,} parameters; the classifier "
            f"behind them, which style transfer does not use, has {classifier:,}.",
        ),
        Table(
            ["layer", "maps", "channels", "parameters", "sees (pixels)", "stride"],
            rows,
            f"Each layer of {room.network} at {_INPUT} pixels. A neuron sees a square "
            "of so many pixels of the picture.",
        ),
    ]


def _box(left: float, side: int, width: float, name: str, channels: int) -> str:
    top = (_INPUT - side) / 2
    first = name.endswith("_conv1")
    text = (
        f'<text x="{left:.1f}" y="{top - 4:.1f}" class="label">{channels}</text>'
        if first
        else ""
    )
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{side}" '
        f'class="block{name[5]}"><title>{name}</title></rect>{text}'
    )


def first_filters(room: Classroom) -> Sequence[Figure]:
    """Draw the filters of the first layer, a grey picture for R, G and B."""
    kernel = room.arrays["block1_conv1/kernel"][:, :, ::-1]  # Its input is BGR.
    largest = float(np.abs(kernel).max())
    count = kernel.shape[-1]
    planes = [
        Picture(
            tiled([grey(kernel[:, :, colour, n], largest) for n in range(count)], 8),
            f"{name}: {count} filters of 3 × 3",
            crisp=True,
        )
        for colour, name in enumerate(("red", "green", "blue"))
    ]
    colours = np.rint(127.5 + 127.5 * kernel / largest).astype(np.uint8)
    together = tiled([colours[..., n] for n in range(count)], 8)
    return [*planes, Picture(together, "the three together, in colour", crisp=True)]


def preprocessing(room: Classroom) -> Sequence[Figure]:
    """Draw one map of a deep layer for right and wrong inputs of the network."""
    layer = BLOCKS[4]
    right = floats(room.small)
    mean_rgb = np.array(IMAGENET_MEAN_BGR[::-1], np.float32)
    # What the network does to its input is undone here, so that it is fed what is
    # named.
    inputs = {
        "right: BGR in 0 to 255, less the mean": right,
        "RGB in place of BGR": right[..., ::-1],
        "without subtracting the mean": right + mean_rgb / 255,
        "in 0 to 1 in place of 0 to 255": (right + mean_rgb) / 255,
        "preprocessed twice": (right[..., ::-1] * 255 - mean_rgb[::-1]) / 255,
    }
    expected = room.activations[layer].numpy()[0]
    channel = most_active(expected, 1)[0]
    largest = float(expected[..., channel].max()) or 1.0
    found: list[Figure] = []
    rows = []
    for name, pictures in inputs.items():
        features = room.seen.activations(pictures)[layer].numpy()[0]
        same = np.corrcoef(features.ravel(), expected.ravel())[0, 1]
        shown = viridis(features[..., channel] / largest)
        found.append(Picture(shown, name, crisp=True))
        rows.append([name, f"{features.mean():.2f}", f"{same:.3f}"])
    caption = f"All maps of {layer}; the pictures are map {channel}, in one scale."
    head = ["what the network is fed", "mean activation", "correlation with the right"]
    return [*found, Table(head, rows, caption)]
