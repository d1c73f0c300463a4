"""The family for inference: what a style changes is made small.

AdaIN is a line a channel, t = a p + d, and what follows is linear: a skip gives
P t + c = (P diag(a) Q) f + P (a b + d) + c, with p = Q f + b the linear projection of
the tap's own activations f. So a style changes a small matrix and a bias, f is shared
by all styles of a content, and p is never made. The decoder's first convolution takes
its kernel from the same product.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from model.architecture import Architecture, Tap
from model.config import ConvSpec, Precision
from model.networks.inference_network import FastDecoder, fast_encoder
from model.networks.keras_network import Arrays, check_arrays
from model.networks.phases import reflect


def fast_level_encoder(
    network: Architecture, arrays: Arrays, *, precision: Precision = "float32"
) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Return a function from pictures to the maps of their taps, to be traced.

    Args:
        network: What it is made of.
        arrays: The encoder's weights and those of the taps' projections.
        precision: Type of weights and activations.

    Returns:
        A function from float32 RGB `[batch, height, width, 3]` in [0, 1] to a list of
        `[batch, h, w, map channels]` of the given precision.

    Raises:
        ValueError: The arrays are not those of the layers.
    """
    check_arrays(network.encoder_convolutions, arrays, origin="the encoder")
    encode = fast_encoder(
        network.encoder_layers,
        arrays,
        precision=precision,
        taps=[tap.layer for tap in network.taps],
        input_divisor=network.input_divisor,
    )
    dtype = tf.as_dtype(precision)
    projections = [
        None if tap.linear else _pointwise(tap.projection, arrays)
        for tap in network.taps
    ]

    def encode_maps(images: tf.Tensor) -> list[tf.Tensor]:
        maps = []
        for features, projection in zip(encode(images), projections, strict=True):
            if projection is not None and projection[0] is not None:
                matrix, bias = (tf.cast(part, dtype) for part in projection)
                features = tf.nn.conv2d(features, matrix[None, None], 1, "VALID")
                features = tf.nn.relu(tf.nn.bias_add(features, bias))
            maps.append(features)
        return maps

    return encode_maps


