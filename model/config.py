"""What a network is made of, as plain data; imports no TensorFlow.

An encoder or a decoder is a tuple of `ConvSpec`, one a convolution, in order. The
same description is built into Keras layers (`model.networks.keras_network`), written to
and read from a bundle (`model.bundle`), and mirrored into a decoder
(`model.networks.decoder`).
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

Network = Literal["vgg16", "vgg19"]
Padding = Literal["reflect", "zero", "none"]
Activation = Literal["relu", "linear"]
Precision = Literal["float32", "bfloat16"]
# Keras's dtype policies; the mixed one trains, with float32 weights.
Policy = Literal["float32", "bfloat16", "mixed_bfloat16"]

# Where AdaIN works (relu4_1) and what its style loss compares (relu1_1 … relu4_1):
# Huang & Belongie 2017, section 6, https://arxiv.org/abs/1703.06868.
ADAIN_LAYER: Final = "block4_conv1"
STYLE_LAYERS: Final = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1")

# Three 2x2 poolings lie before relu4_1: a picture is padded to a multiple of this.
STRIDE: Final = 8

_JSON_TYPES: Final = {
    "name": str,
    "in": int,
    "out": int,
    "kernel": int,
    "activation": str,
    "pool_before": bool,
    "upsample_before": bool,
    "padding": str,
}


@dataclasses.dataclass(frozen=True, slots=True)
class ConvSpec:
    """One convolution and what comes before and after it.

    Attributes:
        name: Name of the Keras layer and of the arrays `<name>/kernel`, `<name>/bias`.
        in_channels: Channels that go in.
        out_channels: Channels that come out.
        kernel: Side of the square kernel in pixels, odd.
        activation: What follows the convolution.
        pool_before: Whether a 2x2 max pooling of stride 2 comes first.
        upsample_before: Whether a nearest ×2 upsampling comes first.
        padding: How the borders are filled so that the size stays: by reflection
            (without the border pixel itself) or with zeros; or `none`, and the size
            shrinks by `kernel` - 1, as in the head of a VGG. No bundle has that.
    """

    name: str
    in_channels: int
    out_channels: int
    kernel: int = 3
    activation: Activation = "relu"
    pool_before: bool = False
    upsample_before: bool = False
    padding: Padding = "reflect"

    def __post_init__(self) -> None:
        if self.in_channels < 1 or self.out_channels < 1:
            raise ValueError(f"A layer needs channels. Received: {self}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"`kernel` must be odd. Received: {self}")
        if self.activation not in get_args(Activation):
            raise ValueError(f"`activation` must be relu or linear. Received: {self}")
        if self.padding not in get_args(Padding):
            raise ValueError(
                f"`padding` must be reflect or zero, or none. Received: {self}"
            )
        if self.pool_before and self.upsample_before:
            raise ValueError(f"A layer cannot both pool and upsample. Received: {self}")

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """Shape of the kernel: [height, width, in, out]."""
        return (self.kernel, self.kernel, self.in_channels, self.out_channels)

    def to_json(self) -> dict[str, Any]:
        """Return the layer as a bundle describes it."""
        return {
            "name": self.name,
            "in": self.in_channels,
            "out": self.out_channels,
            "kernel": self.kernel,
            "activation": self.activation,
            "pool_before": self.pool_before,
            "upsample_before": self.upsample_before,
            "padding": self.padding,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ConvSpec":
        """Return the layer that `to_json` described.

        Raises:
            ValueError: A property is missing, unknown, of another type or out of range.
        """
        if not isinstance(value, Mapping):
            raise ValueError(f"A layer must be an object. Received: {value!r}")
        missing = [name for name in _JSON_TYPES if name not in value]
        if missing:
            raise ValueError(f"A layer lacks {missing}. Received: {value}")
        unknown = [name for name in value if name not in _JSON_TYPES]
        if unknown:
            raise ValueError(f"Unknown layer properties {unknown}. Received: {value}")
        for name, kind in _JSON_TYPES.items():
            # `is`: True is an int to isinstance.
            if type(value[name]) is not kind:
                raise ValueError(
                    f"Layer property {name!r} must be {kind.__name__}. "
                    f"Received: {value}"
                )
        if value["padding"] == "none":
            raise ValueError(f"`padding` must be reflect or zero. Received: {value}")
        return cls(
            name=value["name"],
            in_channels=value["in"],
            out_channels=value["out"],
            kernel=value["kernel"],
            activation=value["activation"],
            pool_before=value["pool_before"],
            upsample_before=value["upsample_before"],
            padding=value["padding"],
        )


def read_json(data: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: It is not JSON, or is nested beyond what Python reads.
    """
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("values are nested in one another too deeply") from error


def canonical_json(value: Any) -> bytes:
    r"""Return the JSON of every file of ours: UTF-8, sorted keys, 2-space indent.

    Equal values give equal bytes, so that files and hashes can be compared. A file name
    may have bytes that are no UTF-8: they stand as the text `\xNN`, as in keys.

    >>> canonical_json("caf\udce9")
    b'"caf\\\\xe9"\n'
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:
        text = re.sub("[\ud800-\udfff]", _escaped, text)
        return f"{text}\n".encode()


def _escaped(match: re.Match[str]) -> str:
    """Return half a character, inside a JSON string, as a text that names its byte."""
    code = ord(match[0])
    return rf"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else rf"\\u{code:04x}"
