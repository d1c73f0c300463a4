"""A SavedModel: plain TensorFlow operations, which need neither stylebeam nor Keras."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from model.adain.adain import adain, channel_moments
from model.bundle import Bundle
from model.config import ConvSpec
from model.networks.encoder import IMAGENET_MEAN_BGR
from model.networks.phases import reflect
from model.npz import Arrays


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
    functions = {
        **module.signatures(),
        tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: module.file_signature(),
    }
    tf.saved_model.save(module, folder, signatures=functions)


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

    def signatures(self, batch: int | None = None) -> dict[str, Any]:
        """Return the functions on arrays, by the names of their signatures.

        Args:
            batch: How many pictures each call takes; None for any number.
        """
        image = tf.TensorSpec((batch, None, None, 3), tf.float32)
        moments = tf.TensorSpec((batch, sum(self._network.channels)), tf.float32)
        scalar = tf.TensorSpec((), tf.float32)
        return {
            "encode_style": _traced(self._encode_style, image=image),
            "stylize": _traced(
                self._stylize, content=image, mean=moments, std=moments, alpha=scalar
            ),
            "stylize_image": _traced(
                self._stylize_image, content=image, style=image, alpha=scalar
            ),
        }

    def file_signature(self) -> Any:
        """Return the function on the bytes of files."""
        file = tf.TensorSpec((), tf.string)
        scalar = tf.TensorSpec((), tf.float32)
        return _traced(self._stylize_files, content=file, style=file, alpha=scalar)

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


def _traced(function: Callable[..., Any], **arguments: tf.TensorSpec) -> Any:
    specs = {
        name: tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, spec in arguments.items()
    }
    return tf.function(function).get_concrete_function(**specs)


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
        # Nearest; `tf.repeat` would lose the number of channels, which TFLite needs.
        features = tf.nn.depth_to_space(tf.concat([features] * 4, -1), 2)
    padding = "SAME"
    if layer.padding == "reflect" and layer.kernel > 1:
        features, padding = reflect(features, layer.kernel // 2), "VALID"
    features = tf.nn.conv2d(features, weights[f"{layer.name}_kernel"], 1, padding)
    features = tf.nn.bias_add(features, weights[f"{layer.name}_bias"])
    if added is not None:
        features += added
    return tf.nn.relu(features) if layer.activation == "relu" else features
