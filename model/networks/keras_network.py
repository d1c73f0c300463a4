"""Builds the Keras network that a list of `ConvSpec` describes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.config import ConvSpec, Policy
from model.tensorflow_keras import keras

Arrays = Mapping[str, npt.NDArray[Any]]


@keras.saving.register_keras_serializable(package="stylebeam")
class ReflectionPadding2D(keras.layers.Layer):
    """Pads height and width by reflection, the border pixel itself not repeated.

    `[batch, height, width, channels]` becomes
    `[batch, height + 2 * padding, width + 2 * padding, channels]`, dtype kept.

    A registered layer, because Keras has none and refuses to load a Lambda.

    Args:
        padding: Pixels added on each side; less than height and width.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, padding: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs: Any) -> Any:
        """Return the padded features."""
        sides = (self.padding, self.padding)
        return keras.ops.pad(inputs, ((0, 0), sides, sides, (0, 0)), mode="reflect")

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> tuple[int | None, ...]:
        """Return the padded shape, unknown sides left unknown."""
        batch, height, width, channels = input_shape
        grown = [s if s is None else s + 2 * self.padding for s in (height, width)]
        return (batch, *grown, channels)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return super().get_config() | {"padding": self.padding}


def build_network(
    layers: Sequence[ConvSpec],
    *,
    taps: Sequence[str] | None = None,
    preprocessing: keras.layers.Layer | None = None,
    precision: Policy = "float32",
    name: str,
) -> keras.Model:
    """Build a network of convolutions from its description.

    A pooling before the first convolution of block 2 is named `block1_pool`, as in
    Keras's VGG; an upsampling before `x` is named `x_upsample`. Layers behind the last
    tap are not built.

    Args:
        layers: The convolutions, in order.
        taps: Names of the layers whose output is wanted; the last layer when None.
        preprocessing: First layer, computed in float32.
        precision: Type of weights and features, save for the first and the last
            convolution of an RGB picture, which stay in float32: they cost 1 % of the
            work and hold the picture's own precision.
        name: Name of the Keras model.

    Returns:
        A model from float32 `[batch, height, width, in_channels]` to the tap's output
        `[batch, h, w, channels]` (a list of them when `taps` names several).

    Raises:
        ValueError: A tap is not a layer of the network, or channels do not fit.
    """
    inputs = keras.Input((None, None, layers[0].in_channels), name="input")
    features = inputs if preprocessing is None else preprocessing(inputs)
    wanted = [layers[-1].name] if taps is None else list(taps)
    outputs: dict[str, Any] = {}
    channels = layers[0].in_channels
    for spec in layers:
        if spec.in_channels != channels:
            raise ValueError(
                f"Layer {spec.name} takes {spec.in_channels} channels, but "
                f"{channels} come in."
            )
        if spec.pool_before:
            pool = _pool_name(spec.name)
            features = keras.layers.MaxPooling2D(2, name=pool, dtype=precision)(
                features
            )
            outputs[pool] = features
        if spec.upsample_before:
            features = keras.layers.UpSampling2D(
                2, name=f"{spec.name}_upsample", dtype=precision
            )(features)
        features = convolve(spec, features, precision)
        outputs[spec.name] = features
        channels = spec.out_channels
        if all(tap in outputs for tap in wanted):
            break
    missing = [tap for tap in wanted if tap not in outputs]
    if missing:
        raise ValueError(
            f"Unknown layers {missing}. The layers of {name} are: {', '.join(outputs)}"
        )
    tapped = [outputs[tap] for tap in wanted]
    return keras.Model(inputs, tapped[0] if len(tapped) == 1 else tapped, name=name)


def convolve(spec: ConvSpec, features: Any, precision: Policy) -> Any:
    """Return features behind a convolution and its activation, as `build_network`."""
    dtype = "float32" if 3 in (spec.in_channels, spec.out_channels) else precision
    padding = "valid" if spec.padding == "none" else "same"
    if spec.padding == "reflect" and spec.kernel > 1:
        padding = "valid"
        features = ReflectionPadding2D(
            spec.kernel // 2, name=f"{spec.name}_pad", dtype=dtype
        )(features)
    return keras.layers.Conv2D(
        spec.out_channels,
        spec.kernel,
        padding=padding,
        activation=spec.activation,
        name=spec.name,
        dtype=dtype,
    )(features)


def _pool_name(conv_name: str) -> str:
    block, _, _ = conv_name.partition("_")
    number = block.removeprefix("block")
    return f"block{int(number) - 1}_pool" if number.isdigit() else f"{conv_name}_pool"


def check_arrays(layers: Sequence[ConvSpec], arrays: Arrays, *, origin: str) -> None:
    """Check that arrays are the finite weights of these layers.

    Args:
        layers: The layers that the arrays belong to.
        arrays: `<name>/kernel` [height, width, in, out] and `<name>/bias` [out].
        origin: Where the arrays come from, for the error message.

    Raises:
        ValueError: An array is missing, has another shape, or is not finite.
    """
    for spec in layers:
        for part, shape in (
            ("kernel", spec.kernel_shape),
            ("bias", (spec.out_channels,)),
        ):
            array_name = f"{spec.name}/{part}"
            if array_name not in arrays:
                raise ValueError(f"{origin} has no array {array_name}.")
            array = arrays[array_name]
            if array.shape != shape:
                raise ValueError(
                    f"Array {array_name} of {origin} must have shape {shape}. "
                    f"Received: shape={array.shape}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"Array {array_name} of {origin} is not finite.")


def set_weights(network: keras.Model, arrays: Arrays) -> None:
    """Assign the arrays to the convolutions of a network, by layer name.

    Args:
        network: Made by `build_network`.
        arrays: `<name>/kernel` and `<name>/bias` of at least its layers, any float
            dtype; more are ignored, since a tapped network has fewer layers.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(arrays[f"{layer.name}/kernel"].astype(np.float32))
            layer.bias.assign(arrays[f"{layer.name}/bias"].astype(np.float32))


def get_weights(network: keras.Model) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights of a network as `set_weights` takes them, in float32."""
    arrays = {}
    for layer in network.layers:
        # A VGG with its head has dense layers, too.
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            for part in ("kernel", "bias"):
                # Not convert_to_numpy: NumPy 2 warns of its __array__ on variables.
                value = keras.ops.cast(getattr(layer, part), "float32")
                arrays[f"{layer.name}/{part}"] = value.numpy()
    return arrays
