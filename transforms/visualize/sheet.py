"""A sheet: one picture of many maps, where each map is on it, and its name."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from transforms.elements import image_id
from transforms.visualize.settings import COLLECTION, Kind

# Folder of the files with the strongest neurons, and the kind of their rows.
SCORES: Final = "scores"

# Folder of the files with what is known of maps beyond their rows, and their kind.
FACTS: Final = "facts"

TITLES: Final[Mapping[Kind, str]] = {
    Kind.FILTERS: "filters",
    Kind.FEATURES: "feature maps",
    Kind.SALIENCY: "saliency (plain backpropagation)",
    Kind.DECONVNET: "deconvnet",
    Kind.GUIDED: "guided backpropagation",
    Kind.TOP_IMAGES: "what excites a channel most",
    Kind.SMOOTHGRAD: "SmoothGrad",
    Kind.INTEGRATED: "integrated gradients",
    Kind.GRAD_CAM: "Grad-CAM",
    Kind.GRAD_CAM_PLUS_PLUS: "Grad-CAM++",
    Kind.OCCLUSION: "occlusion",
    Kind.CLASSES: "classes",
    Kind.ACTIVATION: "what a channel wants to see",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Tile:
    """One map inside a sheet.

    Attributes:
        layer: Layer of the map; empty for the photograph.
        box: Left, top, width and height in pixels of the sheet.
        channel: Number of the feature map, or of the class where the layer is the
            head's; None for the maximum neurons.
        part: Which view of a gradient it is, or how far a feature visualization is from
            one channel to another; empty elsewhere.
        minimum: Smallest value of the raw map.
        maximum: Largest value of the raw map.
        mean: Mean of the raw map.
        l2: Square root of the sum of squares of the raw map.
        zero: Whether the raw map is zero everywhere.
        rank_correlation: Correlation with the map of the randomised network; None where
            it was not asked for or a map is constant.
        source: Key of the image a top image came from.
        rank: Place of a top image, or of one of several feature visualizations, or the
            column of a comparison, from 1; 0 elsewhere.
    """

    layer: str
    box: tuple[int, int, int, int]
    channel: int | None = None
    part: str = ""
    minimum: float = 0.0
    maximum: float = 0.0
    mean: float = 0.0
    l2: float = 0.0
    zero: bool = False
    rank_correlation: float | None = None
    source: str = ""
    rank: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Sheet:
    """One picture of many maps.

    Attributes:
        path: Name inside the output folder.
        kind: What the sheet shows: a `Kind`, or what is compared.
        layer: Layer of the maps; empty where they are from several.
        scale: Whether feature maps share one scale (`layer`) or have each its own
            (`map`); the baseline of integrated gradients; what a feature visualization
            excites; empty elsewhere.
        data: The PNG.
        size: Width and height in pixels.
        tiles: The maps and their places.
        raw: The maps as numbers, an .npz; None where not asked for.
        facts: What is known of its maps beyond their rows, one entry for each channel
            or class that has some.
    """

    path: str
    kind: enum.StrEnum
    layer: str
    scale: str
    data: bytes
    size: tuple[int, int]
    tiles: Sequence[Tile]
    raw: bytes | None = None
    facts: Sequence[Mapping[str, Any]] = ()


def sheet_path(key: str, kind: enum.StrEnum, layer: str, scale: str = "") -> str:
    """Return the name of an image's sheet inside the output folder.

    >>> sheet_path("a.jpg", Kind.GUIDED, "block5_conv1")
    'sheets/a-jpg-509b0d4641a7/guided-block5_conv1.png'
    """
    name = "-".join(part for part in (str(kind), layer, scale) if part)
    return f"sheets/{image_id(key) if key else COLLECTION}/{name}.png"


def scores_path(key: str) -> str:
    """Return the name of the file with the strongest neurons of an image."""
    return f"{SCORES}/{image_id(key)}.npz"


def facts_path(key: str) -> str:
    """Return the name of the file with what is known of the maps of an image."""
    return f"{FACTS}/{image_id(key)}.json"


def statistics(values: npt.NDArray[Any]) -> dict[str, Any]:
    """Return minimum, maximum, mean, L2 norm and whether a map is zero throughout."""
    exact = values.astype(np.float64)
    return {
        "minimum": float(exact.min()),
        "maximum": float(exact.max()),
        "mean": float(exact.mean()),
        "l2": float(np.sqrt(np.square(exact).sum())),
        "zero": not values.any(),
    }
