"""What `stylebeam stylize` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
from typing import Final

from model.bundle import PACKAGED
from model.config import Precision
from model.networks.tiling import LEAST_TILE_PIXELS
from model.options import (
    SHARE,
    at_least,
    between,
    numbers,
    option,
    required,
    zero_or_at_least,
)
from pipelines.command import flags
from pipelines.command.flags import require
from pipelines.engines.config import LaunchConfig
from transforms.elements import PreserveColor
from transforms.stylize.cells import BANK_NAME, Layout, OutputFormat, PictureFormat

PAIRINGS: Final = ("grid", "sample", "zip", "corners")


def _strengths(text: str) -> tuple[float, ...]:
    """Return numbers, equal ones once."""
    return tuple(dict.fromkeys(numbers(text)))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StylizeConfig:
    """What `stylebeam stylize` was asked to do.

    Attributes:
        launch: How the job is launched.
    """

    content: tuple[str, ...] = required(
        f"photographs: {flags.IMAGES}",
        metavar="P",
        path="read",
    )
    style: tuple[str, ...] = option(
        (),
        f"paintings: {flags.IMAGES}; may be left out where a style bank has them all",
        metavar="P",
        path="read",
    )
    style_bank: str = option(
        "",
        "styles.parquet of an earlier run, whose styles are not encoded again",
        metavar="B",
        path="read",
        own=BANK_NAME,
    )
    output: str = required(
        "folder, or gs:// or s3:// URL, for everything made",
        metavar="D",
        path="written",
    )
    # A name and not its path, which is another one on a remote worker.
    bundle: str = option(
        "default",
        "networks: default (fast, at four levels), paper (Huang & Belongie 2017), or "
        "the folder or URL of a bundle",
        metavar="B",
        path="read",
        words=tuple(PACKAGED),
    )
    pairing: str = option(
        "grid",
        "how photographs meet paintings: grid (every one with every one), sample (a "
        "few paintings each, chosen by a hash), zip (one each, in the order of keys), "
        "corners (an interpolation sheet of 2 to 4 paintings), or a .csv or .parquet "
        "of pairs with the columns content, style, weights, alpha, mask",
        metavar="HOW",
        path="read",
        words=PAIRINGS,
    )
    region_styles: str = option(
        "",
        "a .csv or .parquet with the columns class, style, by: the objects of the "
        "photographs, which --content must know, take styles of their own",
        metavar="FILE",
        path="read",
        launcher=True,
    )
    styles_per_content: int | None = option(
        None,
        "paintings that each photograph meets with --pairing sample, 1 when not given",
        at_least(1),
        metavar="K",
    )
    seed: int | None = option(
        None,
        "another number draws other paintings with --pairing sample, 0 when not given",
        metavar="S",
    )
    corner_steps: int | None = option(
        None,
        "pictures along a side of the sheet of --pairing corners, 5 when not given",
        between(2, 20),
        metavar="N",
    )
    keep_original: float = option(
        0.0,
        "add the originals of this share of the photographs, chosen by a hash: each is "
        "one more picture, of the style original, decoded, shrunk and encoded like the "
        "others",
        SHARE,
        metavar="SHARE",
    )
    outside_masks: bool = option(
        False,
        "let a file of pairs name masks anywhere: at URLs, and where paths or links "
        "lead out of its own folder; only for files that you trust",
    )
    alpha: tuple[float, ...] = option(
        (1.0,),
        "strengths of the style with commas, a picture for each",
        between(0, 1, "a number in [0, 1]"),
        metavar="A,…",
        read=_strengths,
    )
    preserve_color: PreserveColor = option(
        "none",
        "keep the photograph's colours: luminance stylizes only its brightness, "
        "histogram recolours the painting for each photograph (slow)",
    )
    content_size: int = option(
        0,
        "shrink photographs to this shortest side",
        zero_or_at_least(32),
        metavar="PIXELS",
    )
    # The size of the training pictures before cropping: strokes look as intended.
    style_size: int = option(
        512,
        "shrink paintings to this shortest side",
        zero_or_at_least(32),
        metavar="PIXELS",
    )
    max_tile_pixels: int | None = option(
        None,
        "larger pictures go through the network in tiles, with the same result; by "
        "default what 700 MiB hold, 917504 pixels for the network of the paper",
        at_least(
            LEAST_TILE_PIXELS,
            f"at least {LEAST_TILE_PIXELS}, so that a tile is larger than its border",
        ),
        metavar="PIXELS",
    )
    precision: Precision = option("float32", "type of the numbers in the convolutions")
    format: PictureFormat = option("jpg", "file format of the pictures")
    # Visually lossless, a quarter of the size of PNG.
    quality: int = option(95, "quality of JPEG pictures", between(1, 100))
    layout: Layout = option(
        "grid",
        "where pictures go: grid makes a folder for each photograph, tree repeats the "
        "folders of the input",
    )
    output_format: OutputFormat = option(
        "files",
        "files makes one for each picture; tfrecord, webdataset and parquet make "
        "shards of many, without a gallery",
    )
    metrics: bool = option(
        False,
        "measure every picture: losses and SSIM, for the manifest and the gallery",
    )
    metrics_fraction: float = option(
        0.0,
        "measure only some pictures, chosen by a hash",
        SHARE,
        metavar="SHARE",
    )
    max_failure_rate: float = flags.max_failure_rate("images or cells fails")
    retry_failed: bool = option(False, "look only at what failed in the last run")
    dry_run: bool = option(
        False,
        "tell what would be done and how long it would take; write nothing",
    )
    overwrite: bool = flags.overwrite()
    launch: LaunchConfig = dataclasses.field(default_factory=LaunchConfig)

    def __post_init__(self) -> None:
        flags.check_ranges(self)
        require(bool(self.alpha), "--alpha", "", "at least one number, such as 1")
        for alpha in self.alpha:
            require(
                round(alpha * 1000) / 1000 == alpha,
                "--alpha",
                alpha,
                "at most three decimals, since file names carry alpha × 1000",
            )
        # Flags that would change nothing beside the others.
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
        require(
            not self.outside_masks or self.pairing not in PAIRINGS,
            "--outside-masks",
            "",
            "a file of pairs as --pairing beside it",
        )
        require(
            not self.region_styles or self.pairing == "grid",
            "--pairing",
            self.pairing,
            "no --region-styles beside it, which says what meets what",
        )
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
