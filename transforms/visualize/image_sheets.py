"""All the sheets of one image, as the settings ask."""

import io
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.visualize.class_sheet import draw_classes
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
    if Kind.CLASSES in settings.kinds:
        yield draw_classes(look, settings)
    for (layer, kind), gradients in look.gradients.items():
        for _, several in itertools.groupby(gradients, key=lambda g: g.variant):
            own = list(several)
            raw = None
            if settings.raw:
                channels = [-1 if g.channel is None else g.channel for g in own]
                maps = np.stack([gradient.pixels for gradient in own])
                raw = npz(gradients=maps, channels=np.array(channels, np.int32))
            yield draw_gradients(look, layer, kind, own, raw)


def npz(**arrays: npt.NDArray[Any]) -> bytes:
    """Return arrays as the bytes of an .npz."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()