class LevelDecoder:
    """The way from the maps of a content's taps and AdaIN's lines to pictures.

    A map is what is kept of a tap, `[contents, h, w, map channels]`: its activations,
    behind a projection that has a ReLU, before one that is linear. A line is scale and
    shift, float32 `[styles, channels]` of all taps in their order. To be traced.

    Args:
        network: What it is made of.
        encoder: The encoder's weights, for the taps' projections.
        decoder: The decoder's weights and the skips'.
        precision: Type of the decoder's convolutions; AdaIN and what is folded into it
            are float32.

    Raises:
        ValueError: The arrays are not those of the layers.
    """

    def __init__(
        self,
        network: Architecture,
        encoder: Arrays,
        decoder: Arrays,
        precision: Precision = "float32",
    ) -> None:
        check_arrays(network.decoder_convolutions, decoder, origin="the decoder")
        self._network = network
        self._decode = FastDecoder(
            network.decoder_layers,
            decoder,
            precision=precision,
            skips_to=[skip.added_to for skip in network.skips],
        )
        self._last = _Level(network.taps[-1], encoder)
        self._skips = [
            (
                skip.added_to,
                network.place(skip.tap),
                _Level(
                    network.taps[network.place(skip.tap)],
                    encoder,
                    skip.projection,
                    decoder,
                ),
            )
            for skip in network.skips
        ]
        self._start = self._folded_start(network, encoder, decoder)

    def __call__(
        self, maps: Sequence[tf.Tensor], scale: tf.Tensor, shift: tf.Tensor
    ) -> tf.Tensor:
        """Return float32 RGB `[styles, height, width, 3]`, not clipped.

        Args:
            maps: Maps of one content for all the styles, or of one for each.
            scale: float32 `[styles, channels of all taps]`.
            shift: float32 of the same shape.
        """
        lines = self._split(scale, shift)
        added = {}
        for layer, place, level in self._skips:
            matrix, bias = level.folded(*lines[place])
            values = tf.matmul(_rows(maps[place]), matrix) + bias[:, None]
            added[layer] = _map_of(values, maps[place])
        if self._start is None:
            target = self._last.target(maps[-1], *lines[-1])
            return self._decode(target, added)
        return self._decode(self._start(maps[-1], *lines[-1]), added, first=1)

    def regions(
        self,
        maps: Sequence[tf.Tensor],
        masks: Sequence[tf.Tensor],
        scale: tf.Tensor,
        shift: tf.Tensor,
    ) -> tf.Tensor:
        """Return float32 RGB `[1, height, width, 3]`, each region by its own line.

        P (sum_r m_r (a_r p + d_r)) = sum_r m_r (P diag(a_r) p + P d_r).

        Args:
            maps: Maps of one content.
            masks: float32 `[regions, h, w]` of each tap, which add up to 1.
            scale: float32 `[regions, channels of all taps]`.
            shift: float32 of the same shape.
        """
        lines = self._split(scale, shift)
        added = {}
        for layer, place, level in self._skips:
            parts = (_rows(masks[place][..., None]), *level.folded(*lines[place]))
            values = _mixed(_rows(maps[place])[0], parts)
            added[layer] = _map_of(values[None], maps[place])
        scales, shifts = (
            tf.einsum("rhw,rc->hwc", masks[-1], vectors)[None] for vectors in lines[-1]
        )
        return self._decode(self._last.projected(maps[-1]) * scales + shifts, added)

    def _split(
        self, scale: tf.Tensor, shift: tf.Tensor
    ) -> list[tuple[tf.Tensor, tf.Tensor]]:
        channels = list(self._network.channels)
        return list(
            zip(tf.split(scale, channels, 1), tf.split(shift, channels, 1), strict=True)
        )

    def _folded_start(
        self, network: Architecture, encoder: Arrays, decoder: Arrays
    ) -> "_FoldedStart | None":
        """Return the first convolution with the line and the projection inside it.

        Folding takes 9 C A w multiply-adds a style (C channels, w of the map, A of the
        first layer) and saves 9 n A (C - w) of n cells: the default bundle gains from
        171 cells on, a square of 105 pixels.
        """
        first = network.decoder_layers[0]
        constant_stays_constant = first.padding == "reflect" or first.kernel == 1
        added = any(skip.added_to == first.name for skip in network.skips)
        alone = len(network.decoder_layers) == 1
        if (
            network.taps[-1].linear is None
            or network.map_channels[-1] >= network.channels[-1]
            or not constant_stays_constant
            or added
            or alone
            or first.upsample_before
        ):
            return None
        return _FoldedStart(self._last, first, decoder)


