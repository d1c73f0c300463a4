"""A trained decoder as a bundle, a SavedModel and a weights file."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf

from model.adain.adain import adain, channel_moments
from model.bundle import Bundle
from model.config import ConvSpec
from model.networks.decoder import build_decoder
from model.networks.encoder import IMAGENET_MEAN_BGR

_IMAGES: Final = (None, None, None, 3)


def trained_bundle(start: Bundle, decoder: Arrays, about: Mapping[str, Any]) -> Bundle:
    """Return the bundle of a trained decoder, its weights rounded to float16.

    Args:
        start: What the training started from; its encoder stays as it is.
        decoder: The trained weights.
        about: What else bundle.json says.

    Raises:
        BundleError: A weight is not a finite float16.
    """
    half = {name: array.astype(np.float16) for name, array in decoder.items()}
    return Bundle.create(
        start.encoder_layers, start.encoder, start.decoder_layers, half, about
    )


def save_weights_h5(bundle: Bundle, path: str) -> None:
    """Write the decoder's weights as Keras does, for `load_weights`.

    Args:
        bundle: Whose decoder.
        path: Must end in `.weights.h5`, as Keras wants it.
    """
    build_decoder(bundle.decoder_layers, bundle.decoder).save_weights(path)


def save_saved_model(bundle: Bundle, folder: str) -> None:
    """Write a SavedModel that needs neither stylebeam nor Keras to be loaded.

    Its signatures take and return float32; pictures are RGB `[batch, height, width, 3]`
    in [0, 1] of any size from 16 pixels a side:

    - `encode_style(image)` → `mean`, `std`, `[batch, channels]`
    - `stylize(content, mean, std, alpha)` → `image` of the content's size; mean and std
      `[batch or 1, channels]`, alpha a scalar in [0, 1]
    - `stylize_image(content, style, alpha)` → `image` of the content's size; the style
      of any size, `[batch or 1, height, width, 3]`
    """
    module = PlainStylizer(bundle)
    tf.saved_model.save(module, folder, signatures=module.signatures())


class PlainStylizer(tf.Module):
    """The stylizer in plain TensorFlow operations.

    As `model.adain.stylizer.Stylizer` in float32, without Keras's objects, which a
    SavedModel would name and look for when it is loaded.

    Args:
        bundle: What to build.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(name="stylizer")
        self._encoder_layers = list(bundle.encoder_layers)
        self._decoder_layers = list(bundle.decoder_layers)
        self._channels = bundle.encoder_layers[-1].out_channels
        self._stride = 2 ** sum(layer.pool_before for layer in bundle.encoder_layers)
        self.encoder_weights = _variables(bundle.encoder)
        self.decoder_weights = _variables(bundle.decoder)

    def signatures(self) -> dict[str, Any]:
        """Return the functions to be saved, by the names of their signatures."""
        image = tf.TensorSpec(_IMAGES, tf.float32)
        moments = tf.TensorSpec((None, self._channels), tf.float32)
        scalar = tf.TensorSpec((), tf.float32)
        functions = {
            "encode_style": (self._encode_style, {"image": image}),
            "stylize": (
                self._stylize,
                {"content": image, "mean": moments, "std": moments, "alpha": scalar},
            ),
            "stylize_image": (
                self._stylize_image,
                {"content": image, "style": image, "alpha": scalar},
            ),
        }
        concrete = {}
        for name, (function, arguments) in functions.items():
            specs = {
                key: tf.TensorSpec(spec.shape, spec.dtype, name=key)
                for key, spec in arguments.items()
            }
            concrete[name] = tf.function(function).get_concrete_function(**specs)
        return concrete

    def _encode_style(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        mean, std = channel_moments(self._encode(image))
        return {"mean": mean, "std": std}

    def _stylize(
        self, content: tf.Tensor, mean: tf.Tensor, std: tf.Tensor, alpha: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        shape = tf.shape(content)
        target = adain(self._encode(content), mean, std, alpha)
        output = _convolve(self._decoder_layers, self.decoder_weights, target)
        output = tf.clip_by_value(output, 0.0, 1.0)
        return {"image": output[:, : shape[1], : shape[2]]}

    def _stylize_image(
        self, content: tf.Tensor, style: tf.Tensor, alpha: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        moments = self._encode_style(style)
        return self._stylize(content, moments["mean"], moments["std"], alpha)

    def _encode(self, image: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(image)
        pads = [[0, 0], [0, -shape[1] % self._stride], [0, -shape[2] % self._stride]]
        image = tf.pad(image, [*pads, [0, 0]], mode="REFLECT")
        mean = tf.constant(IMAGENET_MEAN_BGR, tf.float32)
        image = tf.reverse(image, axis=[-1]) * 255.0 - mean
        return _convolve(self._encoder_layers, self.encoder_weights, image)


def _variables(arrays: Arrays) -> dict[str, tf.Variable]:
    return {
        # A dot or slash is no name of an attribute in a SavedModel.
        name.replace("/", "_"): tf.Variable(array.astype(np.float32), trainable=False)
        for name, array in arrays.items()
    }


def _convolve(
    layers: Sequence[ConvSpec], weights: Mapping[str, tf.Variable], features: tf.Tensor
) -> tf.Tensor:
    for layer in layers:
        if layer.pool_before:
            features = tf.nn.max_pool2d(features, 2, 2, "VALID")
        if layer.upsample_before:
            features = tf.repeat(tf.repeat(features, 2, axis=1), 2, axis=2)
        side = [layer.kernel // 2] * 2
        mode = "REFLECT" if layer.padding == "reflect" else "CONSTANT"
        features = tf.pad(features, [[0, 0], side, side, [0, 0]], mode=mode)
        features = tf.nn.conv2d(
            features, weights[f"{layer.name}_kernel"], 1, padding="VALID"
        )
        features = tf.nn.bias_add(features, weights[f"{layer.name}_bias"])
        if layer.activation == "relu":
            features = tf.nn.relu(features)
    return features
