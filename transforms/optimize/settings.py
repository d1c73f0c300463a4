"""The settings of an optimised picture: their names, values and ids.

Imports neither TensorFlow nor Beam.
"""

import dataclasses
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from model.bundle import load_bundle
from model.config import Network, canonical_json
from model.gatys.settings import GatysSettings
from model.options import (
    Option,
    Range,
    option,
    options_of,
    wrong_value,
    zero_or_at_least,
)
from transforms.elements import PreserveColor

# The format of every picture: a report compares pixels, which JPEG would change.
FORMAT: Final = "png"

# Settings that came later, and what held before. Where they say that, the names of a
# run are what they were, so an earlier output is kept.
_BEFORE: Final[Mapping[str, Any]] = {"pooling": "max", "style_scale": 1.0}

# The packaged bundle that paints the start `adain`.
START_BUNDLE: Final = "default"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunSettings:
    """What decides the outcome of a run, beside its images and its network.

    Attributes:
        gatys: Settings of the optimisation.
    """

    gatys: GatysSettings = dataclasses.field(default_factory=GatysSettings)
    # Larger pictures take a minute for a hundred steps on a CPU.
    size: int = option(
        384,
        "shrink contents and styles to this shortest side",
        zero_or_at_least(32),
        metavar="PIXELS",
    )
    preserve_color: PreserveColor = option(
        "none",
        "keep the content's colours: luminance takes its hues at the end, histogram "
        "recolours the style before the first step",
    )
    style_scale: float = option(
        1.0,
        "size of the style against what --size makes of it: 2 makes its strokes twice "
        "as wide",
        Range(lambda scale: 0.1 <= scale <= 10, "0.1 to 10"),
        metavar="X",
    )

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "RunSettings":
        """Return settings by their names, the rest being defaults."""
        own = {name: values[name] for name in _OWN if name in values}
        others = {name: v for name, v in values.items() if name not in _OWN}
        return cls(gatys=GatysSettings(**others), **own)

    def values(self) -> dict[str, Any]:
        """Return all settings by name, lists as tuples."""
        shallow = {f.name: getattr(self.gatys, f.name) for f in _GATYS_FIELDS}
        return {**shallow, **{name: getattr(self, name) for name in _OWN}}

    def to_json(self) -> dict[str, Any]:
        """Return all settings by name, as JSON and Parquet keep them."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.values().items()
        }

    def complaint(self, network: Network) -> tuple[str, object, str] | None:
        """Return name and value of what is wrong and what was expected, or None.

        Args:
            network: The network that has the layers.
        """
        return wrong_value(self) or self.gatys.complaint(network)

    def id(self, network_sha256: str) -> str:
        """Return 12 hexadecimal digits for all that changes bytes but for the images.

        Args:
            network_sha256: The sha256 of the network's weights.
        """
        made_of = canonical_json(self.made_of(network_sha256))
        return hashlib.sha256(made_of).hexdigest()[:12]

    def slug(self) -> str:
        """Return what differs from the defaults, as a part of a file name.

        At most 80 characters; other settings may have the same, and other defaults may
        come, so names are found by their ids.

        >>> RunSettings.from_values({"steps": 20, "tv_weight": 1.0}).slug()
        'tv-weight-1-steps-20'
        """
        default = RunSettings().values()
        words = [
            f"{name}-{shown_value(name, value)}"
            for name, value in self.values().items()
            if value != default[name]
        ]
        slug = re.sub(r"[^a-z0-9.]+", "-", "-".join(words or ["default"]).lower())
        return slug[:80].strip("-.")

    def made_of(self, network_sha256: str) -> dict[str, Any]:
        """Return all that changes the bytes of a picture, but for its images."""
        values = {
            name: value
            for name, value in self.to_json().items()
            if name not in _BEFORE or value != _BEFORE[name]
        }
        if self.gatys.init == "adain":
            values["bundle"] = _start_bundle_id()
        return {**values, "network": network_sha256, "format": FORMAT}


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """The settings of some runs, one a pair of images, and what people call them.

    Attributes:
        settings: The settings.
        name: Name in the sweep file; empty where it gives none.
    """

    settings: RunSettings
    name: str = ""


_GATYS_FIELDS: Final = dataclasses.fields(GatysSettings)
_OWN: Final = ("size", "preserve_color", "style_scale")

SETTING_NAMES: Final = (*(f.name for f in _GATYS_FIELDS), *_OWN)

# Settings that are one word out of some.
CHOICES: Final[Mapping[str, Sequence[str]]] = {
    name: about.choices
    for group in (GatysSettings, RunSettings)
    for name, about in options_of(group).items()
    if isinstance(about, Option) and about.choices
}


@functools.cache
def _start_bundle_id() -> str:
    return load_bundle(START_BUNDLE).bundle_id


def values_in(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a row; those that came after it as they were before."""
    return {
        name: _BEFORE.get(name) if value is None else value
        for name, value in settings.items()
    }


def flag_of(name: str) -> str:
    """Return a setting as the command line and sweep files call it.

    >>> flag_of("tv_weight")
    'tv-weight'
    """
    return name.replace("_", "-")


def shown_value(name: str, value: Any) -> str:
    """Return a setting's value for people, layers by block and number.

    >>> shown_value("style_layers", ["block1_conv1", "block4_conv2"])
    '1.1 4.2'
    >>> shown_value("style_weight", 1000.0), shown_value("layer_weights", [])
    ('1000', 'equal')
    >>> shown_value("tv_weight", 100000.0), shown_value("tolerance", 0.00001)
    ('100000', '1e-5')
    """
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list | tuple):
        if not value:
            return "equal" if name == "layer_weights" else "none"
        return " ".join(
            re.sub(r"^block(\d+)_conv(\d+)$", r"\1.\2", one)
            if isinstance(one, str)
            else _number(one)
            for one in value
        )
    return str(value)


def _number(value: float) -> str:
    if value == round(value) and abs(value) < 1e7:
        return str(round(value))
    return re.sub(r"e([+-])0*", r"e\1", f"{value:g}").replace("e+", "e")
