"""The regions of a recipe: by its masks, or by the objects of its content."""

import numpy as np

from transforms.images.load import LoadedImage
from transforms.images.mask_values import Mask
from transforms.images.masks import WHITE, Regions, load_mask, regions_of
from transforms.stylize.pairing import Recipe
from transforms.stylize.regions.layers import Layers


def load_regions(recipe: Recipe, content: LoadedImage) -> Regions:
    """Return the regions of a picture by its masks, as `regions_of`, or its objects.

    Raises:
        ImageError: A mask cannot be used, as `load_mask`.
    """
    if recipe.layers is not None:
        return _regions_of_objects(recipe, recipe.layers, content)
    masks: list[Mask | None] = []
    notes = []
    for path, share in zip(recipe.masks, recipe.styles, strict=True):
        mask, note = None, None
        if path:
            mask, note = load_mask(path, share.mask_sha256, content)
        masks.append(mask)
        notes += [note] if note else []
    return regions_of(
        masks,
        [share.weight for share in recipe.styles],
        [share.key for share in recipe.styles],
        notes,
    )


def _regions_of_objects(
    recipe: Recipe, layers: Layers, content: LoadedImage
) -> Regions:
    """Return the regions that objects take; no pixel is in two of them."""
    height, width, _ = content.pixels.shape
    original = (content.original_width, content.original_height)
    taken = layers.places(original, (width, height))
    places = [int(place) for place in np.unique(taken)]
    # A style comes before the photograph itself.
    places.sort(key=lambda place: (place < 0, place))
    shares = np.stack([(taken == place) * np.uint8(WHITE) for place in places])
    hidden = [
        share.key for place, share in enumerate(recipe.styles) if place not in places
    ]
    note = f"empty region: {', '.join(hidden)}" if hidden else None
    return Regions(shares, np.ones(len(places), np.float32), places, note)
