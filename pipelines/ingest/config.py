"""What `stylebeam ingest` can be asked to do, and its flags.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import argparse
import dataclasses
import re
from typing import Final

from pipelines.command.flags import (
    IMAGES,
    add_failure_rate,
    add_overwrite,
    require,
    require_share,
    set_defaults,
    values_of,
)
from transforms.annotations.dataset_layout import ENCODES, Encode
from transforms.annotations.sources import KINDS, Kind
from transforms.images.limits import MAX_PIXELS, MIN_SIDE

_01: Final = "a share in [0, 1]"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IngestConfig:
    """What `stylebeam ingest` was asked to do.

    Attributes:
        input: Folders, globs, files, archives, `tfds:NAME`, `NAME=PATH`.
        output: Folder or `gs://` URL.
        name: Of the data set, `[a-z][a-z0-9_]*`.
        kind: What the names of files mean.
        size: Shortest side in pixels that larger pictures are shrunk to; 0 keeps all.
        val_fraction: Share of the val split, in [0, 1].
        shard_mb: Megabytes (10^6) of source a shard.
        shards: Number of shards of the train split; None: `shard_mb` decides.
        encode: How pictures are stored.
        quality: Of JPEG, 1 to 100.
        min_side: Smallest accepted shortest side in pixels.
        max_pixels: Largest accepted picture in pixels.
        captions: COCO caption file; '' for none.
        wikiart_list: WikiArt list files.
        max_failure_rate: Largest share of rejected images that still is a success.
        dry_run: Whether only the plan is printed.
        overwrite: Whether everything is made anew.
    """

    input: tuple[str, ...]
    output: str
    name: str
    kind: Kind = "folder"
    # Twice the crop of training, which draws its scale from [1, 2].
    size: int = 512
    val_fraction: float = 0.02
    # Large enough for object stores, small enough to be redone.
    shard_mb: int = 128
    shards: int | None = None
    encode: Encode = "jpeg"
    # Visually lossless, a quarter of the size of PNG.
    quality: int = 95
    min_side: int = MIN_SIDE
    max_pixels: int = MAX_PIXELS
    captions: str = ""
    wikiart_list: tuple[str, ...] = ()
    max_failure_rate: float = 0.01
    dry_run: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        require(
            _NAME.fullmatch(self.name) is not None,
            "--name",
            repr(self.name),
            "a lower-case letter, then lower-case letters, digits and _, as TFDS wants",
        )
        require(
            self.size == 0 or self.size >= MIN_SIDE,
            "--size",
            self.size,
            f"0 (keep) or at least {MIN_SIDE}",
        )
        require_share("--val-fraction", self.val_fraction)
        require(self.shard_mb >= 1, "--shard-mb", self.shard_mb, "at least 1")
        if self.shards is not None:
            # More would not be five digits, which names in TFDS have.
            require(1 <= self.shards <= 99_999, "--shards", self.shards, "1 to 99999")
        require(1 <= self.quality <= 100, "--quality", self.quality, "1 to 100")
        require(self.min_side >= 1, "--min-side", self.min_side, "at least 1")
        require(self.max_pixels >= 1, "--max-pixels", self.max_pixels, "at least 1")
        require_share("--max-failure-rate", self.max_failure_rate)
        for flag, value, kind in (
            ("--captions", self.captions, "coco"),
            ("--wikiart-list", " ".join(self.wikiart_list), "wikiart"),
        ):
            require(
                not value or self.kind == kind,
                flag,
                value,
                f"--kind {kind} with it, not --kind {self.kind}",
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument(
        "--input",
        nargs="+",
        required=True,
        metavar="P",
        help=f"pictures: {IMAGES}, data sets made by this command, tfds:NAME; NAME=P "
        "names an input",
    )
    parser.add_argument("--output", required=True, metavar="D", help="output folder")
    parser.add_argument(
        "--name", required=True, metavar="N", help="of the data set: [a-z][a-z0-9_]*"
    )
    parser.add_argument(
        "--kind",
        choices=KINDS,
        help="what the names of files mean: coco takes --captions, wikiart reads "
        "Style/artist_title.jpg",
    )
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="shrink pictures to this shortest side; 0 keeps their size",
    )
    parser.add_argument(
        "--val-fraction", type=float, metavar="SHARE", help="of the val split, 0 to 1"
    )
    shards = parser.add_mutually_exclusive_group()
    shards.add_argument(
        "--shard-mb", type=int, metavar="MB", help="megabytes of source a shard"
    )
    shards.add_argument(
        "--shards", type=int, metavar="N", help="number of shards of the train split"
    )
    parser.add_argument(
        "--encode",
        choices=ENCODES,
        help="how pictures are stored; keep leaves an 8-bit RGB or grey JPEG or PNG as "
        "it is where nothing has to change",
    )
    parser.add_argument("--quality", type=int, help="of JPEG, 1 to 100")
    parser.add_argument(
        "--min-side", type=int, metavar="PIXELS", help="smallest accepted shortest side"
    )
    parser.add_argument(
        "--max-pixels", type=int, metavar="N", help="largest accepted width × height"
    )
    parser.add_argument(
        "--captions", metavar="FILE", help="captions_*.json of COCO (--kind coco)"
    )
    parser.add_argument(
        "--wikiart-list",
        nargs="+",
        metavar="FILE",
        help="style_*.csv of WikiArt, lines Style/file.jpg,class (--kind wikiart)",
    )
    add_failure_rate(parser, "images is rejected")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the plan, write nothing"
    )
    add_overwrite(parser)
    set_defaults(parser, IngestConfig)


def config_from_args(args: argparse.Namespace) -> IngestConfig:
    """Return the configuration.

    Raises:
        UsageError: A value is out of range.
    """
    values = values_of(args, IngestConfig)
    values |= {
        "input": tuple(args.input),
        "captions": args.captions or "",
        "wikiart_list": tuple(args.wikiart_list or ()),
    }
    return IngestConfig(**values)
