"""What a comparison is asked to show: its settings and the names of its views.

Imports neither TensorFlow nor Beam.
"""

import dataclasses
import enum
import hashlib
from collections.abc import Mapping
from typing import Any, Final, get_args

from model.bundle import PACKAGED
from model.config import Network, canonical_json
from transforms.visualize.settings import Channels

# Words that name a network: a VGG, or the encoder of a packaged bundle.
NETWORK_WORDS: Final = (*get_args(Network), *PACKAGED)

# Cells on each side of the grid in which layers are compared over a collection.
CELLS: Final = 4


class Comparison(enum.StrEnum):
    """What is compared; the kind of its sheets, written to the outputs as is."""

    TRIPLES = "triples"
    NETWORKS = "networks"
    SIMILARITY = "similarity"


# Roles of the pictures of a triple; behind a result stands its number from the second.
CONTENT: Final = "content"
STYLE: Final = "style"
RESULT: Final = "result"
PHOTOGRAPH: Final = "photograph"


@dataclasses.dataclass(frozen=True, slots=True)
class SeenBy:
    """A network that looks.

    Attributes:
        label: What it is called on the page.
        sha256: The sha256 of its weights.
        layers: Its convolutions, from the pixels inwards.
    """

    label: str
    sha256: str
    layers: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonSettings:
    """All that changes the bytes of a comparison: its identity.

    Attributes:
        compared: Triples or networks.
        networks: The network that looks at triples, or the two that are compared.
        results: What the results of triples are called: the names of their outputs.
        layers: Layers to look at, from the pixels inwards.
        channels: Channels shown as feature maps.
        size: Shortest side in pixels that larger pictures are shrunk to; 0 keeps all.
        raw: Whether what is drawn is also kept as numbers.
    """

    compared: Comparison
    networks: tuple[SeenBy, ...]
    results: tuple[str, ...]
    layers: tuple[str, ...]
    channels: Channels
    size: int
    raw: bool

    def layers_of(self, network: int) -> tuple[str, ...]:
        """Return the layers to look at that a network has."""
        own = self.networks[network].layers
        return tuple(name for name in self.layers if name in own)

    @property
    def roles(self) -> tuple[str, ...]:
        """What the pictures of a subject are, each in its column."""
        if self.compared is Comparison.NETWORKS:
            return (PHOTOGRAPH,)
        return (CONTENT, STYLE, *map(result_role, range(len(self.results))))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as job.json keeps them."""
        return {
            **dataclasses.asdict(self),
            "compared": str(self.compared),
            "channels": str(self.channels),
            "networks": [
                {**dataclasses.asdict(one), "layers": list(one.layers)}
                for one in self.networks
            ],
            "results": list(self.results),
            "layers": list(self.layers),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ComparisonSettings":
        """Return the settings that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: It wrote something else.
        """
        networks = tuple(
            SeenBy(**{**one, "layers": tuple(one["layers"])})
            for one in value["networks"]
        )
        return cls(
            **{
                **value,
                "compared": Comparison(value["compared"]),
                "channels": Channels.parse(value["channels"]),
                "networks": networks,
                "results": tuple(value["results"]),
                "layers": tuple(value["layers"]),
            }
        )

    def cell_id(self, *what: str) -> str:
        """Return what changes whenever a picture made with these settings does.

        Args:
            *what: What the picture was made of, such as the sha256 of an image.
        """
        value = {"settings": self.to_json(), "what": list(what)}
        return hashlib.sha256(canonical_json(value)).hexdigest()[:16]


def result_role(number: int) -> str:
    """Return the role of a result.

    >>> result_role(0), result_role(1)
    ('result', 'result 2')
    """
    return RESULT if not number else f"{RESULT} {number + 1}"


def is_comparison(identity: Mapping[str, Any]) -> bool:
    """Return whether an identity of `visualize` is that of a comparison."""
    return "compared" in identity
