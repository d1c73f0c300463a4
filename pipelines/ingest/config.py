"""What `stylebeam ingest` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
import re

from model.options import (
    SHARE,
    at_least,
    between,
    option,
    required,
    zero_or_at_least,
)
from pipelines.command import flags
from pipelines.engines.config import LaunchConfig
from pipelines.errors import UsageError
from transforms.annotations.dataset_layout import (
    MAX_SHARDS,
    Encode,
    NearDuplicates,
    SplitFrom,
)
from transforms.annotations.geometry import Grid
from transforms.annotations.sources import Kind, Labels
from transforms.images.limits import MAX_PIXELS, MIN_SIDE
from transforms.ingest.filters import parse_filter


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IngestConfig:
    """What `stylebeam ingest` was asked to do.

    Attributes:
        launch: How the job is launched.
    """

    input: tuple[str, ...] = required(
        f"pictures: outputs of ingest and stylize, tfds:NAME, {flags.IMAGES}",
        metavar="P",
        path="read",
    )
    output: str = required(
        "folder, or gs:// or s3:// URL, of the data set", metavar="D", path="written"
    )
    name: str = required("name of the data set: [a-z][a-z0-9_]*", metavar="N")
    kind: Kind = option(
        "folder",
        "what the names of files mean: coco takes --captions, wikiart reads "
        "Style/artist_title.jpg",
    )
    # Twice the crop of training, which draws its scale from [1, 2].
    size: int = option(
        512,
        "shrink pictures to this shortest side",
        zero_or_at_least(MIN_SIDE),
        metavar="PIXELS",
    )
    val_fraction: float = option(
        0.02,
        "how many of the pictures go into the val split",
        SHARE,
        metavar="SHARE",
    )
    # Large enough for object stores, small enough to be redone.
    shard_mb: int = option(
        128,
        "megabytes (10^6 bytes) of source pictures in a shard of the train split",
        at_least(1),
        metavar="MB",
    )
    shards: int | None = option(
        None,
        "number of shards of the train split, in place of --shard-mb",
        between(1, MAX_SHARDS),
        metavar="N",
        instead_of="shard_mb",
    )
    encode: Encode = option(
        "jpeg",
        "how pictures are stored; keep leaves an 8-bit RGB or grey JPEG or PNG as it "
        "is where nothing has to change",
    )
    # Visually lossless, a quarter of the size of PNG.
    quality: int = option(95, "quality of JPEG pictures", between(1, 100))
    min_side: int = option(
        MIN_SIDE,
        "reject pictures whose shortest side is smaller",
        at_least(1),
        metavar="PIXELS",
    )
    max_pixels: int = option(
        MAX_PIXELS,
        "reject pictures whose width × height is larger",
        at_least(1),
        metavar="N",
    )
    captions: str = option(
        "",
        "captions_*.json of COCO (with --kind coco)",
        metavar="FILE",
        path="read",
    )
    instances: str = option(
        "",
        "instances_*.json of COCO (with --kind coco): objects follow the picture",
        metavar="FILE",
        path="read",
    )
    annotated_as: Grid = option(
        "unknown",
        "which pixels objects mean in a picture that EXIF turns, where its size does "
        "not tell; where it is unknown, such a picture fails",
    )
    labels: Labels = option(
        "none",
        "folder: the folder that a picture lies in is its class",
    )
    split_from: SplitFrom = option(
        "hash",
        "what decides the split: hash (of the bytes, with --val-fraction), folder (the "
        "first folder: train, val, test), input (its NAME in NAME=PATH), tfds (its "
        "split in a TFDS data set)",
    )
    class_map: str = option(
        "",
        "a CSV that begins with the line label,class: classes in the place of labels, "
        "in the order of the file",
        metavar="FILE",
        path="read",
        launcher=True,
    )
    filter: tuple[str, ...] = option(
        (),
        "keep the pictures of which this holds, such as min-side>=256, aspect<=16:9, "
        "label=cat,dog or label!=dog; all of several must hold",
        metavar="CONDITION",
    )
    near_duplicates: NearDuplicates = option(
        "keep",
        "pictures that look nearly the same: keep takes them as any others, report "
        "puts each group into one split and names it, drop leaves out what is within 3 "
        "bits of a picture that is kept",
    )
    wikiart_list: tuple[str, ...] = option(
        (),
        "style_*.csv of WikiArt, lines Style/file.jpg,class (with --kind wikiart)",
        metavar="FILE",
        path="read",
    )
    max_failure_rate: float = flags.max_failure_rate("images is rejected")
    dry_run: bool = option(False, "print the plan, write nothing")
    overwrite: bool = flags.overwrite()
    launch: LaunchConfig = dataclasses.field(default_factory=LaunchConfig)

    def __post_init__(self) -> None:
        flags.require(
            re.fullmatch(r"[a-z][a-z0-9_]*", self.name) is not None,
            "--name",
            repr(self.name),
            "a lower-case letter, then lower-case letters, digits and _, as TFDS wants",
        )
        flags.check_ranges(self)
        for text in self.filter:
            try:
                parse_filter(text)
            except ValueError as error:
                raise UsageError(f"--filter {text}: {error}.") from error
        for flag, value, kind in (
            ("--captions", self.captions, "coco"),
            ("--instances", self.instances, "coco"),
            ("--wikiart-list", " ".join(self.wikiart_list), "wikiart"),
        ):
            flags.require(
                not value or self.kind == kind,
                flag,
                value,
                f"--kind {kind} with it, not --kind {self.kind}",
            )
        flags.require(
            self.labels == "none" or self.kind != "wikiart",
            "--labels",
            self.labels,
            "no --kind wikiart, which takes labels from folders itself",
        )
        flags.require(
            self.annotated_as == "unknown" or bool(self.instances),
            "--annotated-as",
            self.annotated_as,
            "--instances beside it",
        )
