"""One picture in the style of another, in memory, with the networks of a bundle."""

import os
from typing import get_args

import numpy as np
from PIL import Image

from model.bundle import load_bundle
from model.config import Precision
from stylebeam.pictures import Picture, pixels_of
from transforms.steps.tensorflow_start import start_tensorflow


class Stylizer:
    """Paints pictures in the style of others; load it once, call it often.

    It makes the pictures that `stylebeam.stylize` writes with the same settings.

        stylizer = stylebeam.Stylizer()
        stylizer("cat.jpg", "waves.png", alpha=0.5).save("cat-in-waves.png")

    Args:
        bundle: Networks: `default` (fast, at four levels), `paper` (Huang & Belongie
            2017), or the folder that `stylebeam export` wrote.
        precision: Type of the numbers in the convolutions: `float32` or `bfloat16`.

    Raises:
        ValueError: The bundle cannot be used, or there is no such precision.
    """

    def __init__(
        self, bundle: str | os.PathLike[str] = "default", precision: str = "float32"
    ) -> None:
        known: tuple[Precision, ...] = get_args(Precision)
        chosen = [one for one in known if one == precision]
        if not chosen:
            raise ValueError(
                f"`precision` must be one of {', '.join(known)}. Received: "
                f"precision={precision!r}"
            )
        start_tensorflow()
        from model.adain.stylizer import Stylizer as Networks

        self._networks = Networks(load_bundle(os.fspath(bundle)), chosen[0])

    def __call__(
        self,
        content: Picture,
        style: Picture,
        alpha: float = 1.0,
        *,
        content_size: int = 0,
        style_size: int = 512,
    ) -> Image.Image:
        """Return a photograph in the style of a painting.

        T = g(alpha · AdaIN(f(c), f(s)) + (1 − alpha) · f(c)), Huang & Belongie 2017,
        eq. 14, https://arxiv.org/abs/1703.06868.

        Args:
            content: The photograph.
            style: The painting, of any other size.
            alpha: Strength of the style in [0, 1]; 0 is the photograph, rebuilt.
            content_size: Shortest side in pixels that the photograph is shrunk to; 0
                keeps its size.
            style_size: Shortest side in pixels that the painting is shrunk to; 0 keeps
                its size. Strokes look as in training at 512.

        Returns:
            An RGB image of the photograph's size, which a notebook shows;
            `numpy.asarray` of it is uint8 `[height, width, 3]`.

        Raises:
            FileNotFoundError: There is no such file.
            TypeError: A picture is neither a path, nor an image, nor an array.
            ValueError: A picture cannot be used, or a number is out of its range.

        >>> import numpy as np
        >>> photograph = np.full((48, 64, 3), 90, np.uint8)
        >>> painting = np.tile(np.uint8([[[200, 40, 40]], [[20, 20, 90]]]), (20, 40, 1))
        >>> Stylizer()(photograph, painting).size
        (64, 48)
        """
        pixels = pixels_of(content, content_size)
        painting = pixels_of(style, style_size)
        encoded = self._networks.encode_content(pixels[None])
        mean, std = self._networks.encode_style(painting[None])
        painted, finite = self._networks.paint(encoded, mean, std, alpha)
        if not finite.all():
            raise ValueError("The network gave numbers that are not finite.")
        return Image.fromarray(np.asarray(painted[0]))
