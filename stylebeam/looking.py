"""What VGG sees in one picture: its feature maps, and the pixels that move a layer."""

import functools
import io
import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from model.config import Network
from stylebeam.pictures import Picture, pixels_of
from stylebeam.weights import network_of, vgg_weights

if TYPE_CHECKING:  # It imports TensorFlow.
    from model.attribution.gradients import Activations, Attribution

Map = npt.NDArray[np.float32]


class Look:
    """One layer of a network, looking at one picture; `look` makes it.

    A notebook shows it as the sheet of its feature maps.

    Attributes:
        layer: Name of the layer.
        pixels: The picture as the network saw it, uint8 RGB `[height, width, 3]`.
        features: Feature maps of the layer behind its ReLU, float32
            `[h, w, channels]`, not negative; h and w are halved, rounded down, by every
            pooling before.
    """

    def __init__(
        self,
        layer: str,
        pixels: npt.NDArray[np.uint8],
        network: "Attribution",
        activations: "Activations",
    ) -> None:
        self.layer = layer
        self.pixels = pixels
        self.features: Map = activations[layer].numpy()[0]
        self._network = network
        self._activations = activations

    def most_active(self, count: int = 8) -> list[int]:
        """Return the channels with the largest mean activation, the largest first."""
        from model.attribution.featuremaps import most_active

        return most_active(self.features, count)

    def gradient(self, channel: int | None = None, rule: str = "guided") -> Map:
        """Return how each pixel moves the layer.

        Args:
            channel: A feature map, Σ over its places; None for the maximum neurons, Σ
                over places of the strongest channel.
            rule: How a ReLU is passed on the way back: `saliency` (plain
                backpropagation, Simonyan et al. 2013), `deconvnet` (Zeiler & Fergus
                2013) or `guided` (Springenberg et al. 2014).

        Returns:
            float32 `[height, width, 3]`, signed: d objective / d RGB in [0, 1].

        Raises:
            ValueError: There is no such channel or rule.
        """
        found: npt.NDArray[Any] = self._network.gradients(
            self._activations, self.layer, cast(Any, rule), [channel]
        )
        return np.asarray(found[0, 0], np.float32)

    def gradient_picture(
        self, channel: int | None = None, rule: str = "guided"
    ) -> Image.Image:
        """Return a gradient as a picture of the same size: grey is 0.

        Its scale is the 99.7th percentile of its magnitude.

        Raises:
            ValueError: There is no such channel or rule.
        """
        # Late, as in `sheet`: the drawing rooms import Beam.
        from transforms.visualize.gradient_sheets import gradient_views

        views = gradient_views(self.pixels, self.gradient(channel, rule))
        return Image.fromarray(views["gradient"])

    def sheet(self) -> Image.Image:
        """Return the busiest feature maps and the first 64, a scale each."""
        from transforms.visualize.feature_sheets import draw_features
        from transforms.visualize.settings import Channels

        _, sheet = draw_features(
            "picture", self.layer, self.features, Channels(top=16), None
        )
        return Image.open(io.BytesIO(sheet.data))

    def _repr_png_(self) -> bytes | None:
        """Return the sheet as a notebook shows it."""
        return self.sheet()._repr_png_()


def look(
    picture: Picture,
    layer: str = "block4_conv1",
    *,
    size: int = 224,
    network: str = "vgg16",
    weights: str | os.PathLike[str] | None = None,
) -> Look:
    """Show a picture to VGG, and return what a layer sees in it.

    Args:
        picture: The picture.
        layer: Name of the layer, as Keras has it.
        size: Shortest side in pixels that the picture is shrunk to; 0 keeps its size.
        network: `vgg16` or `vgg19`.
        weights: File of the network's weights, a Keras notop `.h5` or an `.npz`; vgg16
            is packaged, vgg19 is downloaded by Keras where none is given.

    Raises:
        ConnectionError: The weights had to be downloaded and could not be.
        FileNotFoundError: There is no such picture, or no such file of weights.
        TypeError: The picture is no picture.
        ValueError: There is no such layer or network, or the picture cannot be used.

    >>> import numpy as np
    >>> seen = look(np.full((64, 96, 3), 90, np.uint8), "block2_conv1")
    >>> seen.features.shape, len(seen.most_active(4))
    ((32, 48, 128), 4)
    >>> seen.gradient(channel=seen.most_active()[0], rule="saliency").shape
    (64, 96, 3)
    """
    chosen = network_of(network)
    pixels = pixels_of(picture, size)
    source = None if weights is None else os.fspath(weights)
    seer = _network(chosen, source, layer)
    activations = seer.activations(pixels[None].astype(np.float32) / np.float32(255))
    return Look(layer, pixels, seer, activations)


@functools.lru_cache(maxsize=2)
def _network(network: Network, source: str | None, layer: str) -> "Attribution":
    layers, arrays = vgg_weights(network, source)
    from model.attribution.gradients import Attribution
    from model.networks.vgg import layers_to

    return Attribution(layers_to(layers, layer), arrays)
