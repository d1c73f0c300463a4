"""One picture by optimisation, the way of Gatys, in memory."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from model.config import Network
from model.gatys.settings import GatysSettings
from model.pixels import Pixels
from stylebeam.pictures import Picture, pixels_of
from stylebeam.weights import network_of, vgg_weights
from transforms.elements import ImageError

if TYPE_CHECKING:  # It imports TensorFlow.
    from model.gatys.run import StepLosses


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Optimized:
    """What came of an optimisation.

    Attributes:
        picture: The picture, RGB, of the content's size after `size`.
        snapshots: Pictures on the way, each with the number of its step.
        curve: The losses at the start and after each step: `step`, `total`, `content`,
            `style` and `tv`, the last three without their weights.
        settings: All that decided the outcome beside the images.
    """

    picture: Image.Image
    snapshots: Sequence[tuple[int, Image.Image]]
    curve: "Sequence[StepLosses]"
    settings: GatysSettings

    def _repr_png_(self) -> bytes | None:
        """Return the picture as a notebook shows it."""
        return self.picture._repr_png_()


def optimize(
    content: Picture,
    style: Picture,
    *,
    size: int = 384,
    network: str = "vgg16",
    weights: str | None = None,
    on_step: "Callable[[StepLosses], None] | None" = None,
    **settings: Any,
) -> Optimized:
    """Change the pixels of a photograph until it has the style of a painting.

    total = content_weight · L_content + style_weight · L_style + tv_weight · L_tv,
    Gatys, Ecker & Bethge 2016, https://doi.org/10.1109/CVPR.2016.265. It takes minutes
    where `Stylizer` takes a fraction of a second. `stylebeam optimize` makes the same
    picture of the same settings.

    Args:
        content: The photograph.
        style: The painting, of any other size.
        size: Shortest side in pixels that both are shrunk to; 0 keeps their sizes.
        network: `vgg16` or `vgg19`.
        weights: File of the network's weights, a Keras notop `.h5` or an `.npz`; vgg16
            is packaged, vgg19 is downloaded by Keras where none is given.
        on_step: Called with the losses at the start and after each step.
        **settings: Fields of `model.gatys.settings.GatysSettings`, such as
            `steps=300`, `content_layers=["block4_conv2"]`, `style_weight=300.0`,
            `tv_weight=1000.0`, `tv="isotropic"`, `optimizer="lbfgs"`, `init="noise"`;
            `init="adain"` starts from the picture that `Stylizer` paints.

    Returns:
        The picture and how it came about.

    Raises:
        ConnectionError: The weights had to be downloaded and could not be.
        FileNotFoundError: There is no such picture, or no such file of weights.
        RuntimeError: A loss is not finite, or the picture to start from.
        TypeError: There is no such setting, or a picture is no picture.
        ValueError: A setting is out of its range, or a picture cannot be used.

    >>> import numpy as np
    >>> photograph = np.full((48, 64, 3), 90, np.uint8)
    >>> painting = np.tile(np.uint8([[[200, 40, 40]], [[20, 20, 90]]]), (20, 40, 1))
    >>> made = optimize(photograph, painting, steps=2, pyramid=1)
    >>> made.picture.size, len(made.curve)
    ((64, 48), 3)
    >>> made.curve[-1].total < made.curve[0].total
    True
    """
    chosen = _settings(settings, network_of(network))
    photograph, painting = pixels_of(content, size), pixels_of(style, size)
    layers, arrays = vgg_weights(network_of(network), weights)
    from model.gatys.run import Gatys

    gatys = Gatys(layers, arrays, chosen.precision)
    painted = _painted(photograph, painting, chosen)
    result = gatys.run(photograph, painting, chosen, on_step, painted)
    return Optimized(
        Image.fromarray(result.picture),
        tuple((step, Image.fromarray(one)) for step, one in result.snapshots),
        result.curve,
        chosen,
    )


def _painted(
    photograph: Pixels, painting: Pixels, settings: GatysSettings
) -> Pixels | None:
    """Return the picture to start from where one is painted, as the command does it.

    Raises:
        RuntimeError: It is not finite.
    """
    if settings.init != "adain":
        return None
    # Late: they import TensorFlow and Beam.
    from model.gatys.styles import Styles
    from transforms.optimize.start import paint_start

    try:
        return paint_start(photograph, Styles.of(painting), settings.precision)
    except ImageError as error:
        raise RuntimeError(str(error)) from error


def _settings(given: dict[str, Any], network: Network) -> GatysSettings:
    names = [field.name for field in dataclasses.fields(GatysSettings)]
    for name in given:
        if name not in names:
            raise TypeError(
                f"There is no setting {name!r}. The settings are: {', '.join(names)}"
            )
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
    }
    for name in ("content_layers", "style_layers"):
        if isinstance(values.get(name), str):
            values[name] = (values[name],)
    settings = GatysSettings(**values)
    if wrong := settings.complaint(network):
        name, value, expected = wrong
        raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r}")
    return settings
