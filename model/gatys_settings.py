"""What decides the outcome of one optimised picture; imports no TensorFlow."""

import dataclasses
from typing import Final, Literal, get_args

from model.config import Precision

Variation = Literal["anisotropic", "isotropic"]
GatysOptimizer = Literal["adam", "lbfgs"]
Start = Literal["content", "noise", "style"]
VARIATIONS: Final = get_args(Variation)
GATYS_OPTIMIZERS: Final = get_args(GatysOptimizer)
STARTS: Final = get_args(Start)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GatysSettings:
    """What decides the outcome of one optimised picture, beside its two images.

    Attributes:
        content_layers: Where features are compared; at least one unless its weight is
            0.
        style_layers: Where Gram matrices are compared.
        layer_weights: w_l of each style layer; equal ones that add up to 1 when empty.
        content_weight: Factor of the content loss.
        style_weight: Factor of the style loss.
        tv_weight: Factor of the total variation.
        tv: Its form: anisotropic Σ|Δx| + |Δy|, isotropic Σ√(Δx² + Δy²).
        optimizer: `adam` as in the course, `lbfgs` as in the paper.
        learning_rate: Of Adam, in grey levels of 255 a step; L-BFGS has none.
        steps: Updates in all, over all levels of the pyramid.
        init: What the picture is before the first step.
        pyramid: Levels, each half the size of the next; 1 is the full size alone.
        precision: Of the convolutions; pixels, Gram matrices and losses are float32.
        tolerance: Ends a level where the total loss fell by less than this share over
            the last 50 steps; 0 never does.
        snapshots: How many pictures on the way are kept, evenly spaced.
        seed: Of noise.
    """

    # Layers as in the TensorFlow tutorial and the course; the paper's figures have
    # conv4_2 and conv1_1 … conv5_1 too.
    content_layers: tuple[str, ...] = ("block4_conv2",)
    style_layers: tuple[str, ...] = (
        "block1_conv1",
        "block2_conv1",
        "block3_conv1",
        "block4_conv1",
        "block5_conv1",
    )
    layer_weights: tuple[float, ...] = ()
    content_weight: float = 1.0
    style_weight: float = 1000.0
    tv_weight: float = 0.0
    tv: Variation = "anisotropic"
    optimizer: GatysOptimizer = "adam"
    learning_rate: float = 5.0
    steps: int = 300
    init: Start = "content"
    pyramid: int = 2
    precision: Precision = "float32"
    tolerance: float = 0.0
    snapshots: int = 5
    seed: int = 0
