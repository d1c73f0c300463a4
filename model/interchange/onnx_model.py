"""ONNX: the graph is written by hand from the layers of a bundle.

The networks are convolutions, pooling, doubling, ReLU and statistics, so the graph is a
page of nodes; a converter would bring its own versions of everything
(docs/adr/0017-interchange.md). Needs the package `onnx`, of the extra `interchange`.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.adain.adain import EPSILON
from model.bundle import Bundle
from model.config import ConvSpec
from model.networks.encoder import IMAGENET_MEAN_BGR
from model.npz import Arrays

# Reflection, and all else we use, is old: runtimes of 2022 read these.
_OPSET: Final = 17
_IR_VERSION: Final = 8

_PICTURE: Final = "float32 RGB in [0, 1], at least 16 pixels a side"


def onnx_model(bundle: Bundle) -> bytes:
    """Return an ONNX model that stylizes; equal bundles give equal bytes.

    Inputs are `content` `[batch, height, width, 3]` and `style` `[batch or 1, any
    height, any width, 3]`, float32 RGB in [0, 1], and `alpha`, a float32 scalar in
    [0, 1]; the output is `image`, of the content's shape. Sides are at least 16 pixels.

    Args:
        bundle: What to write.
    """
    graph = _Graph(bundle)
    image = graph.stylized("content", "style", "alpha")
    made = helper.make_graph(
        [*graph.nodes, helper.make_node("Identity", [image], ["image"])],
        "stylize",
        [
            _value("content", ["batch", "height", "width", 3], _PICTURE),
            _value("style", ["styles", "style_height", "style_width", 3], _PICTURE),
            _value("alpha", [], "strength of the style in [0, 1]"),
        ],
        [_value("image", ["batch", "height", "width", 3], _PICTURE)],
        graph.constants,
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="stylebeam",
    )
    helper.set_model_props(model, {"bundle_id": bundle.bundle_id})
    return bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """Nodes and constants of a graph that grows; maps are `[batch, channels, h, w]`.

    Args:
        bundle: Whose networks.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._network = bundle.architecture
        self._encoder = self._weights(
            self._network.encoder_convolutions, bundle.encoder
        )
        self._decoder = self._weights(
            self._network.decoder_convolutions, bundle.decoder
        )

    def stylized(self, content: str, style: str, alpha: str) -> str:
        """Add the whole way; returns the name of the picture."""
        taps = self._encode(content)
        lines = [self._moments(tap) for tap in self._encode(style)]
        targets = [
            self._adain(tap, *line, alpha)
            for tap, line in zip(taps, lines, strict=True)
        ]
        shape = self.add("Shape", content)
        sides = [self.add("Gather", shape, self.ints([place])) for place in (1, 2)]
        image = self.add("Transpose", self._decode(targets), perm=[0, 2, 3, 1])
        image = self.add("Clip", image, self.floats(0.0), self.floats(1.0))
        size = self.add("Concat", *sides, axis=0)
        return self.add("Slice", image, self.ints([0, 0]), size, self.ints([1, 2]))

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; returns the name of its result."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def ints(self, values: Sequence[int]) -> str:
        """Return the name of a constant, int64."""
        return self._constant(np.array(values, np.int64))

    def floats(self, values: npt.ArrayLike) -> str:
        """Return the name of a constant, float32."""
        return self._constant(np.array(values, np.float32))

    def _constant(self, array: npt.NDArray[Any], name: str = "") -> str:
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def _weights(
        self, layers: Sequence[ConvSpec], arrays: Arrays
    ) -> dict[str, list[str]]:
        """Add the weights of layers; returns the names of kernel and bias by layer."""
        named = {}
        for layer in layers:
            kernel = arrays[f"{layer.name}/kernel"].astype(np.float32)
            if layer is self._network.encoder_layers[0]:
                kernel = kernel[:, :, ::-1]  # The picture stays RGB.
            bias = arrays[f"{layer.name}/bias"].astype(np.float32)
            named[layer.name] = [
                self._constant(
                    np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)),
                    f"{layer.name}/kernel",
                ),
                self._constant(bias, f"{layer.name}/bias"),
            ]
        return named

    def _encode(self, picture: str) -> list[str]:
        """Add the encoder; returns what AdaIN aligns, tap by tap."""
        features = self.add("Mul", self._padded(picture), self.floats(255.0))
        features = self.add("Sub", features, self.floats(IMAGENET_MEAN_BGR[::-1]))
        divisor = self.floats(self._network.input_divisor)
        features = self.add("Div", features, divisor)
        features = self.add("Transpose", features, perm=[0, 3, 1, 2])
        projections = {tap.layer: tap.projection for tap in self._network.taps}
        aligned = []
        for layer in self._network.encoder_layers:
            features = self._convolve(layer, self._encoder, features)
            if layer.name in projections:
                projection = projections[layer.name]
                aligned.append(
                    features
                    if projection is None
                    else self._convolve(projection, self._encoder, features)
                )
        return aligned

    def _padded(self, picture: str) -> str:
        """Add the reflection of a picture to a multiple of the encoder's stride."""
        sides = self.add(
            "Slice", self.add("Shape", picture), *map(self.ints, ([1], [3]))
        )
        more = self.add(
            "Mod", self.add("Neg", sides), self.ints([self._network.stride])
        )
        pads = self.add("Concat", self.ints([0] * 5), more, self.ints([0]), axis=0)
        return self.add("Pad", picture, pads, mode="reflect")

    def _moments(self, features: str) -> tuple[str, str]:
        """Add `model.adain.adain.channel_moments`, `[batch, channels, 1, 1]` each."""
        mean = self.add("ReduceMean", features, axes=[2, 3])
        away = self.add("Sub", features, mean)
        squares = self.add("Mul", away, away)
        variance = self.add("ReduceMean", squares, axes=[2, 3])
        return mean, self.add("Sqrt", self.add("Add", variance, self.floats(EPSILON)))

    def _adain(self, features: str, mean: str, std: str, alpha: str) -> str:
        """Add `model.adain.adain.adain`."""
        own_mean, own_std = self._moments(features)
        ratio = self.add("Div", std, own_std)
        rest = self.add("Sub", self.floats(1.0), alpha)
        scale = self.add("Add", self.add("Mul", alpha, ratio), rest)
        away = self.add("Sub", mean, self.add("Mul", ratio, own_mean))
        shift = self.add("Mul", alpha, away)
        return self.add("Add", self.add("Mul", features, scale), shift)

    def _decode(self, targets: Sequence[str]) -> str:
        """Add the decoder; returns the picture, not clipped, channels first."""
        network = self._network
        skips = {skip.added_to: skip for skip in network.skips}
        features = targets[-1]
        for layer in network.decoder_layers:
            added = None
            if skip := skips.get(layer.name):
                target = targets[network.place(skip.tap)]
                added = self._convolve(skip.projection, self._decoder, target)
            features = self._convolve(layer, self._decoder, features, added)
        return features

    def _convolve(
        self,
        layer: ConvSpec,
        weights: dict[str, list[str]],
        features: str,
        added: str | None = None,
    ) -> str:
        if layer.pool_before:
            features = self.add(
                "MaxPool", features, kernel_shape=[2, 2], strides=[2, 2]
            )
        if layer.upsample_before:
            scales = self.floats([1.0, 1.0, 2.0, 2.0])
            features = self.add(
                "Resize",
                features,
                "",
                scales,
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        side = layer.kernel // 2
        pads = [0, 0, side, side] * 2
        if layer.padding == "reflect" and side:
            features = self.add("Pad", features, self.ints(pads), mode="reflect")
            side = 0
        features = self.add("Conv", features, *weights[layer.name], pads=[side] * 4)
        if added is not None:
            features = self.add("Add", features, added)
        if layer.activation == "relu":
            features = self.add("Relu", features)
        return features


def _value(name: str, shape: list[int | str], about: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape, about)
