"""Optimises the pixels of a picture: the content of one image, the style of another.

Gatys, Ecker & Bethge 2016, https://doi.org/10.1109/CVPR.2016.265. The picture is
float32 RGB in grey levels of 255 throughout: that is the unit of the learning rate and
of the total variation. The paper starts from white noise and uses L-BFGS; both are
here. From noise L-BFGS needs a tenth of Adam's steps; from the content it has no such
lead, and after 150 steps is mostly some per cent behind Adam after 500.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from model.config import ConvSpec, Precision
from model.gatys.descent import Descent, DivergedError, GatysResult, StepLosses
from model.gatys.network import build_convolutions
from model.gatys.objective import Objective, Terms
from model.gatys.resizing import resized, shrunk, start_picture
from model.gatys.settings import LARGEST_LBFGS, LARGEST_WHOLE, GatysSettings
from model.gatys.styles import Styles
from model.gatys.tiled_objective import TILE_BYTES, TiledObjective
from model.networks.keras_network import Arrays
from model.pixels import Pixels

__all__ = ["DivergedError", "Gatys", "GatysResult", "StepLosses"]


class Gatys:
    """A network that optimises pictures; traced once for each choice of layers.

    The same images and settings give the same bytes on the same machine.

    Args:
        layers: Zero-padded convolutions with ReLU, in order; the first takes RGB. The
            paper's own network is normalised; this is whatever it is given.
        arrays: Their weights, `<name>/kernel` and `<name>/bias`, for the input of
            `model.networks.encoder.VggPreprocessing`.
        precision: Type of the convolutions.
        whole_pixels: Larger pictures are optimised in tiles; the gradient is that of
            the whole.
        tile_bytes: About how many bytes a tile may take.

    Raises:
        ValueError: A layer is of another kind, or the arrays are not its weights.
    """

    def __init__(
        self,
        layers: Sequence[ConvSpec],
        arrays: Arrays,
        precision: Precision = "float32",
        whole_pixels: int = LARGEST_WHOLE,
        tile_bytes: int = TILE_BYTES,
    ) -> None:
        self._network = build_convolutions(layers, arrays, precision)
        self.layers = tuple(layers)
        self.precision = precision
        self._whole_pixels = whole_pixels
        self._tile_bytes = tile_bytes
        self._objectives: dict[Terms, Objective] = {}
        self._tiled: dict[Terms, TiledObjective] = {}

    def run(
        self,
        content: Pixels,
        style: Pixels | Styles,
        settings: GatysSettings,
        on_step: Callable[[StepLosses], None] | None = None,
        painted: Pixels | None = None,
    ) -> GatysResult:
        """Optimise one picture.

        Args:
            content: uint8 RGB `[height, width, 3]`.
            style: uint8 RGB `[height, width, 3]`, of any other size; or several, with
                their masks.
            settings: What decides the outcome; their precision is this network's.
            on_step: Called with the losses at the start and after each update.
            painted: Where the start is `adain`, the picture to start from, uint8 RGB
                `[height, width, 3]`.

        Returns:
            The picture, of the content's size, and how it came about.

        Raises:
            ValueError: An unknown layer, another precision, an image too small, or one
                too large for L-BFGS.
            DivergedError: A loss is not finite.
        """
        styles = Styles.of(style)
        self._check(content, styles, settings)
        run = Descent(settings, content.shape[:2], on_step)
        for level, steps in enumerate(settings.level_steps()):
            factor = 2 ** (settings.pyramid - 1 - level)
            if level == 0:
                run.picture = start_picture(
                    shrunk(content, factor),
                    shrunk(styles.pictures[0], factor),
                    None if painted is None else shrunk(painted, factor),
                    settings,
                )
            else:
                size = [side // factor for side in content.shape[:2]]
                run.picture = resized(run.picture, size)
            compared = self._targets(content, styles, settings, factor)
            run.level(*compared, steps)
        return run.result()

    def _targets(
        self, content: Pixels, styles: Styles, settings: GatysSettings, factor: int
    ) -> tuple[Objective | TiledObjective, Any]:
        """Return the losses of a level, and what they compare a picture with."""
        terms = Terms(
            settings.content_layers,
            settings.style_layers,
            settings.tv,
            settings.pooling,
            styles.regions,
        )
        alone = dataclasses.replace(terms, regions=0)
        grams = []
        for one in styles.pictures:
            picture = shrunk(one, factor)
            grams.append(self._objective(alone, picture).style_grams(picture))
        picture = shrunk(content, factor)
        objective = self._objective(terms, picture)
        wanted = styles.mixed(grams)
        return objective, objective.targets(picture, wanted, styles.shrunk(factor))

    def _objective(self, terms: Terms, picture: Any) -> Objective | TiledObjective:
        """Return the losses of a picture of this size, traced once."""
        _, height, width, _ = picture.shape
        if height * width <= self._whole_pixels:
            if terms not in self._objectives:
                self._objectives[terms] = Objective(self._network, terms)
            return self._objectives[terms]
        if terms not in self._tiled:
            self._tiled[terms] = TiledObjective(self._network, terms, self._tile_bytes)
        return self._tiled[terms]

    def _check(self, content: Pixels, styles: Styles, settings: GatysSettings) -> None:
        if settings.precision != self.precision:
            raise ValueError(
                f"This network is {self.precision}. "
                f"Received: precision={settings.precision!r}"
            )
        names = [spec.name for spec in self.layers]
        for layer in (*settings.content_layers, *settings.style_layers):
            if layer not in names:
                raise ValueError(
                    f"Unknown layer {layer!r}. The layers are: {', '.join(names)}"
                )
        height, width, _ = content.shape
        if settings.optimizer == "lbfgs" and height * width > LARGEST_LBFGS:
            raise ValueError(
                f"L-BFGS takes pictures of at most {LARGEST_LBFGS} pixels; adam takes "
                f"any. Received: {width}x{height}"
            )
        least = settings.least_side(self.layers)
        images = [("content", content), *(("style", one) for one in styles.pictures)]
        for name, image in images:
            if min(image.shape[:2]) < least:
                raise ValueError(
                    f"The {name} must have at least {least} pixels on each side for "
                    f"these layers and {settings.pyramid} levels of the pyramid. "
                    f"Received: {image.shape[1]}x{image.shape[0]}"
                )
