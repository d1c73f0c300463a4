"""What decides the outcome of one optimised picture; imports no TensorFlow."""

import dataclasses
from collections.abc import Sequence
from typing import Final, Literal, get_args

from model.config import PRECISIONS, ConvSpec, Network, Precision
from model.networks.vgg import vgg_layers

Variation = Literal["anisotropic", "isotropic"]
GatysOptimizer = Literal["adam", "lbfgs"]
Start = Literal["content", "noise", "style"]
VARIATIONS: Final = get_args(Variation)
GATYS_OPTIMIZERS: Final = get_args(GatysOptimizer)
STARTS: Final = get_args(Start)

# The losses are computed in it: a larger weight would be infinite there.
_LARGEST_FLOAT32: Final = 3.4028234663852886e38
_A_WEIGHT: Final = "not negative, within float32"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GatysSettings:
    """What decides the outcome of one optimised picture, beside its two images.

    Attributes:
        content_layers: Where features are compared; at least one unless its weight is
            0.
        style_layers: Where Gram matrices are compared.
        layer_weights: w_l of each style layer; equal ones that add up to 1 when empty.
        content_weight: Factor of the content loss. It is a sum over places, as the
            total variation is, and grows with the picture; the style loss does not.
        style_weight: Factor of the style loss.
        tv_weight: Factor of the total variation, which is in grey levels of 255.
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
    # Looked at: with 300 a portrait of 256 px is painted throughout and stays legible
    # (30 at 128 px); without total variation the strokes are noisy.
    content_weight: float = 1.0
    style_weight: float = 300.0
    tv_weight: float = 1000.0
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

    def complaint(self, network: Network = "vgg16") -> tuple[str, object, str] | None:
        """Return the first wrong value: its name, itself, and what was expected.

        Args:
            network: Whose layers there are.
        """
        names = [layer.name for layer in vgg_layers(network)]
        listed = f"layers of {network}, each once: {', '.join(names)}"
        contents, styles = self.content_layers, self.style_layers
        weights = self.layer_weights
        for name, right, expected in (
            ("content_weight", _least_0(self.content_weight), _A_WEIGHT),
            ("style_weight", _least_0(self.style_weight), _A_WEIGHT),
            ("tv_weight", _least_0(self.tv_weight), _A_WEIGHT),
            (
                "content_layers",
                bool(contents) or self.content_weight == 0,
                "at least one layer, or a content weight of 0",
            ),
            ("content_layers", _each_once(contents, names), listed),
            (
                "style_layers",
                bool(styles) or self.style_weight == 0,
                "at least one layer, or a style weight of 0",
            ),
            ("style_layers", _each_once(styles, names), listed),
            (
                "layer_weights",
                len(weights) in (0, len(styles)),
                f"one for each of the {len(styles)} style layers, or none",
            ),
            ("layer_weights", all(map(_least_0, weights)), _A_WEIGHT),
            ("tv", self.tv in VARIATIONS, f"one of {', '.join(VARIATIONS)}"),
            (
                "optimizer",
                self.optimizer in GATYS_OPTIMIZERS,
                f"one of {', '.join(GATYS_OPTIMIZERS)}",
            ),
            (
                "learning_rate",
                _least_0(self.learning_rate) and self.learning_rate > 0,
                "positive, within float32",
            ),
            ("init", self.init in STARTS, f"one of {', '.join(STARTS)}"),
            ("pyramid", self.pyramid >= 1, "at least 1 level"),
            (
                "steps",
                self.steps >= max(1, self.pyramid),
                f"at least one for each of the {self.pyramid} levels of the pyramid",
            ),
            (
                "precision",
                self.precision in PRECISIONS,
                f"one of {', '.join(PRECISIONS)}",
            ),
            ("tolerance", 0 <= self.tolerance < 1, "a share in [0, 1)"),
            ("snapshots", self.snapshots >= 0, "not negative"),
            ("seed", 0 <= self.seed < 2**47, "0 to 2^47 - 1"),
        ):
            if not right:
                return name, getattr(self, name), expected
        return None

    def level_steps(self) -> tuple[int, ...]:
        """Return the updates of each level of the pyramid, the coarsest first.

        Every level has as many, the finest the remainder too: a coarse level costs a
        quarter of the next, so that half of the steps are nearly free, and it is there
        that the large strokes are laid.

        >>> GatysSettings(steps=301, pyramid=2).level_steps()
        (150, 151)
        """
        each, more = divmod(self.steps, self.pyramid)
        return (*[each] * (self.pyramid - 1), each + more)

    def least_side(self, layers: Sequence[ConvSpec]) -> int:
        """Return the smallest side in pixels that a picture may have.

        At the coarsest level of the pyramid the deepest layer needs one place.

        Args:
            layers: Those of the network.

        >>> GatysSettings(pyramid=1).least_side(vgg_layers("vgg16"))
        16
        >>> GatysSettings(pyramid=3).least_side(vgg_layers("vgg16"))
        64
        """
        poolings = deepest = 0
        for layer in layers:
            poolings += layer.pool_before
            if layer.name in (*self.content_layers, *self.style_layers):
                deepest = poolings
        return int(2 ** (deepest + self.pyramid - 1))


def _least_0(value: float) -> bool:
    return 0 <= value <= _LARGEST_FLOAT32


def _each_once(chosen: Sequence[str], names: Sequence[str]) -> bool:
    return len(set(chosen)) == len(chosen) and set(chosen) <= set(names)
