"""Which files of an output of `stylize` are of no use once a run has ended."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from pipelines.command.apart import is_same
from pipelines.command.overwrite import Names, unwanted
from pipelines.stylize.config import StylizeConfig
from pipelines.stylize.plan import StylizePlan
from transforms.annotations.coco_files import ANNOTATIONS, coco_names
from transforms.annotations.dataset_source import CATEGORIES, CLASSES
from transforms.annotations.kinds.tree_files import (
    LISTS,
    MASKS,
    names_in,
    names_left,
)
from transforms.annotations.kinds.yolo import DATA
from transforms.descriptions.tfds_files import (
    CATEGORY_NAMES,
    CLASS_NAMES,
    DATASET_INFO,
    FEATURES,
)
from transforms.elements import CellStatus
from transforms.images.thumbnails import (
    CONTENT,
    STYLE,
    THUMBS,
    content_preview_name,
    has_thumbnail,
    thumbnail_name,
)
from transforms.shards.entries import SHARDS
from transforms.shards.tfds_shards import COUNTS
from transforms.storage.compact_table import merged_journal
from transforms.storage.folder import OutputFolder
from transforms.stylize.cells import BANK_NAME, ORIGINAL_ID
from transforms.stylize.interpolation_sheets import SHEETS, sheet_name
from transforms.stylize.manifest import MANIFEST_TABLE
from transforms.stylize.style_bank import load_bank

_ID: Final = r"[a-z0-9-]*[0-9a-f]{12}"
_PICTURE: Final = rf"(?:.*/)?(?:{_ID}@)?(?:{_ID}(?:@a[0-9]{{4}})?|{ORIGINAL_ID})"

# Every name that this command gives to a file of a picture, or beside one.
_FORMS: Final = re.compile(
    rf"images/{_PICTURE}\.(?:jpg|png)"
    rf"|{THUMBS}/{_PICTURE}\.jpg"
    rf"|{SHARDS}/part-[0-9]{{5}}-[0-9]{{5,}}(?:-\w+)?-[0-9a-f]{{12}}"
    r"\.(?:tar|tfrecord|parquet)"
    rf"|{SHARDS}/stylized-\w+-[0-9a-f]{{12}}\.tfrecord-[0-9]{{5}}-of-[0-9]{{5}}"
    rf"|{SHEETS}/{_ID}(?:@a[0-9]{{4}})?\.jpg"
    rf"|(?:{CONTENT}|{STYLE})/{_ID}\.jpg"
    rf"|{MASKS}/{_PICTURE}\.png|(?:images/(?:.*/)?)?labels/{_PICTURE}\.txt"
    rf"|{ANNOTATIONS}/(?:voc/{_PICTURE}\.xml|panoptic_[a-z]+/{_PICTURE}\.png)"
    rf"|{ANNOTATIONS}/(?:voc_[a-z]+\.txt|(?:instances|captions|panoptic)_[a-z]+\.json)"
    rf"|images/metadata\.jsonl"
    r"|gallery/index\.html|gallery/pages/[0-9]{5}-[0-9]{3,}\.js",
    re.DOTALL,
)
_MAPS: Final = ("mask", "panoptic")
_PICTURES: Final = re.compile(r"\.pictures$")


def records(config: StylizeConfig) -> Sequence[str]:
    """Return what says what is done; not a bank that is an input of this run."""
    bank = OutputFolder(config.output).path(BANK_NAME)
    given = config.style_bank and is_same(config.style_bank, bank)
    return ["manifest", "failures", COUNTS, *([] if given else [BANK_NAME])]


def leftovers(
    config: StylizeConfig, plan: StylizePlan, output: OutputFolder, everything: bool
) -> Iterator[str]:
    """Yield the names of the files that a finished output has no use for.

    Args:
        config: What was asked for.
        plan: What was found before the run.
        output: The output.
        everything: Whether everything was made anew: then whatever the output does not
            tell of goes. Otherwise only pictures that a failed cell has of an earlier
            content, shards without rows, and what was merged.
    """
    # Where a picture is may differ: what was committed again was not packed again.
    yield from merged_journal(MANIFEST_TABLE, output, but=("shard", "offset"))
    if not MANIFEST_TABLE.journal_names(output):
        yield from (n for n in output.names(MANIFEST_TABLE.journal) if _is_block(n))
    if everything:
        yield from _needless(config, plan, output)
        told = Names(_told_of(config, plan, output))
        folders = ["images", SHARDS, SHEETS, "gallery", ANNOTATIONS, MASKS, "labels"]
        yield from unwanted(output, folders, _FORMS, told)
        lists = (name for name in (DATA, *LISTS) if output.is_file(name))
        yield from (name for name in lists if name not in told)
        return
    for row in MANIFEST_TABLE.all_rows(output, ["path", "status"]):
        if row["status"] == CellStatus.FAILED and output.is_file(row["path"]):
            yield from (row["path"], thumbnail_name(row["path"]))
            if config.layout == "tree":
                yield from filter(output.is_file, names_left(row["path"]))
    if config.output_format != "files":
        used = {row["shard"] for row in MANIFEST_TABLE.all_rows(output, ["shard"])}
        yield from unwanted(output, [SHARDS], _FORMS, used)


def _needless(
    config: StylizeConfig, plan: StylizePlan, output: OutputFolder
) -> Iterator[str]:
    """Yield what described an earlier output, and what this one has not."""
    is_tfds = config.output_format == "tfrecord"
    if not is_tfds:
        # First what makes the shards a data set.
        yield from (DATASET_INFO, FEATURES, COUNTS)
    lists = (plan.pictures.classes, plan.pictures.categories)
    for name, names in zip((CLASSES, CATEGORIES), lists, strict=True):
        if not names:
            yield name
    for name, names in zip((CLASS_NAMES, CATEGORY_NAMES), lists, strict=True):
        if not (is_tfds and names):
            yield name


def _is_block(name: str) -> bool:
    return _PICTURES.search(name) is not None


def _told_of(
    config: StylizeConfig, plan: StylizePlan, output: OutputFolder
) -> Iterator[str]:
    """Yield the names of all pictures, shards, sheets, previews and pages."""
    content, files = None, config.output_format == "files"
    columns = ["content_id", "path", "shard", "status", "width", "height"]
    for row in MANIFEST_TABLE.all_rows(output, columns):
        if row["status"] == CellStatus.DONE:
            yield row["shard"] or row["path"]
            if files and has_thumbnail(row["width"], row["height"]):
                yield thumbnail_name(row["path"])
        if files and row["content_id"] != content:
            content = row["content_id"]
            yield content_preview_name(content)
            if config.pairing == "corners":
                yield from (sheet_name(content, alpha) for alpha in config.alpha)
    if not files:
        return
    if config.layout == "tree":
        columns = ["path", "status", "width", "height", "annotation", *_MAPS]
        for row in MANIFEST_TABLE.all_rows(output, columns):
            if row["status"] == CellStatus.DONE and row["annotation"]:
                yield from names_in(row)
                yield from coco_names(row["annotation"])
    for ref in plan.contents.refs():
        yield content_preview_name(ref.id)
    bank = load_bank(output.path(BANK_NAME))
    for share in bank.styles if bank else ():
        yield f"{STYLE}/{share.id}.jpg"
    yield "gallery/index.html"
    # The step that wrote the index deleted the pages that it does not name.
    yield from output.names("gallery/pages")
