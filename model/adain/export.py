"""A trained decoder as a bundle, a SavedModel and a weights file."""

import pathlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import tensorflow as tf

from model.adain.adain import adain, channel_moments
from model.bundle import Bundle
from model.config import ConvSpec
from model.networks.encoder import IMAGENET_MEAN_BGR
from model.networks.level_network import build_level_decoder
from model.npz import Arrays

_IMAGES: Final = (None, None, None, 3)


def trained_bundle(start: Bundle, weights: Arrays, about: Mapping[str, Any]) -> Bundle:
    """Return the bundle of trained networks, what learnt rounded to float16.

    Args:
        start: What the training started from; what did not learn stays as it is.
        weights: The trained weights, of the decoder and of an encoder that learnt.
        about: What else bundle.json says.

    Raises:
        BundleError: A weight is not a finite float16.
    """
    half = {name: array.astype(np.float16) for name, array in weights.items()}
    encoder = {**start.encoder, **half}
    return Bundle.seal(start.architecture, encoder, half, about)


def save_weights_h5(bundle: Bundle, path: str) -> None:
    """Write the decoder's weights, and its skips', as Keras does, for `load_weights`.

    Args:
        bundle: Whose decoder.
        path: Must end in `.weights.h5`, as Keras wants it.
    """
    build_level_decoder(bundle.architecture, bundle.decoder).save_weights(path)


def save_saved_model(bundle: Bundle, folder: str) -> None:
    """Write a SavedModel that needs neither stylebeam nor Keras to be loaded.

    Its signatures take and return float32; pictures are RGB `[batch, height, width, 3]`
    in [0, 1] of any size from 16 pixels a side:

    - `encode_style(image)` → `mean`, `std`, `[batch, channels]`, of all taps one after
      the other
    - `stylize(content, mean, std, alpha)` → `image` of the content's size; mean and std
      `[batch or 1, channels]`, alpha a scalar in [0, 1]
    - `stylize_image(content, style, alpha)` → `image` of the content's size; the style
      of any size, `[batch or 1, height, width, 3]`
    - `serving_default(content, style, alpha)` → `image`: the bytes of files, JPEG or
      PNG in, PNG out, each a scalar string. Neither EXIF's orientation nor colour
      profiles count, alpha is dropped, and no picture is shrunk
    """
    module = PlainStylizer(bundle)
    # TensorFlow would make these folders without the user's umask.
    for part in ("assets", "variables"):
        pathlib.Path(folder, part).mkdir(parents=True, exist_ok=True)
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
        self._network = bundle.architecture
        self.encoder_weights = _variables(bundle.encoder)
        self.decoder_weights = _variables(bundle.decoder)

    def signatures(self) -> dict[str, Any]:
        """Return the functions to be saved, by the names of their signatures."""
        image = tf.TensorSpec(_IMAGES, tf.float32)
        moments = tf.TensorSpec((None, sum(self._network.channels)), tf.float32)
        scalar = tf.TensorSpec((), tf.float32)
        file = tf.TensorSpec((), tf.string)
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
            "serving_default": (
                self._stylize_files,
                {"content": file, "style": file, "alpha": scalar},
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
        found = [channel_moments(tap) for tap in self._encode(image)]
        mean, std = (tf.concat(parts, 1) for parts in zip(*found, strict=True))
        return {"mean": mean, "std": std}

    def _stylize(
        self, content: tf.Tensor, mean: tf.Tensor, std: tf.Tensor, alpha: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        shape = tf.shape(content)
        channels = list(self._network.channels)
        targets = [
            adain(features, style_mean, style_std, alpha)
            for features, style_mean, style_std in zip(
                self._encode(content),
                tf.split(mean, channels, 1),
                tf.split(std, channels, 1),
                strict=True,
            )
        ]
        output = tf.clip_by_value(self._decode(targets), 0.0, 1.0)
        return {"image": output[:, : shape[1], : shape[2]]}

    def _stylize_image(
        self, content: tf.Tensor, style: tf.Tensor, alpha: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        moments = self._encode_style(style)
        return self._stylize(content, moments["mean"], moments["std"], alpha)

    def _stylize_files(
        self, content: tf.Tensor, style: tf.Tensor, alpha: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        picture, painting = _decode_file(content)[None], _decode_file(style)[None]
        image = self._stylize_image(picture, painting, alpha)["image"][0]
        pixels = tf.cast(tf.round(image * 255.0), tf.uint8)
        return {"image": tf.io.encode_png(pixels)}

    def _encode(self, image: tf.Tensor) -> list[tf.Tensor]:
        """Return what AdaIN aligns, tap by tap."""
        network = self._network
        shape = tf.shape(image)
        pads = [
            [0, 0],
            [0, -shape[1] % network.stride],
            [0, -shape[2] % network.stride],
            [0, 0],
        ]
        image = tf.pad(image, pads, mode="REFLECT")
        mean = tf.constant(IMAGENET_MEAN_BGR, tf.float32)
        features = tf.reverse(image, axis=[-1]) * 255.0 - mean
        features /= network.input_divisor
        projections = {tap.layer: tap.projection for tap in network.taps}
        aligned = []
        for layer in network.encoder_layers:
            features = _convolve(layer, self.encoder_weights, features)
            if layer.name in projections:
                projection = projections[layer.name]
                aligned.append(
                    features
                    if projection is None
                    else _convolve(projection, self.encoder_weights, features)
                )
        return aligned

    def _decode(self, targets: list[tf.Tensor]) -> tf.Tensor:
        """Return the picture of AdaIN's features, tap by tap."""
        network, weights = self._network, self.decoder_weights
        skips = {skip.added_to: skip for skip in network.skips}
        features = targets[-1]
        for layer in network.decoder_layers:
            added = None
            if layer.name in skips:
                skip = skips[layer.name]
                target = targets[network.place(skip.tap)]
                added = _convolve(skip.projection, weights, target)
            features = _convolve(layer, weights, features, added)
        return features


def _decode_file(file: tf.Tensor) -> tf.Tensor:
    """Return the picture of a JPEG or PNG file, float32 RGB [height, width, 3], [0, 1].

    Args:
        file: Its bytes, a scalar string.
    """
    # It takes PNG too. As Pillow decodes: the default of TensorFlow is up to five
    # levels off.
    pixels = tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.cast(pixels, tf.float32) / 255.0


def _variables(arrays: Arrays) -> dict[str, tf.Variable]:
    return {
        # A dot or slash is no name of an attribute in a SavedModel.
        name.replace("/", "_"): tf.Variable(array.astype(np.float32), trainable=False)
        for name, array in arrays.items()
    }


def _convolve(
    layer: ConvSpec,
    weights: Mapping[str, tf.Variable],
    features: tf.Tensor,
    added: tf.Tensor | None = None,
) -> tf.Tensor:
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
    if added is not None:
        features += added
    return tf.nn.relu(features) if layer.activation == "relu" else features
