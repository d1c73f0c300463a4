"""What feature visualizations are to excite: targets, and batches of them.

Imports neither TensorFlow nor Beam.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from transforms.visualize.maps_table import Owner
from transforms.visualize.settings import (
    COLLECTION,
    ActivationSettings,
    Excited,
    Kind,
    VisualizeSettings,
)
from transforms.visualize.sheet import sheet_path

# Pictures on the way from one channel to another, both ends included.
FRAMES: Final = 5

# Pictures that climb together: of more a CPU makes no more in a second. Every batch of
# a kind is filled up to the same number, since the order in which TensorFlow adds up
# depends on it, and a picture must not depend on what else is still to be made.
_TOGETHER: Final = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What a sheet of feature visualizations excites.

    Attributes:
        layer: Name of the layer.
        excited: A channel, its neuron in the middle, the whole layer, or the way from
            one channel to another.
        channels: Number of the channel, of both ends of the way, or none.
    """

    layer: str
    excited: Excited
    channels: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The target inside its layer, such as `channel-17` or `between-17-42`."""
        return "-".join([str(self.excited), *map(str, self.channels)])

    @property
    def path(self) -> str:
        """Name of its sheet inside the output folder."""
        return sheet_path("", Kind.ACTIVATION, self.layer, self.name)

    def owner(self, settings: VisualizeSettings) -> Owner:
        """Return what its rows belong to."""
        cell_id = settings.cell_id(Kind.ACTIVATION, self.layer, self.name)
        return Owner(cell_id, id=f"{COLLECTION}-activation-{self.layer}-{self.name}")

    def pictures(self, settings: ActivationSettings) -> int:
        """Return how many pictures its sheet has."""
        between = self.excited is Excited.BETWEEN
        return FRAMES if between else settings.diversity

    def seed(self, settings: ActivationSettings, picture: int) -> bytes:
        """Return what one of its pictures begins with.

        All pictures on the way from one channel to another begin with the same, so that
        what differs is the channel.
        """
        number = 0 if self.excited is Excited.BETWEEN else picture
        text = f"{settings.seed} {self.layer} {self.name} {number}"
        return hashlib.sha256(text.encode()).digest()


@dataclasses.dataclass(frozen=True, slots=True)
class TargetBatch:
    """Targets of one layer and kind whose pictures climb together.

    Attributes:
        targets: The targets, at least one.
        pictures: Pictures of a full batch.
        size: Side of the pictures in pixels.
    """

    targets: tuple[Target, ...]
    pictures: int
    size: int

    def __len__(self) -> int:
        """Return the number of targets, which RunInference counts."""
        return len(self.targets)

    @property
    def num_bytes(self) -> int:
        """Bytes of the pictures' pixels."""
        return self.pictures * self.size**2 * 3


def targets_of(
    layer: str, channels: Sequence[int], settings: ActivationSettings
) -> Iterator[Target]:
    """Yield all that is to be excited in a layer.

    Args:
        layer: Name of the layer.
        channels: The channels that are shown.
        settings: What of them is excited.
    """
    for excited in (Excited.CHANNEL, Excited.NEURON):
        if excited in settings.excite:
            for channel in channels:
                yield Target(layer, excited, (channel,))
    if Excited.LAYER in settings.excite:
        yield Target(layer, Excited.LAYER)
    for pair in settings.between:
        yield Target(layer, Excited.BETWEEN, pair)


def batches_of(
    targets: Sequence[Target], settings: ActivationSettings
) -> Iterator[TargetBatch]:
    """Yield the targets of a layer in batches that climb together."""
    for excited in Excited:
        alike = [target for target in targets if target.excited is excited]
        if not alike:
            continue
        each = alike[0].pictures(settings)
        at_a_time = max(1, _TOGETHER // each) if excited is not Excited.LAYER else 1
        for first in range(0, len(alike), at_a_time):
            some = tuple(alike[first : first + at_a_time])
            yield TargetBatch(some, each * at_a_time, settings.size)
