"""Figures of the neural algorithm of artistic style: losses, Gram matrices, TV."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.gatys.losses import gram_matrix, total_variation
from model.gatys.settings import GatysSettings
from slides.classroom import BLOCKS, Classroom, floats
from slides.figure import Figure, Picture, Pixels, Table
from transforms.visualize.canvas import magma

# Rebuilt pictures are small: it takes ten of them.
_REBUILT = 128
_LIFT = 4


def rebuilt(room: Classroom) -> Sequence[Figure]:
    """Rebuild content and style from noise, layer by layer."""
    alone = GatysSettings(
        optimizer="lbfgs", init="noise", pyramid=1, snapshots=0, tv_weight=0.0
    )
    alone = dataclasses.replace(alone, steps=max(2, room.steps // 2))
    size = min(_REBUILT, room.size)
    found: list[Figure] = []
    for layer in BLOCKS:
        settings = dataclasses.replace(
            alone, content_layers=(layer,), style_layers=(), style_weight=0.0
        )
        made = room.optimized(settings, size)
        found.append(Picture(made.picture, f"content from {layer}"))
    for count in range(1, len(BLOCKS) + 1):
        settings = dataclasses.replace(
            alone,
            content_layers=(),
            content_weight=0.0,
            style_layers=BLOCKS[:count],
            style_weight=1e6,
        )
        made = room.optimized(settings, size)
        until = f" to {BLOCKS[count - 1]}" if count > 1 else ""
        found.append(Picture(made.picture, f"style from {BLOCKS[0]}{until}"))
    return found


def gram_matrices(room: Classroom) -> Sequence[Figure]:
    """Draw Gram matrices of the photograph and of the painting."""
    found: list[Figure] = []
    for name, pixels in (("photograph", room.small), ("painting", room.painting)):
        activations = room.seen.activations(floats(pixels))
        found.append(Picture(pixels, f"the {name}"))
        for layer in BLOCKS[:3]:
            features = activations[layer]
            places = features.shape[1] * features.shape[2]
            gram = gram_matrix(features).numpy() / places
            # Its values span decades.
            lifted = np.log1p(np.maximum(gram, 0) / gram.mean())
            shown = magma(lifted / lifted.max())
            side = f"{gram.shape[0]} × {gram.shape[0]}"
            found.append(Picture(shown, f"{name}, {layer}: {side}", crisp=True))
    return found


def on_its_way(room: Classroom) -> Sequence[Figure]:
    """Draw a picture on its way from the photograph, and tell its losses."""
    settings = GatysSettings(steps=room.steps, snapshots=min(5, room.steps), pyramid=1)
    made = room.optimized(settings)
    losses = {row.step: row for row in made.curve}
    found: list[Figure] = [
        Picture(room.painting, "the painting"),
        Picture(room.small, "at the start, the photograph"),
    ]
    found += [Picture(one, f"after step {step}") for step, one in made.snapshots]
    rows = [
        [
            str(step),
            f"{losses[step].total:.3g}",
            f"{losses[step].content:.3g}",
            f"{losses[step].style:.3g}",
            f"{losses[step].tv:.3g}",
        ]
        for step in sorted({0, *(step for step, _ in made.snapshots)})
    ]
    head = ["step", "total", "content", "style", "total variation"]
    return [*found, Table(head, rows, "The losses, without their weights but total.")]


def total_variations(room: Classroom) -> Sequence[Figure]:
    """Draw |Δx| and |Δy| with and without total variation, by both formulas."""
    base = GatysSettings(steps=room.steps, snapshots=0, pyramid=1)
    runs = {
        "without": dataclasses.replace(base, tv_weight=0.0),
        "Σ |Δx| + |Δy|": dataclasses.replace(base, tv_weight=3000.0),
        "Σ √(Δx² + Δy²)": dataclasses.replace(base, tv_weight=3000.0, tv="isotropic"),
    }
    found: list[Figure] = []
    rows = []
    for name, settings in runs.items():
        pixels = room.optimized(settings).picture
        across, down = differences(pixels)
        found.append(Picture(pixels, f"{name}: the picture"))
        found.append(Picture(_lifted(across), f"{name}: |Δx|, {_LIFT} times"))
        found.append(Picture(_lifted(down), f"{name}: |Δy|, {_LIFT} times"))
        picture = tf.constant(pixels[None], tf.float32)
        rows.append(
            [
                name,
                f"{float(total_variation(picture, 'anisotropic')):,.0f}",
                f"{float(total_variation(picture, 'isotropic')):,.0f}",
            ]
        )
    head = ["in the loss", "Σ |Δx| + |Δy|", "Σ √(Δx² + Δy²)"]
    return [*found, Table(head, rows, "Both measures of the three pictures.")]


def other_layers(room: Classroom) -> Sequence[Figure]:
    """Change content and style layers together, which is an exercise."""
    base = GatysSettings(steps=room.steps, snapshots=0, pyramid=1)
    runs = {
        "as in the course": base,
        "content block5_conv2": dataclasses.replace(
            base, content_layers=("block5_conv2",)
        ),
        "style of blocks 1 to 3": dataclasses.replace(base, style_layers=BLOCKS[:3]),
        "both together": dataclasses.replace(
            base, content_layers=("block5_conv2",), style_layers=BLOCKS[:3]
        ),
    }
    return [
        Picture(room.optimized(settings).picture, name)
        for name, settings in runs.items()
    ]


def differences(
    pixels: Pixels,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return |Δx| and |Δy| of a picture, uint8 `[height, width, 3]` each.

    Beyond the last column and row they are 0.
    """
    values = pixels.astype(np.int16)
    across, down = np.zeros_like(pixels), np.zeros_like(pixels)
    across[:, :-1] = np.abs(np.diff(values, axis=1))
    down[:-1] = np.abs(np.diff(values, axis=0))
    return across, down


def _lifted(pixels: Pixels) -> Pixels:
    return np.minimum(pixels.astype(np.int16) * _LIFT, 255).astype(np.uint8)
