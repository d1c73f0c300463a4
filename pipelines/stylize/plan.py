"""What `stylebeam stylize` finds out before it writes anything."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from model.bundle import Bundle, load_bundle
from model.checksums import DamagedFileError
from pipelines.command.inputs import Pictures, list_pictures
from pipelines.command.pairs import read_pairs
from pipelines.errors import UsageError
from pipelines.stylize.config import PAIRINGS, StylizeConfig
from transforms.annotations.annotation_index import read_annotation
from transforms.annotations.known_of_cells import (
    CellAnnotations,
    Facts,
    facts_digest,
    facts_of,
)
from transforms.annotations.map_pixels import VOID
from transforms.inputs.listed import Listing
from transforms.shards.entries import Names
from transforms.steps.pair_table import PairFile, write_pair_table, zip_pairs
from transforms.storage.files import read_file
from transforms.storage.folder import OutputFolder
from transforms.stylize.cells import ORIGINAL_ID, StylizeSettings
from transforms.stylize.earlier_failures import Retry, failed_before
from transforms.stylize.pairing import (
    BlendPairing,
    GridPairing,
    KeepOriginals,
    Pairing,
    RowsPairing,
    SamplePairing,
    TablePairing,
    corner_weights,
    is_kept,
)
from transforms.stylize.regions.region_pairing import RegionPairing
from transforms.stylize.regions.rules import RegionRule, Source, read_rules
from transforms.stylize.style_bank import BankFile, BankSettings, bank_file, check_bank

_CORNER_STEPS: Final = 5


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StylizePlan:
    """What the launcher found out before anything is written.

    Attributes:
        contents: The contents.
        pictures: The contents, with what is known of them.
        style_facts: What is known of the styles, by their ids.
        styles: The styles; none where they come from a bank alone.
        style_count: How many styles are listed, or are in the bank.
        bundle: The networks.
        settings: What changes bytes but not paths.
        bank: A given style bank.
        pairs: Rows of a table of pairs; None for the other ways of pairing.
        rules: Which objects take which styles; none for the other ways of pairing.
        retry: What failed before, where only that is wanted.
    """

    contents: Listing
    pictures: Pictures
    style_facts: Mapping[str, Facts]
    styles: Listing
    style_count: int
    bundle: Bundle
    settings: StylizeSettings
    bank: BankFile | None
    pairs: Sequence[dict[str, Any]] | None
    rules: tuple[RegionRule, ...]
    retry: Retry | None

    @property
    def content_count(self) -> int:
        """How many contents are listed."""
        return self.contents.count

    @property
    def style_bank_alone(self) -> bool:
        """Whether the styles come from a bank without their pictures."""
        return not self.styles.count

    def annotations(self, output: OutputFolder) -> CellAnnotations | None:
        """Return what is known of contents and styles; None where nothing is."""
        known = self.pictures.index is not None
        if not known and not self.style_facts:
            return None
        digest = facts_digest(self.style_facts)
        return CellAnnotations(output, known, len(self.pictures.classes), digest)

    @property
    def names(self) -> Names:
        """What numbers in records of contents stand for."""
        pictures = self.pictures
        return Names(
            pictures.classes,
            pictures.categories,
            pictures.segment_categories,
            pictures.known,
        )

    def bank_settings(self) -> BankSettings:
        """Return what the bank of this job is bound to."""
        return BankSettings(
            **self.bundle.style_code,
            style_size=self.settings.style_size,
            precision=self.settings.precision,
        )

    def identity(self, config: StylizeConfig) -> dict[str, Any]:
        """Return what an output is continued with only when it is the same."""
        seed = (config.seed or 0) if config.pairing == "sample" else None
        identity = {
            **self.settings.to_json(),
            "layout": config.layout,
            "output_format": config.output_format,
            "seed": seed,
        }
        # Every shard has numbers of classes, and is not written again.
        if config.output_format == "parquet":
            identity["classes"] = list(self.pictures.classes)
        if config.output_format == "tfrecord":
            identity |= self.names.to_json()
        return identity


def plan(config: StylizeConfig) -> StylizePlan:
    """Look at the inputs, the bundle and the bank; writes nothing.

    Raises:
        UsageError: One of them cannot be used.
    """
    try:
        bundle = load_bundle(config.bundle, read_file)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"--bundle {config.bundle}: {error}") from error
    settings = StylizeSettings(
        bundle_id=bundle.bundle_id,
        content_size=config.content_size,
        style_size=config.style_size,
        precision=config.precision,
        format=config.format,
        quality=config.quality,
        preserve_color=config.preserve_color,
    )
    pictures = list_pictures("--content", config.content, config.output, "contents")
    paintings = Pictures(Listing())
    bank = None
    bank_keys: Sequence[str] = ()
    if config.style:
        paintings = list_pictures("--style", config.style, config.output, "styles")
    contents, styles = pictures.listing, paintings.listing
    _check_order(config, contents, styles)
    style_count = styles.count
    if config.style_bank:
        bank, bank_keys = _bank(config, bundle)
        style_count = style_count or len(bank_keys)
    _check_counts(config, contents.count, style_count)
    if config.keep_original:
        _check_keys([*(ref.key for ref in styles.refs()), *bank_keys])
    pairs = _pairs(config, contents, styles, bank_keys)
    return StylizePlan(
        contents=contents,
        pictures=pictures,
        style_facts=_style_facts(paintings),
        styles=styles,
        style_count=style_count,
        bundle=bundle,
        settings=settings,
        bank=bank,
        pairs=pairs,
        rules=_rules(config, pictures, styles, bank_keys),
        retry=_retry(config) if config.retry_failed else None,
    )


def at_end(plan: StylizePlan) -> StylizePlan:
    """Return a plan without what only the beginning of a job needs, and is large."""
    return dataclasses.replace(
        plan,
        pictures=dataclasses.replace(plan.pictures, index=None),
        bundle=Bundle(plan.bundle.description, {}),
        pairs=None,
        retry=None if plan.retry is None else Retry(frozenset(), frozenset()),
    )


def _style_facts(paintings: Pictures) -> Mapping[str, Facts]:
    index = paintings.index
    if index is None:
        return {}
    return facts_of((ref.id, index.read(ref.about)) for ref in paintings.listing.refs())


def pairing_of(config: StylizeConfig, plan: StylizePlan) -> Pairing:
    """Return how contents meet styles; writes the table of pairs, if there is one."""
    output = OutputFolder(config.output)
    if plan.pairs is not None:
        return TablePairing(write_pair_table(output, plan.pairs))
    if plan.rules:
        read = functools.partial(read_annotation, output)
        return RegionPairing(plan.rules, config.alpha, read)
    return dry_pairing(config, plan)


def dry_pairing(config: StylizeConfig, plan: StylizePlan) -> Pairing:
    """Return how contents meet styles, with the pairs of a table in memory."""
    if plan.pairs is not None:
        return RowsPairing(plan.pairs)
    if plan.rules and plan.pictures.index is not None:
        return RegionPairing(plan.rules, config.alpha, plan.pictures.index.read)
    if config.pairing == "sample":
        return SamplePairing(
            config.alpha, config.styles_per_content or 1, config.seed or 0
        )
    if config.pairing == "corners":
        steps = config.corner_steps or _CORNER_STEPS
        return BlendPairing(config.alpha, corner_weights(plan.style_count, steps))
    return GridPairing(config.alpha)


def with_originals(config: StylizeConfig, pairing: Pairing) -> Pairing:
    """Return a pairing, with the originals that are to be kept."""
    share = config.keep_original
    return KeepOriginals(pairing, share) if share else pairing


def most_cells(config: StylizeConfig, plan: StylizePlan) -> int:
    """Return how many cells there are when every image can be decoded."""
    kept = 0
    if config.keep_original:
        keys = (ref.key for ref in plan.contents.refs())
        kept = sum(is_kept(key, config.keep_original) for key in keys)
    if plan.pairs is not None:
        return len(plan.pairs) + kept
    per_content = 1 if plan.rules else plan.style_count
    if config.pairing == "sample":
        per_content = config.styles_per_content or 1
    elif config.pairing == "corners":
        steps = config.corner_steps or _CORNER_STEPS
        per_content = len(corner_weights(plan.style_count, steps))
    return plan.content_count * per_content * len(config.alpha) + kept


def _bank(config: StylizeConfig, bundle: Bundle) -> tuple[BankFile, list[str]]:
    wanted = BankSettings(
        **bundle.style_code, style_size=config.style_size, precision=config.precision
    )
    path = config.style_bank
    try:
        bank = check_bank(path, wanted, sum(bundle.architecture.channels))
        return bank_file(path), [style.key for style in bank.styles]
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"--style-bank {path}: {error}") from error


def _check_order(config: StylizeConfig, *listings: Listing) -> None:
    """Refuse a pairing that goes by the place of keys where some are not known."""
    unlisted = sum(listing.unlisted for listing in listings)
    if unlisted and config.pairing in ("zip", "corners"):
        raise UsageError(
            f"--pairing {config.pairing}: {unlisted} folders below the inputs cannot "
            "be listed, and without their images the others would be paired wrongly. "
            "Make them readable"
        )


def _check_counts(config: StylizeConfig, contents: int, styles: int) -> None:
    """Refuse a pairing that the numbers of images do not allow."""
    count = config.styles_per_content or 1
    if config.pairing == "sample" and count > styles:
        raise UsageError(
            f"--styles-per-content {count}: there are only {styles} styles. Give more "
            "styles or a smaller number"
        )
    if config.pairing == "zip" and contents != styles:
        raise UsageError(
            f"--pairing zip: {contents} contents and {styles} styles. Give as many of "
            "one as of the other, or a file of pairs"
        )
    if config.pairing == "corners" and not 2 <= styles <= 4:
        raise UsageError(
            f"--pairing corners: a sheet has 2, 3 or 4 styles. Received: {styles}"
        )


def _check_keys(keys: Iterable[str]) -> None:
    """Refuse a style that readers of shards could take for an original."""
    if ORIGINAL_ID in keys:
        raise UsageError(
            f"--keep-original: there is a style file named {ORIGINAL_ID!r}, and so is "
            "the style of photographs that are kept. Rename the file; with a suffix, "
            f"such as {ORIGINAL_ID}.png, it is a style like any other"
        )


def _pairs(
    config: StylizeConfig,
    contents: Listing,
    styles: Listing,
    bank_keys: Sequence[str],
) -> list[dict[str, Any]] | None:
    if config.pairing in PAIRINGS and config.pairing != "zip":
        return None
    content_keys = [ref.key for ref in contents.refs()]
    style_keys = [ref.key for ref in styles.refs()] if styles.count else bank_keys
    if config.pairing == "zip":
        return list(zip_pairs(content_keys, style_keys, config.alpha))
    return read_pairs(
        PairFile(config.pairing, config.outside_masks),
        PAIRINGS,
        content_keys,
        style_keys,
        config.alpha,
        config.output,
    )


def _rules(
    config: StylizeConfig,
    pictures: Pictures,
    styles: Listing,
    bank_keys: Sequence[str],
) -> tuple[RegionRule, ...]:
    if not config.region_styles:
        return ()
    # A class that both objects and a panoptic map have is that of the objects.
    classes: dict[str, Source] = {}
    if pictures.has_maps:
        classes |= dict.fromkeys(map(str, range(VOID)), "mask")
    classes |= dict.fromkeys((c.name for c in pictures.segment_categories), "panoptic")
    classes |= dict.fromkeys((c.name for c in pictures.categories), "objects")
    if pictures.index is None or not classes:
        raise UsageError(
            f"--region-styles {config.region_styles}: nothing is known of objects in "
            "--content. Give a data set that `ingest` made with them, such as with "
            "--kind coco --instances FILE, or with --masks"
        )
    keys = [ref.key for ref in styles.refs()] if styles.count else bank_keys
    try:
        return read_rules(config.region_styles, classes, keys)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"--region-styles {config.region_styles}: {error}") from error


def _retry(config: StylizeConfig) -> Retry:
    output = OutputFolder(config.output)
    if not output.exists("job.json"):
        raise UsageError(
            f"--retry-failed: there is no earlier run in {config.output}. Run without "
            "this flag"
        )
    try:
        return failed_before(output)
    except DamagedFileError as error:
        raise UsageError(f"--retry-failed: {error}. Run without this flag") from error