class _Level:
    """One tap, and the linear map that follows AdaIN there.

    Args:
        tap: The tap.
        encoder: Weights, for its projection.
        projection: What follows AdaIN, a 1x1 convolution; None for nothing.
        decoder: Its weights.
    """

    def __init__(
        self,
        tap: Tap,
        encoder: Arrays,
        projection: ConvSpec | None = None,
        decoder: Arrays | None = None,
    ) -> None:
        # [map channels, channels] and [channels].
        self.matrix, self.bias = _pointwise(tap.linear, encoder)
        # [channels, out] and [out].
        self._out, self._out_bias = _pointwise(projection, decoder or {})

    def projected(self, features: tf.Tensor) -> tf.Tensor:
        """Return what AdaIN acts on, float32 `[contents, h, w, channels]`."""
        features = tf.cast(features, tf.float32)
        if self.matrix is None:
            return features
        return tf.nn.conv2d(features, self.matrix[None, None], 1, "VALID") + self.bias

    def target(
        self, features: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
    ) -> tf.Tensor:
        """Return AdaIN's features, float32 `[styles, h, w, channels]`."""
        projected = self.projected(features)
        return projected * scale[:, None, None, :] + shift[:, None, None, :]

    def line(self, scale: tf.Tensor, shift: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return AdaIN on the map: `[styles, map channels, channels]` and its bias."""
        if self.matrix is None:
            return tf.linalg.diag(scale), shift
        return self.matrix * scale[:, None, :], scale * self.bias + shift

    def folded(self, scale: tf.Tensor, shift: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return AdaIN and what follows: `[styles, map channels, out]` and its bias."""
        if self.matrix is None:
            matrix, bias = scale[:, :, None] * self._out, shift
        else:
            line, bias = self.line(scale, shift)
            matrix = tf.einsum("snc,co->sno", line, self._out)
        return matrix, bias @ self._out + self._out_bias


class _FoldedStart:
    """AdaIN and the decoder's first convolution, its windows times a matrix a style.

    Args:
        level: The last tap, whose projection is linear.
        first: The convolution, by reflection, so that a constant stays constant.
        arrays: Its weights.
    """

    def __init__(self, level: _Level, first: ConvSpec, arrays: Arrays) -> None:
        self._level = level
        self._first = first
        kernel = arrays[f"{first.name}/kernel"].astype(np.float32)
        self._bias = arrays[f"{first.name}/bias"].astype(np.float32)
        self._sum = kernel.sum((0, 1))
        # [channels, windows * out]
        channels, out = first.in_channels, first.out_channels
        places = first.kernel**2
        by_channel = kernel.reshape(places, channels, out).transpose(1, 0, 2)
        self._kernel = by_channel.reshape(channels, places * out)

    def __call__(
        self, features: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
    ) -> tf.Tensor:
        """Return the layer's output, float32 `[styles, h, w, out]`."""
        first, features = self._first, tf.cast(features, tf.float32)
        line, constant = self._level.line(scale, shift)
        out, places = first.out_channels, first.kernel**2
        width = int(features.shape[-1])
        folded = tf.reshape(line, [-1, first.in_channels]) @ self._kernel
        folded = tf.reshape(folded, [-1, width, places, out])
        folded = tf.reshape(
            tf.transpose(folded, [0, 2, 1, 3]), [-1, places * width, out]
        )
        bias = constant @ self._sum + self._bias
        padded = reflect(features, first.kernel // 2)
        height, breadth = tf.shape(features)[1], tf.shape(features)[2]
        windows = tf.concat(
            [
                padded[:, y : y + height, x : x + breadth]
                for y in range(first.kernel)
                for x in range(first.kernel)
            ],
            -1,
        )
        values = _map_of(tf.matmul(_rows(windows), folded) + bias[:, None], features)
        return tf.nn.relu(values) if first.activation == "relu" else values


def _rows(features: tf.Tensor) -> tf.Tensor:
    """Return `[batch, h, w, channels]` as float32 `[batch, h w, channels]`."""
    shape = tf.shape(features)
    rows = tf.reshape(features, [shape[0], -1, int(features.shape[-1])])
    return tf.cast(rows, tf.float32)


def _map_of(rows: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """Return `[batch, h w, channels]` as high and wide as features are."""
    shape = tf.shape(features)
    return tf.reshape(rows, [-1, shape[1], shape[2], int(rows.shape[-1])])


def _mixed(rows: tf.Tensor, parts: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Return sum_r m_r (rows M_r + bias_r), `[cells, out]`, one region at a time.

    All at once would be so many maps of the picture's size.
    """

    def add(
        total: tf.Tensor, part: tuple[tf.Tensor, tf.Tensor, tf.Tensor]
    ) -> tf.Tensor:
        share, matrix, bias = part
        return total + share * (rows @ matrix + bias)

    return tf.foldl(add, parts, tf.zeros([tf.shape(rows)[0], int(parts[1].shape[-1])]))


def _pointwise(spec: ConvSpec | None, arrays: Arrays) -> tuple[Any, Any]:
    """Return matrix `[in, out]` and bias of a 1x1 convolution; None twice for none."""
    if spec is None:
        return None, None
    kernel, bias = (arrays[f"{spec.name}/{part}"] for part in ("kernel", "bias"))
    return kernel[0, 0].astype(np.float32), bias.astype(np.float32)
