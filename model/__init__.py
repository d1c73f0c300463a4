"""Arrays in, arrays out: networks, losses, bundles; TensorFlow and NumPy only.

The names of `__all__` may be imported from here. A module is loaded when its first name
is asked for, so `import model` alone imports nothing heavy.
"""

import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from model.adain.adain import AdaptiveInstanceNormalization, channel_moments
    from model.adain.export import save_weights_h5
    from model.adain.losses import content_loss, style_losses, total_variation_loss
    from model.adain.ruler import Ruler
    from model.adain.stylizer import Stylizer
    from model.attribution.gradients import Attribution
    from model.bundle import Bundle, load_bundle
    from model.gatys.run import Gatys
    from model.gatys.settings import GatysSettings
    from model.interchange.saved_model import save_saved_model
    from model.networks.decoder import build_decoder
    from model.networks.encoder import build_encoder

# Before anybody imports TensorFlow, which begins to import Keras.
os.environ["KERAS_BACKEND"] = "tensorflow"

__all__ = [
    "AdaptiveInstanceNormalization",
    "Attribution",
    "Bundle",
    "Gatys",
    "GatysSettings",
    "Ruler",
    "Stylizer",
    "build_decoder",
    "build_encoder",
    "channel_moments",
    "content_loss",
    "load_bundle",
    "save_saved_model",
    "save_weights_h5",
    "style_losses",
    "total_variation_loss",
]

_NAMES: Final[Mapping[str, str]] = {
    "model.adain.adain": "AdaptiveInstanceNormalization channel_moments",
    "model.adain.export": "save_weights_h5",
    "model.adain.losses": "content_loss style_losses total_variation_loss",
    "model.adain.ruler": "Ruler",
    "model.adain.stylizer": "Stylizer",
    "model.attribution.gradients": "Attribution",
    "model.bundle": "Bundle load_bundle",
    "model.gatys.run": "Gatys",
    "model.gatys.settings": "GatysSettings",
    "model.interchange.saved_model": "save_saved_model",
    "model.networks.decoder": "build_decoder",
    "model.networks.encoder": "build_encoder",
}
_HOMES: Final = {name: home for home, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Return a public name, loading the module that it lives in (PEP 562).

    Raises:
        AttributeError: There is no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the names in here and those that are loaded when asked for."""
    return sorted({*globals(), *__all__})
