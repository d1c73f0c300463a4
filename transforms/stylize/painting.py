"""Paints the pictures of a block: blends, masks, colours, quality, and failures."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf

from model.adain.keep_colors import keep_chroma, match_colors
from model.adain.stylizer import Content, to_float
from model.networks.regions import RegionMasks
from model.networks.tiling import LEAST_TILE_PIXELS
from transforms.elements import ImageError, PreserveColor, Reason
from transforms.images.load import style_pixels
from transforms.steps.model_handler import network_error
from transforms.stylize.blocks import Painted, Pixels, StylizeBlock, Vectors, blend
from transforms.stylize.masks import load_regions
from transforms.stylize.measure import measured
from transforms.stylize.network import SharedStylizer
from transforms.stylize.plan import Painting

_NOT_FINITE: Final = "The network gave NaN or infinity."

Result = Painted | ImageError


def paint_block(
    model: SharedStylizer,
    block: StylizeBlock,
    preserve_color: PreserveColor,
    style_size: int,
) -> list[Result]:
    """Return the picture of each painting, or why there is none.

    Args:
        model: The networks.
        block: One content and its paintings.
        preserve_color: How the colours of the content are kept.
        style_size: Shortest side of styles whose pixels are needed; 0 keeps theirs.
    """
    if block.paintings and block.paintings[0].recipe.is_original:
        return [Painted(block.content.pixels)]
    if preserve_color == "histogram":
        return [_paint_recolored(model, block, p, style_size) for p in block.paintings]
    if block.paintings and block.paintings[0].recipe.has_regions:
        results = [_try(_paint_masked, model, block, block.style_mean, block.style_std)]
    else:
        places = range(len(block))
        results = list(_paint(model, block, places, block.style_mean, block.style_std))
    if preserve_color == "luminance":
        pixels = block.content.pixels
        results = [_keep_chroma(pixels, result) for result in results]
    return [
        measured(model, block, i, result, style_size)
        for i, result in enumerate(results)
    ]


def _keep_chroma(content: Pixels, result: Result) -> Result:
    if isinstance(result, ImageError):
        return result
    return Painted(keep_chroma(content, result.pixels), result.note)


def _paint(
    model: SharedStylizer,
    block: StylizeBlock,
    places: Sequence[int],
    mean: Vectors,
    std: Vectors,
) -> Iterator[Result]:
    """Yield the picture of each painting; on an error of the model, by halves."""
    chosen = list(places)
    alphas = [block.paintings[i].recipe.alpha for i in chosen]
    try:
        content = model.content(block.content)
        found = _paint_at(model, content, mean[chosen], std[chosen], alphas)
    except (tf.errors.OpError, MemoryError) as error:
        if len(chosen) > 1:
            half = len(chosen) // 2
            yield from _paint(model, block, chosen[:half], mean, std)
            yield from _paint(model, block, chosen[half:], mean, std)
            return
        failure = network_error(error)
        pixels = block.content.pixels
        size = pixels.shape[0] * pixels.shape[1]
        if failure.reason == Reason.OUT_OF_MEMORY and size > LEAST_TILE_PIXELS:
            yield _paint_in_tiles(model, block, chosen, mean, std)
        else:
            yield failure
        return
    yield from found


def _paint_at(
    model: SharedStylizer,
    content: Content,
    mean: Vectors,
    std: Vectors,
    alphas: Sequence[float],
) -> list[Result]:
    pictures, finite = model.get().paint(content, mean, std, alphas)
    return [
        Painted(picture) if good else ImageError(Reason.MODEL_ERROR, _NOT_FINITE)
        for picture, good in zip(pictures, finite, strict=True)
    ]


def _paint_in_tiles(
    model: SharedStylizer,
    block: StylizeBlock,
    chosen: Sequence[int],
    mean: Vectors,
    std: Vectors,
) -> Result:
    """Paint one picture for which memory ran out, in the smallest tiles."""
    alphas = [block.paintings[i].recipe.alpha for i in chosen]
    try:
        content = model.content(block.content, LEAST_TILE_PIXELS)
        return _paint_at(model, content, mean[chosen], std[chosen], alphas)[0]
    except (tf.errors.OpError, MemoryError) as error:
        return network_error(error)


def _try(function: Any, *args: Any) -> Result:
    try:
        return function(*args)
    except ImageError as error:
        return error
    except (tf.errors.OpError, MemoryError) as error:
        return network_error(error)


def _paint_masked(
    model: SharedStylizer, block: StylizeBlock, mean: Vectors, std: Vectors
) -> Result:
    recipe = block.paintings[0].recipe
    regions = load_regions(recipe, block.content)
    if recipe.layers is not None and max(regions.places) < 0:
        return Painted(block.content.pixels, regions.note)  # No part is to be seen.
    alphas = [recipe.alpha if place >= 0 else 0.0 for place in regions.places]
    chosen = np.maximum(regions.places, 0)
    pictures, finite = model.get().paint_regions(
        model.content(block.content),
        RegionMasks(regions.shares, regions.weights),
        mean[chosen],
        std[chosen],
        alphas,
    )
    if not finite[0]:
        raise ImageError(Reason.MODEL_ERROR, _NOT_FINITE)
    return Painted(pictures[0], regions.note)


def _paint_recolored(
    model: SharedStylizer, block: StylizeBlock, painting: Painting, style_size: int
) -> Result:
    """Paint with the style recoloured for this content: an encoder run a pair."""
    return _try(_paint_pair, model, block, painting, style_size)


def _paint_pair(
    model: SharedStylizer, block: StylizeBlock, painting: Painting, style_size: int
) -> Result:
    content = to_float(block.content.pixels)
    vectors = []
    for share in painting.recipe.styles:
        style = to_float(style_pixels(block.styles[share.id], style_size))
        vectors.append(model.get().encode_style(match_colors(style, content)[None]))
    mean, std = (np.concatenate(part) for part in zip(*vectors, strict=True))
    if painting.recipe.has_regions:
        return _paint_masked(model, _alone(block, painting), mean, std)
    weights = [share.weight for share in painting.recipe.styles]
    mixed = blend(weights, mean, std) if len(weights) > 1 else (mean, std)
    (result,) = _paint(model, _alone(block, painting), [0], *mixed)
    return result


def _alone(block: StylizeBlock, painting: Painting) -> StylizeBlock:
    return dataclasses.replace(block, paintings=[painting])
