"""What `stylebeam import-weights` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
from typing import Literal

from model.options import option, required


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImportWeightsConfig:
    """What `stylebeam import-weights` was asked to do."""

    source: Literal["pytorch-adain"] = option(
        "pytorch-adain",
        "layout of the files; pytorch-adain is that of naoto0804/pytorch-AdaIN, VGG-19",
    )
    encoder: str = required(
        "file of the encoder, .pth or .safetensors, such as vgg_normalised.pth",
        metavar="FILE",
        path="read",
    )
    decoder: str = required(
        "file of the decoder, .pth or .safetensors, such as decoder.pth",
        metavar="FILE",
        path="read",
    )
    output: str = required(
        "folder or URL of the bundle", metavar="BUNDLE", path="written"
    )
    license: str = required(
        "licence of the weights as their publisher states it; it goes into the bundle",
        metavar="TEXT",
    )
