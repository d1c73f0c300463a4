"""All the sheets of one image, as the settings ask."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.visualize.feature_sheets import draw_features, draw_strip
from transforms.visualize.gradient_sheets import draw_gradients
from transforms.visualize.handler import Look
from transforms.visualize.settings import Kind, VisualizeSettings
from transforms.visualize.sheet import Sheet


def draw_sheets(look: Look, settings: VisualizeSettings) -> Iterator[Sheet]:
    """Yield every sheet of one image, as the settings ask."""
    key = look.image.ref.key
    if Kind.FEATURES in settings.kinds:
        yield draw_strip(look, settings)
        for layer in settings.layers:
            features = look.features[layer]
            raw = npz(features=features) if settings.raw else None
            yield from draw_features(key, layer, features, settings.channels, raw)
    for (layer, rule), gradients in look.gradients.items():
        raw = None
        if settings.raw:
            channels = [-1 if g.channel is None else g.channel for g in gradients]
            maps = np.stack([gradient.pixels for gradient in gradients])
            raw = npz(gradients=maps, channels=np.array(channels, np.int32))
        yield draw_gradients(look, layer, rule, gradients, raw)


def npz(**arrays: npt.NDArray[Any]) -> bytes:
    """Return arrays as the bytes of an .npz."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()
