"""What `stylebeam stylize` can be asked to do, and its flags.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import argparse
import dataclasses
from typing import Final, get_args

from model.config import PRECISIONS, Precision
from model.networks.tiling import LEAST_TILE_PIXELS, MAX_TILE_PIXELS
from pipelines.command.flags import (
    IMAGES,
    add_failure_rate,
    add_overwrite,
    require,
    require_share,
    set_defaults,
    values_of,
)
from transforms.elements import PreserveColor
from transforms.stylize.cells import Layout, OutputFormat, PictureFormat

PAIRINGS: Final = ("grid", "sample", "zip", "corners")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StylizeConfig:
    """What `stylebeam stylize` was asked to do.

    Attributes:
        content: Inputs of contents: folders, globs, files, archives, `NAME=PATH`.
        output: Folder or `gs://` URL.
        style: Inputs of styles; none where a style bank has them all.
        style_bank: A `styles.parquet` of an earlier run; empty for none.
        bundle: Folder of the bundle; None for the packaged one.
        pairing: `grid`, `sample`, `zip`, `corners`, or a file of pairs.
        styles_per_content: How many styles a content gets in a sample.
        seed: Of a sample.
        corner_steps: Pictures along a side of an interpolation sheet.
        alpha: Strengths of the style, in [0, 1] with at most three decimals.
        preserve_color: How the colours of the content are kept.
        content_size: Shortest side of a content in pixels; 0 keeps its size.
        style_size: Shortest side of a style in pixels; 0 keeps its size.
        max_tile_pixels: Larger pictures go through the network in tiles.
        precision: Of the convolutions.
        format: Of the pictures.
        quality: Of JPEG, 1 to 100.
        layout: Of the pictures' paths.
        output_format: A file a picture, or shards.
        metrics: Whether every picture is measured.
        metrics_fraction: Share of the pictures that are measured, in [0, 1].
        max_failure_rate: Largest share of failures that still is a success, in [0, 1].
        retry_failed: Whether only what failed in the last run is looked at.
        dry_run: Whether only to tell what would be done.
        overwrite: Whether everything is made anew.
    """

    content: tuple[str, ...]
    output: str
    style: tuple[str, ...] = ()
    style_bank: str = ""
    # Not its path, which is another one on a remote worker.
    bundle: str | None = None
    pairing: str = "grid"
    styles_per_content: int | None = None
    seed: int | None = None
    corner_steps: int | None = None
    alpha: tuple[float, ...] = (1.0,)
    preserve_color: PreserveColor = "none"
    content_size: int = 0
    # The size of the training pictures before cropping: strokes look as intended.
    style_size: int = 512
    max_tile_pixels: int = MAX_TILE_PIXELS
    precision: Precision = "float32"
    format: PictureFormat = "jpg"
    # Visually lossless, a quarter of the size of PNG.
    quality: int = 95
    layout: Layout = "grid"
    output_format: OutputFormat = "files"
    metrics: bool = False
    metrics_fraction: float = 0.0
    max_failure_rate: float = 0.01
    retry_failed: bool = False
    dry_run: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        for alpha in self.alpha:
            require(0 <= alpha <= 1, "--alpha", alpha, "a number in [0, 1]")
            require(
                round(alpha * 1000) / 1000 == alpha,
                "--alpha",
                alpha,
                "at most three decimals, since file names carry alpha × 1000",
            )
        for flag, size in (
            ("--content-size", self.content_size),
            ("--style-size", self.style_size),
        ):
            require(size == 0 or size >= 32, flag, size, "0 (keep) or at least 32")
        require(
            self.max_tile_pixels >= LEAST_TILE_PIXELS,
            "--max-tile-pixels",
            self.max_tile_pixels,
            f"at least {LEAST_TILE_PIXELS}, so that tiles are more than their halo",
        )
        require(1 <= self.quality <= 100, "--quality", self.quality, "1 to 100")
        for flag, share in (
            ("--max-failure-rate", self.max_failure_rate),
            ("--metrics-fraction", self.metrics_fraction),
        ):
            require_share(flag, share)
        self._check_together()

    def _check_together(self) -> None:
        """Refuse flags that would change nothing beside the others."""
        for flag, value, pairing in (
            ("--styles-per-content", self.styles_per_content, "sample"),
            ("--seed", self.seed, "sample"),
            ("--corner-steps", self.corner_steps, "corners"),
        ):
            require(
                value is None or self.pairing == pairing,
                flag,
                value,
                f"--pairing {pairing} beside it",
            )
        count = self.styles_per_content
        require(count is None or count >= 1, "--styles-per-content", count, ">= 1")
        steps = self.corner_steps
        require(steps is None or 2 <= steps <= 20, "--corner-steps", steps, "2 to 20")
        both = self.metrics and self.metrics_fraction > 0
        require(not both, "--metrics-fraction", self.metrics_fraction, "no --metrics")
        require(
            bool(self.style or self.style_bank),
            "--style",
            "(none)",
            "pictures of styles, or a --style-bank that has them all",
        )
        pixels = self.preserve_color == "histogram" or self.measured_share > 0
        require(
            bool(self.style) or not pixels,
            "--style-bank",
            self.style_bank,
            "--style beside it: histograms and metrics need the styles' pixels",
        )
        require(
            self.preserve_color != "histogram" or self.measured_share == 0,
            "--preserve-color",
            self.preserve_color,
            "no metrics: each picture has a style of its own then",
        )
        require(
            not (self.overwrite and self.retry_failed),
            "--retry-failed",
            "",
            "no --overwrite beside it",
        )

    @property
    def measured_share(self) -> float:
        """Share of the pictures that are measured."""
        return 1.0 if self.metrics else self.metrics_fraction


def _strengths(text: str) -> tuple[float, ...]:
    return tuple(dict.fromkeys(float(part) for part in text.split(",")))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add = parser.add_argument
    add(
        "--content",
        nargs="+",
        required=True,
        metavar="P",
        help=f"photographs: {IMAGES}; NAME=P names an input",
    )
    add("--style", nargs="+", metavar="P", help="paintings: likewise")
    add(
        "--style-bank",
        metavar="B",
        help="styles.parquet of an earlier run, with or without the paintings",
    )
    add("--output", required=True, metavar="D", help="output folder")
    add("--bundle", metavar="B", help="folder of the networks; else the packaged ones")
    add(
        "--pairing",
        metavar="HOW",
        help="grid (every style), sample (a few by hash), zip (in the order of keys), "
        "corners (an interpolation sheet of 2 to 4 styles), or a .csv or .parquet of "
        "pairs with content, style, weights, alpha, mask",
    )
    add(
        "--styles-per-content",
        type=int,
        metavar="K",
        help="styles of each content in a sample (default: 1)",
    )
    add("--seed", type=int, metavar="S", help="of a sample (default: 0)")
    add(
        "--corner-steps",
        type=int,
        metavar="N",
        help="pictures along a side of the interpolation sheet (default: 5)",
    )
    add(
        "--alpha",
        type=_strengths,
        metavar="A,...",
        help="strengths of the style, 0 to 1, one picture each",
    )
    add(
        "--preserve-color",
        choices=get_args(PreserveColor),
        help="keep the content's colours: only its luminance is stylized, or the style "
        "is recoloured for each content (slow)",
    )
    add(
        "--content-size",
        type=int,
        metavar="PIXELS",
        help="shrink contents to this shortest side; 0 keeps their size",
    )
    add(
        "--style-size",
        type=int,
        metavar="PIXELS",
        help="shrink styles to this shortest side; 0 keeps their size",
    )
    add(
        "--max-tile-pixels",
        type=int,
        metavar="PIXELS",
        help="larger pictures go through the network in tiles, with the same result",
    )
    add("--precision", choices=PRECISIONS, help="of the convolutions")
    add("--format", choices=get_args(PictureFormat), help="of the pictures")
    add("--quality", type=int, help="of JPEG, 1 to 100")
    add(
        "--layout",
        choices=get_args(Layout),
        help="a folder for each content, or the folders of the input",
    )
    add(
        "--output-format",
        choices=get_args(OutputFormat),
        help="a file for each picture, or shards of many (without a gallery)",
    )
    add(
        "--metrics",
        action="store_true",
        help="measure every picture: losses and SSIM, for the manifest and the gallery",
    )
    add(
        "--metrics-fraction",
        type=float,
        metavar="SHARE",
        help="measure this share of the pictures, chosen by a hash",
    )
    add_failure_rate(parser, "images or cells fails")
    add(
        "--retry-failed",
        action="store_true",
        help="look only at what failed in the last run",
    )
    add(
        "--dry-run",
        action="store_true",
        help="tell what would be done, and how long it would take; write nothing",
    )
    add_overwrite(parser)
    # As on the command line, for --help.
    set_defaults(parser, StylizeConfig, alpha="1")


def config_from_args(args: argparse.Namespace) -> StylizeConfig:
    """Return the configuration.

    Raises:
        UsageError: A value is out of range.
    """
    values = values_of(args, StylizeConfig)
    values |= {"content": tuple(args.content), "style": tuple(args.style or ())}
    return StylizeConfig(**values)
