"""Measures pictures as they are made: what `--metrics` adds to a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from model.adain.ruler import Goal, Measurement, Moments
from model.config import STYLE_LAYERS
from model.networks.regions import RegionMasks
from transforms.elements import ImageError, ImageRef
from transforms.images.load import style_pixels
from transforms.steps.model_handler import network_error
from transforms.stylize.blocks import Painted, Pixels, StylizeBlock, blend
from transforms.stylize.masks import load_regions
from transforms.stylize.network import SharedStylizer


def measured(
    model: SharedStylizer,
    block: StylizeBlock,
    place: int,
    result: Painted | ImageError,
    style_size: int,
) -> Painted | ImageError:
    """Return a picture with its quality, where that is wanted.

    A picture that cannot be measured is a picture nevertheless: its note says why, and
    the next run with the same flags makes it again.

    Args:
        model: The networks.
        block: One content and its paintings.
        place: Which of them the picture is.
        result: The picture.
        style_size: Shortest side of the styles in pixels; 0 keeps theirs.
    """
    if isinstance(result, ImageError) or not block.paintings[place].measured:
        return result
    try:
        found = _measure(model, block, place, result.pixels, style_size)
    except ImageError as error:
        return _unmeasured(result, error)
    except (tf.errors.OpError, MemoryError) as error:
        return _unmeasured(result, network_error(error))
    return Painted(
        result.pixels, result.note, metrics_of(found, model.ruler().encoder_sha256)
    )


def metrics_of(
    found: Measurement, ruler_encoder_sha256: str
) -> Mapping[str, float | str]:
    """Return a measurement as the manifest has it: layers named as in the papers.

    With the sha256 of the encoder that measured it: figures of two can be compared
    where it is the same.

    A layer that the encoder lacks is left out, and so are all where no style was asked
    for: the mask of the only style is empty.
    """
    losses = {
        f"style_loss_relu{layer.removeprefix('block')[0]}_1": found.style_losses[layer]
        for layer in STYLE_LAYERS
        if layer in found.style_losses
    }
    return {
        "content_loss": found.content_loss,
        **losses,
        "ssim": found.ssim,
        "ruler_encoder_sha256": ruler_encoder_sha256,
    }


def _unmeasured(picture: Painted, error: ImageError) -> Painted:
    notes = [picture.note] if picture.note else []
    return Painted(picture.pixels, "; ".join([*notes, f"not measured: {error}"]))


def _measure(
    model: SharedStylizer,
    block: StylizeBlock,
    place: int,
    picture: Pixels,
    style_size: int,
) -> Measurement:
    recipe = block.paintings[place].recipe
    image = block.content
    ruler = model.ruler()
    vectors = [
        _style_moments(model, share.sha256, block.styles[share.id], style_size)
        for share in recipe.styles
    ]
    if not recipe.has_regions:
        weights = [share.weight for share in recipe.styles]
        goal = Goal(_mixed(weights, vectors), recipe.alpha)
        return ruler.measure(picture, model.seen(image), goal)
    regions = load_regions(recipe, image)
    styled = np.array(regions.places) >= 0
    # A region without a style has strength 0, so its vectors do not matter.
    chosen = [vectors[max(place, 0)] for place in regions.places]
    goal = Goal(_stacked(chosen), recipe.alpha * styled, styled)
    masks = RegionMasks(regions.shares, regions.weights)
    return ruler.measure(picture, ruler.look(image.pixels, masks), goal)


def _mixed(
    weights: Sequence[float], vectors: Sequence[Sequence[Moments]]
) -> Sequence[Moments]:
    """Return the statistics of a blend, layer by layer."""
    if len(vectors) == 1:
        return vectors[0]
    return [blend(weights, *layer) for layer in _stacked(vectors)]


def _stacked(vectors: Sequence[Sequence[Moments]]) -> Sequence[Moments]:
    """Return style by style as layer by layer, `[styles, channels]` each."""
    return [
        (np.concatenate([m for m, _ in layer]), np.concatenate([s for _, s in layer]))
        for layer in zip(*vectors, strict=True)
    ]


_MOMENTS: dict[tuple[Any, ...], Sequence[Moments]] = {}


def _style_moments(
    model: SharedStylizer, sha256: str, ref: ImageRef, size: int
) -> Sequence[Moments]:
    """Return the statistics of all layers of a style; 8 KB each, so they are kept."""
    ruler = model.ruler()
    key = (ruler.encoder_sha256, ruler.precision, sha256, size)
    moments = _MOMENTS.get(key)
    if moments is None:
        if len(_MOMENTS) >= 4096:
            _MOMENTS.clear()
        moments = _MOMENTS[key] = ruler.look(style_pixels(ref, size)).moments
    return moments
