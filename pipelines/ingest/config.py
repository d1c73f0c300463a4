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
from transforms.annotations.sources import BESIDE, Kind, Labels
from transforms.images.limits import MAX_PIXELS, MIN_SIDE
from transforms.ingest.filters import parse_filter

# Data sets of other programs, by how they are named.
_RECORDS = re.compile(r"(^|=)(webdataset|parquet|tfds):|\.(parquet|tar)$")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IngestConfig:
    """What `stylebeam ingest` was asked to do.

    Attributes:
        launch: How the job is launched.
    """

    input: tuple[str, ...] = required(
        f"pictures: {flags.IMAGES}",
        metavar="P",
        path="read",
    )
    output: str = required(
        "folder, or gs:// or s3:// URL, of the data set", metavar="D", path="written"
    )
    name: str = required("name of the data set: [a-z][a-z0-9_]*", metavar="N")
    kind: Kind = option(
        "folder",
        "what is beside the pictures: coco takes --instances, --captions and "
        "--panoptic, voc and yolo take --annotations, wikiart reads "
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
    panoptic: str = option(
        "",
        "panoptic_*.json of COCO (with --kind coco); the maps are in the folder or "
        ".zip of that name beside it",
        metavar="FILE",
        path="read",
    )
    annotations: str = option(
        BESIDE,
        "folder, glob or archive of the .xml files of --kind voc, the .txt files of "
        "--kind yolo; beside: among the inputs",
        metavar="P",
        path="read",
        words=(BESIDE,),
    )
    data_yaml: str = option(
        "",
        "data.yaml with the names of the classes (with --kind yolo)",
        metavar="FILE",
        path="read",
        launcher=True,
    )
    masks: str = option(
        "",
        "folder, glob or archive of maps of classes, PNG, each named like its picture; "
        "beside: a.mask.png among the inputs for a.jpg",
        metavar="P",
        path="read",
        words=(BESIDE,),
    )
    metadata: str = option(
        "",
        "table of further columns by file_name, .jsonl or .csv; beside: metadata.jsonl "
        "and metadata.csv among the inputs",
        metavar="FILE",
        path="read",
        words=(BESIDE,),
    )
    annotated_as: Grid = option(
        "unknown",
        "which pixels objects and maps mean in a picture that EXIF turns, where its "
        "size does not tell; where it is unknown, such a picture fails",
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
            ("--panoptic", self.panoptic, "coco"),
            ("--data-yaml", self.data_yaml, "yolo"),
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
            self.annotations == BESIDE or self.has_object_files,
            "--annotations",
            self.annotations,
            f"--kind voc or yolo with it, not --kind {self.kind}",
        )
        flags.require(
            self.kind != "yolo" or bool(self.data_yaml),
            "--kind",
            self.kind,
            "--data-yaml beside it, which has the names of the classes",
        )
        on_pixels = (self.instances, self.panoptic, self.masks, self.has_records)
        flags.require(
            self.annotated_as == "unknown" or any(on_pixels) or self.has_object_files,
            "--annotated-as",
            self.annotated_as,
            "--instances beside it, or another kind of objects or maps",
        )

    @property
    def has_records(self) -> bool:
        """Whether an input may be a data set that brings objects with it."""
        return any(_RECORDS.search(argument) for argument in self.input)

    @property
    def has_object_files(self) -> bool:
        """Whether the objects of each picture are in a file of their own."""
        return self.kind in ("voc", "yolo")

    @property
    def has_objects(self) -> bool:
        """Whether there are files of objects."""
        return self.has_object_files or bool(self.instances)

    @property
    def has_annotation_files(self) -> bool:
        """Whether there are files beside COCO's instances and captions."""
        return self.has_object_files or any((self.panoptic, self.masks, self.metadata))
