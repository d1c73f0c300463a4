"""VGG-16 and VGG-19: what is looked through, for AdaIN, Gatys and the galleries.

Simonyan & Zisserman 2014, configurations D and E, https://arxiv.org/abs/1409.1556.
Layer names are those of Keras: `block4_conv1` is relu4_1 of the papers (the activation
belongs to the layer).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf

from model.config import ConvSpec, Network, Padding, Precision
from model.networks.keras_network import (
    Arrays,
    build_network,
    check_arrays,
    set_weights,
)
from model.networks.vgg import layers_to as layers_to
from model.networks.vgg import vgg_layers as vgg_layers
from model.tensorflow_keras import keras

# Mean of the ImageNet training pictures in 0..255 as Caffe's VGG had it, blue, green,
# red; the same numbers as in keras.applications.imagenet_utils (mode "caffe").
IMAGENET_MEAN_BGR: Final = (103.939, 116.779, 123.68)


@keras.saving.register_keras_serializable(package="stylebeam")
class VggPreprocessing(keras.layers.Layer):
    """Turns RGB in [0, 1] into what VGG was trained on: BGR in 0..255 less the mean.

    float32 `[batch, height, width, 3]` in and out. Equal to
    `keras.applications.vgg16.preprocess_input(255 * images)`, without its habit of
    changing NumPy input in place.

    Args:
        divisor: What the result is divided by, for encoders of other widths.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, divisor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.divisor = divisor

    def call(self, inputs: Any) -> Any:
        """Return the preprocessed images."""
        mean = tf.constant(IMAGENET_MEAN_BGR, inputs.dtype)
        shifted = tf.reverse(inputs, axis=[-1]) * 255.0 - mean
        return shifted if self.divisor == 1 else shifted / self.divisor

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return super().get_config() | {"divisor": self.divisor}

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> Sequence[int | None]:
        """Return the shape, which stays."""
        return input_shape


def build_encoder(
    layers: Sequence[ConvSpec],
    arrays: Arrays,
    *,
    taps: Sequence[str] | None = None,
    precision: Precision = "float32",
    name: str = "encoder",
) -> keras.Model:
    """Build an encoder from RGB in [0, 1] to the activations of its taps.

    Args:
        layers: Its convolutions; the first takes 3 channels.
        arrays: Their weights, `<name>/kernel` and `<name>/bias`.
        taps: Layers (poolings too) whose activations are wanted; the last by default.
        precision: Type of weights and activations.
        name: Name of the Keras model.

    Returns:
        A frozen model from float32 RGB `[batch, height, width, 3]` in [0, 1] to
        `[batch, h, w, channels]`, a list of them when `taps` names several.

    Raises:
        ValueError: An unknown tap, or arrays that are not those of the layers.
    """
    check_arrays(layers, arrays, origin=f"the weights of {name}")
    model = build_network(
        layers,
        taps=taps,
        preprocessing=VggPreprocessing(name="preprocessing", dtype="float32"),
        precision=precision,
        name=name,
    )
    set_weights(model, arrays)
    model.trainable = False
    return model


def build_vgg(
    network: Network,
    arrays: Arrays,
    *,
    taps: Sequence[str],
    padding: Padding = "zero",
    precision: Precision = "float32",
) -> keras.Model:
    """Build VGG-16 or VGG-19 with ImageNet weights up to the wanted layers.

    Args:
        network: Which of the two.
        arrays: Their weights, from `model.networks.weights.load_vgg_weights`.
        taps: Names of layers, `block1_conv1` … `block5_conv3` (`block5_conv4` in
            VGG-19) and the poolings between them.
        padding: `zero` is the network as it was trained, for looking inside; `reflect`
            leaves no dark rims in stylized pictures.
        precision: Type of weights and activations.

    Returns:
        A frozen model, as `build_encoder`.

    Raises:
        ValueError: An unknown tap, or arrays that are not those of the network.
    """
    return build_encoder(
        vgg_layers(network, padding),
        arrays,
        taps=taps,
        precision=precision,
        name=network,
    )


def normalized_weights(
    layers: Sequence[ConvSpec],
    arrays: Arrays,
    mean_activations: Mapping[str, Any],
) -> dict[str, np.ndarray[Any, Any]]:
    """Rescale weights so that each channel's mean activation becomes 1.

    With m_l the mean activations of layer l over a set of photographs, the kernel
    becomes K[.., i, o] · m_{l-1}[i] / m_l[o] and the bias b[o] / m_l[o]. ReLU and
    max pooling commute with a positive factor, so the function is the old one with
    each channel divided by its mean: Gatys et al. 2016, section 2,
    https://doi.org/10.1109/CVPR.2016.265.

    Args:
        layers: Convolutions in order, each followed by a ReLU.
        arrays: Their weights.
        mean_activations: For each layer float `[channels]`, the mean over photographs
            and places, all positive.

    Returns:
        The rescaled weights, float32.

    Raises:
        ValueError: A channel never fires, so that it cannot be normalised.
    """
    scaled = {}
    before = np.ones(layers[0].in_channels)
    for layer in layers:
        mean = np.asarray(mean_activations[layer.name], np.float64)
        if not (mean > 0).all():
            raise ValueError(
                f"Every channel of {layer.name} must fire on the photographs. "
                f"Received: {int((~(mean > 0)).sum())} channels that do not"
            )
        kernel = arrays[f"{layer.name}/kernel"].astype(np.float64)
        bias = arrays[f"{layer.name}/bias"].astype(np.float64)
        kernel = kernel * before[:, None] / mean
        scaled[f"{layer.name}/kernel"] = kernel.astype(np.float32)
        scaled[f"{layer.name}/bias"] = (bias / mean).astype(np.float32)
        before = mean
    return scaled
