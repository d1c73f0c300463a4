"""What `stylebeam stylize` can be asked to do, and its flags.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import argparse
import dataclasses

from model.config import PRECISIONS, Precision
from pipelines.errors import UsageError
from transforms.pair import PictureFormat


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StylizeConfig:
    """What `stylebeam stylize` was asked to do.

    Attributes:
        content: Inputs of contents: folders, globs, files, archives, `NAME=PATH`.
        style: Inputs of styles.
        output: Folder or `gs://` URL.
        bundle: Folder of the bundle; None for the packaged one.
        alpha: Strength of the style, in [0, 1] with at most three decimals.
        content_size: Shortest side of a content in pixels; 0 keeps its size.
        style_size: Shortest side of a style in pixels; 0 keeps its size.
        precision: Of the convolutions.
        format: Of the pictures.
        quality: Of JPEG, 1 to 100.
        max_failure_rate: Largest share of failures that still is a success, in [0, 1].
        overwrite: Whether everything is made anew.
    """

    content: tuple[str, ...]
    style: tuple[str, ...]
    output: str
    # Not its path, which is another one on a remote worker.
    bundle: str | None = None
    alpha: float = 1.0
    content_size: int = 0
    # The size of the training pictures before cropping: strokes look as intended.
    style_size: int = 512
    precision: Precision = "float32"
    format: PictureFormat = "jpg"
    # Visually lossless, a quarter of the size of PNG.
    quality: int = 95
    max_failure_rate: float = 0.01
    overwrite: bool = False

    def __post_init__(self) -> None:
        _require(0 <= self.alpha <= 1, "--alpha", self.alpha, "a number in [0, 1]")
        _require(
            round(self.alpha * 1000) / 1000 == self.alpha,
            "--alpha",
            self.alpha,
            "at most three decimals, since file names carry alpha × 1000",
        )
        for flag, size in (
            ("--content-size", self.content_size),
            ("--style-size", self.style_size),
        ):
            _require(size == 0 or size >= 32, flag, size, "0 (keep) or at least 32")
        _require(1 <= self.quality <= 100, "--quality", self.quality, "1 to 100")
        _require(
            0 <= self.max_failure_rate <= 1,
            "--max-failure-rate",
            self.max_failure_rate,
            "a share in [0, 1]",
        )


def _require(condition: bool, flag: str, value: object, expected: str) -> None:
    if not condition:
        raise UsageError(f"{flag} {value}: expected {expected}.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    inputs = "folders (with all below), globs, image files, .zip or .tar archives"
    defaults = {f.name: f.default for f in dataclasses.fields(StylizeConfig)}
    parser.add_argument(
        "--content",
        nargs="+",
        required=True,
        metavar="P",
        help=f"photographs: {inputs}; NAME=P names an input",
    )
    parser.add_argument(
        "--style", nargs="+", required=True, metavar="P", help="paintings: likewise"
    )
    parser.add_argument("--output", required=True, metavar="D", help="output folder")
    parser.add_argument(
        "--bundle", metavar="B", help="folder of the networks; else the packaged ones"
    )
    parser.add_argument("--alpha", type=float, help="strength of the style, 0 to 1")
    parser.add_argument(
        "--content-size",
        type=int,
        metavar="PIXELS",
        help="shrink contents to this shortest side; 0 keeps their size",
    )
    parser.add_argument(
        "--style-size",
        type=int,
        metavar="PIXELS",
        help="shrink styles to this shortest side; 0 keeps their size",
    )
    parser.add_argument("--precision", choices=PRECISIONS, help="of the convolutions")
    parser.add_argument("--format", choices=("jpg", "png"), help="of the pictures")
    parser.add_argument("--quality", type=int, help="of JPEG, 1 to 100")
    parser.add_argument(
        "--max-failure-rate",
        type=float,
        metavar="SHARE",
        help="exit with 1 when a larger share of images or cells fails",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="make everything in D anew"
    )
    parser.set_defaults(
        **{
            name: value
            for name, value in defaults.items()
            if value is not dataclasses.MISSING
        }
    )


def config_from_args(args: argparse.Namespace) -> StylizeConfig:
    """Return the configuration.

    Raises:
        UsageError: A value is out of range.
    """
    values = {f.name: getattr(args, f.name) for f in dataclasses.fields(StylizeConfig)}
    values |= {"content": tuple(args.content), "style": tuple(args.style)}
    return StylizeConfig(**values)
