"""What VGG-16 and VGG-19 are made of, as plain data; imports no TensorFlow.

Simonyan & Zisserman 2014, configurations D and E, https://arxiv.org/abs/1409.1556.
Layer names are those of Keras: `block4_conv1` is relu4_1 of the papers (the activation
belongs to the layer).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from model.config import ConvSpec, Network, Padding

# The last layer of the head: a channel is a class.
PREDICTIONS: Final = "predictions"

# The head takes so many neurons along a side, and the layers and the pooling before it
# make one out of 32 pixels. A smaller picture has no class.
HEAD_SIDE: Final = 7
SMALLEST_SIDE: Final = 32 * HEAD_SIDE

_CHANNELS: Final = (64, 128, 256, 512, 512)
_CONVOLUTIONS: Final[Mapping[Network, tuple[int, ...]]] = {
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}


def vgg_layers(network: Network, padding: Padding = "zero") -> tuple[ConvSpec, ...]:
    """Return the convolutions of a VGG network, in order.

    >>> [layer.name for layer in vgg_layers("vgg16")][:3]
    ['block1_conv1', 'block1_conv2', 'block2_conv1']
    """
    layers = []
    channels = 3
    for block, count in enumerate(_CONVOLUTIONS[network], start=1):
        for index in range(1, count + 1):
            width = _CHANNELS[block - 1]
            layers.append(
                ConvSpec(
                    name=f"block{block}_conv{index}",
                    in_channels=channels,
                    out_channels=width,
                    pool_before=block > 1 and index == 1,
                    padding=padding,
                )
            )
            channels = width
    return tuple(layers)


def layers_to(layers: Sequence[ConvSpec], last: str) -> tuple[ConvSpec, ...]:
    """Return the layers up to and including the one named `last`.

    Raises:
        ValueError: There is no such layer.
    """
    names = [layer.name for layer in layers]
    if last not in names:
        raise ValueError(f"Unknown layer {last!r}. The layers are: {', '.join(names)}")
    return tuple(layers[: names.index(last) + 1])
