"""The styles of a run, and the picture of the packaged bundle to start from."""

import functools
from collections.abc import Sequence

import numpy as np

from model.adain.stylizer import Stylizer
from model.bundle import load_bundle
from model.config import Precision
from model.gatys.styles import Styles
from model.networks.regions import RegionMasks
from model.pixels import Pixels
from transforms.elements import ImageError, Reason
from transforms.images.masks import Regions
from transforms.optimize.runs import StyleUse
from transforms.optimize.settings import START_BUNDLE


def choose_styles(
    uses: Sequence[StyleUse], regions: Regions | None, pictures: Sequence[Pixels]
) -> Styles:
    """Return the styles of a run as the optimisation takes them.

    Args:
        uses: The styles of the run.
        regions: Where they are; None where all of them are everywhere.
        pictures: The pixels of the styles, each style once.
    """
    keys = [use.original.ref.key for use in uses]
    names = list(dict.fromkeys(keys))
    places = [names.index(key) for key in keys]
    if regions is None:
        weights = np.zeros(len(names))
        np.add.at(weights, places, [use.weight for use in uses])
        return Styles(pictures, tuple(weights.tolist()))
    masks = RegionMasks(regions.shares, regions.weights)
    owners = [places[place] if place >= 0 else -1 for place in regions.places]
    return Styles.in_regions(pictures, masks, owners)


def paint_start(content: Pixels, styles: Styles, precision: Precision) -> Pixels:
    """Return what the packaged bundle paints of a content: AdaIN at full strength.

    Args:
        content: uint8 RGB `[height, width, 3]`.
        styles: The styles; where there is none the content stays as it is.
        precision: Type of the convolutions.

    Raises:
        ImageError: The picture is not finite.
    """
    stylizer = _stylizer(precision)
    vectors = [stylizer.encode_style(picture[None]) for picture in styles.pictures]
    mean, std = (np.concatenate(part) for part in zip(*vectors, strict=True))
    encoded = stylizer.encode_content(content[None])
    if styles.masks is None:
        shares = np.array(styles.weights)[:, None]
        mixed = [
            np.sum(shares * part, 0, keepdims=True).astype(np.float32)
            for part in (mean, std)
        ]
        painted, finite = stylizer.paint(encoded, *mixed)
    else:
        chosen = np.maximum(styles.places, 0)
        alphas = [1.0 if place >= 0 else 0.0 for place in styles.places]
        painted, finite = stylizer.paint_regions(
            encoded, styles.masks, mean[chosen], std[chosen], alphas
        )
    if not finite[0]:
        raise ImageError(Reason.MODEL_ERROR, "The network gave NaN or infinity.")
    return painted[0]


@functools.lru_cache(maxsize=1)
def _stylizer(precision: Precision) -> Stylizer:
    return Stylizer(load_bundle(START_BUNDLE), precision)
