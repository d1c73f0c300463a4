"""What all figures are drawn from: a network, two pictures, and how much time."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.attribution.gradients import Attribution
from model.bundle import load_bundle
from model.config import ConvSpec, Network
from model.gatys.run import Gatys, GatysResult
from model.gatys.settings import GatysSettings
from model.networks.vgg import vgg_layers
from model.networks.weights import load_vgg_weights
from slides.figure import NotDrawnError, Pixels
from transforms.images.decoder import resize_image

BLOCKS = tuple(f"block{number}_conv1" for number in range(1, 6))


@dataclasses.dataclass(frozen=True, eq=False)
class Classroom:
    """What the figures of one page have in common.

    Attributes:
        photograph: uint8 RGB `[height, width, 3]`.
        paintings: Paintings by name; the first is the one for all figures of one style.
        network: The course has vgg19; vgg16 is packaged.
        weights: File of its weights; None for those of the package or of Keras.
        size: Shortest side in pixels of what a network looks at.
        steps: Steps of an optimisation.
        folder: A place for files of figures that save and load.
    """

    photograph: Pixels
    paintings: Mapping[str, Pixels]
    network: Network
    weights: str | None
    size: int
    steps: int
    folder: pathlib.Path

    @property
    def layers(self) -> tuple[ConvSpec, ...]:
        """The convolutions of the network."""
        return vgg_layers(self.network)

    @functools.cached_property
    def _loaded(self) -> Mapping[str, npt.NDArray[np.float32]] | Exception:
        # An error is kept too: every figure asks, and a download takes its time.
        try:
            return load_vgg_weights(self.network, self.weights)
        except (OSError, ValueError) as error:
            return error

    @property
    def arrays(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """The weights of the network.

        Raises:
            NotDrawnError: They are not to be had.
        """
        if isinstance(self._loaded, Exception):
            raise NotDrawnError(
                f"The weights of {self.network} are not here: {self._loaded} Give a "
                f"file: make course NETWORK={self.network} WEIGHTS=FILE"
            )
        return self._loaded

    @functools.cached_property
    def seen(self) -> Attribution:
        """The network, for feature maps and gradients."""
        return Attribution(self.layers, self.arrays)

    @functools.cached_property
    def small(self) -> Pixels:
        """The photograph at `size`."""
        return resize_image(self.photograph, self.size)

    @property
    def painting(self) -> Pixels:
        """The painting for figures of one style, at `size`."""
        return resize_image(next(iter(self.paintings.values())), self.size)

    @functools.cached_property
    def activations(self) -> Mapping[str, Any]:
        """Activations of every layer of the small photograph."""
        return self.seen.activations(floats(self.small))

    @functools.cached_property
    def gatys(self) -> Gatys:
        """The network, for pictures by optimisation."""
        return Gatys(self.layers, self.arrays)

    def optimized(self, settings: GatysSettings, size: int = 0) -> GatysResult:
        """Optimise the photograph and the painting; equal settings are run once."""
        return self._optimized(settings, size or self.size)

    @functools.cache  # noqa: B019 (a classroom lives as long as the process)
    def _optimized(self, settings: GatysSettings, size: int) -> GatysResult:
        photograph = resize_image(self.photograph, size)
        return self.gatys.run(photograph, resize_image(self.painting, size), settings)

    @functools.cache  # noqa: B019
    def stylizer(self, bundle: str) -> Any:
        """Return the networks of a packaged bundle: they need no weights of VGG."""
        from model.adain.stylizer import Stylizer

        return Stylizer(load_bundle(bundle))

    def stylized(
        self, style: Pixels, alphas: Sequence[float], bundle: str = "default"
    ) -> list[Pixels]:
        """Return the small photograph in a style, a picture for each strength."""
        networks = self.stylizer(bundle)
        content = networks.encode_content(self.small[None])
        mean, std = networks.encode_style(resize_image(style, 256)[None])
        return [networks.paint(content, mean, std, alpha)[0][0] for alpha in alphas]


def floats(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return one picture as the networks take it: float32 `[1, h, w, 3]` in [0, 1]."""
    return (pixels.astype(np.float32) / 255)[None]
