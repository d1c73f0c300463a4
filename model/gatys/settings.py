"""What decides the outcome of one optimised picture; imports no TensorFlow."""

import dataclasses
from collections.abc import Sequence
from typing import Final, Literal

from model.config import ConvSpec, Network, Precision
from model.networks.vgg import vgg_layers
from model.options import (
    NOT_NEGATIVE,
    SEED,
    Range,
    at_least,
    numbers,
    option,
    words,
    wrong_value,
)

Variation = Literal["anisotropic", "isotropic"]
GatysOptimizer = Literal["adam", "lbfgs"]
Start = Literal["content", "noise", "style", "adain"]
Pooling = Literal["max", "average"]

# Larger pictures are optimised in tiles: in one piece a gradient takes 2.3 kB a pixel.
LARGEST_WHOLE: Final = 1_500_000

# L-BFGS remembers 20 steps and 20 gradients in float64: 1.2 kB a pixel, 14 GB at 12
# megapixels. Adam's two moments take 24 bytes.
LARGEST_LBFGS: Final = LARGEST_WHOLE

# The losses are computed in it: a larger weight would be infinite there.
_LARGEST_FLOAT32: Final = 3.4028234663852886e38


def _is_weight(value: float) -> bool:
    return 0 <= value <= _LARGEST_FLOAT32


_WEIGHT: Final = Range(_is_weight, "not negative, within float32")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GatysSettings:
    """What decides the outcome of one optimised picture, beside its two images."""

    # Layers as in the TensorFlow tutorial and the course; the paper's figures have
    # conv4_2 and conv1_1 … conv5_1 too.
    content_layers: tuple[str, ...] = option(
        ("block4_conv2",),
        "layers where features are compared, with commas",
        metavar="L,…",
        read=words,
    )
    style_layers: tuple[str, ...] = option(
        (
            "block1_conv1",
            "block2_conv1",
            "block3_conv1",
            "block4_conv1",
            "block5_conv1",
        ),
        "layers where Gram matrices are compared, with commas",
        metavar="L,…",
        read=words,
    )
    layer_weights: tuple[float, ...] = option(
        (),
        "weight of each style layer, with commas (default: equal ones that add up to "
        "1)",
        metavar="W,…",
        read=numbers,
    )
    # It is a sum over places, as the total variation is, and grows with the picture;
    # the style loss does not.
    content_weight: float = option(
        1.0, "factor of the content loss", _WEIGHT, metavar="W"
    )
    # Looked at: with 300 a portrait of 256 px is painted throughout and stays legible
    # (30 at 128 px); without total variation the strokes are noisy.
    style_weight: float = option(
        300.0, "factor of the style loss", _WEIGHT, metavar="W"
    )
    tv_weight: float = option(
        1000.0, "factor of the total variation", _WEIGHT, metavar="W"
    )
    # Σ|Δx| + |Δy|, or Σ√(Δx² + Δy²).
    tv: Variation = option(
        "anisotropic",
        "form of the total variation: anisotropic adds the differences of neighbours "
        "across and down, isotropic the lengths of both together",
    )
    optimizer: GatysOptimizer = option(
        "adam", "adam as in the TensorFlow course, or lbfgs as in the paper"
    )
    learning_rate: float = option(
        5.0,
        "how far adam moves a pixel in a step, in grey levels of 255 (lbfgs has none)",
        Range(lambda rate: _is_weight(rate) and rate > 0, "positive, within float32"),
        metavar="LEVELS",
    )
    steps: int = option(
        300, "updates in all, over all levels of the pyramid", metavar="N"
    )
    pooling: Pooling = option(
        "max",
        "how the network halves its maps: by maxima, as it was trained, or by "
        "averages, as in the paper",
    )
    init: Start = option(
        "content",
        "what the picture is before the first step; adain is the picture that the "
        "packaged bundle paints",
    )
    pyramid: int = option(
        2,
        "how many sizes are worked through from coarse to fine, each half the next; 1 "
        "is the full size alone",
        at_least(1, "at least 1 level"),
        metavar="LEVELS",
    )
    # Pixels, Gram matrices and losses are float32.
    precision: Precision = option("float32", "type of the numbers in the convolutions")
    tolerance: float = option(
        0.0,
        "end a level when 50 steps lower the total loss by less than this share; 0 "
        "never does",
        Range(lambda share: 0 <= share < 1, "a share in [0, 1)"),
        metavar="SHARE",
    )
    snapshots: int = option(
        5, "pictures kept on the way, evenly spaced", NOT_NEGATIVE, metavar="N"
    )
    seed: int = option(0, "another number draws other noise", SEED, metavar="S")

    def complaint(self, network: Network = "vgg16") -> tuple[str, object, str] | None:
        """Return the first wrong value: its name, itself, and what was expected.

        Args:
            network: The network that has the layers.
        """
        if wrong := wrong_value(self):
            return wrong
        names = [layer.name for layer in vgg_layers(network)]
        listed = f"layers of {network}, each once: {', '.join(names)}"
        contents, styles = self.content_layers, self.style_layers
        weights = self.layer_weights
        for name, right, expected in (
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
            ("layer_weights", all(map(_is_weight, weights)), _WEIGHT.text),
            (
                "steps",
                self.steps >= self.pyramid,
                f"at least one for each of the {self.pyramid} levels of the pyramid",
            ),
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
            layers: Layers of the network.

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


def _each_once(chosen: Sequence[str], names: Sequence[str]) -> bool:
    return len(set(chosen)) == len(chosen) and set(chosen) <= set(names)
