"""`stylebeam stylize`: every content with every style, as a Beam job."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Final

import apache_beam as beam
from apache_beam.pvalue import PCollection

from model.bundle import Bundle, load_bundle
from pipelines.errors import UsageError
from pipelines.job import Balance, Job
from pipelines.options import pipeline_options
from pipelines.stylize_config import StylizeConfig
from transforms.bank import BankSettings, EncodeStyles, WriteStyleBank, existing_bank
from transforms.failures import WriteFailures
from transforms.gallery import WriteGallery
from transforms.inference import StyleEncoder, StylizerModelHandler
from transforms.manifest import CompactManifest, parts_on_disk
from transforms.output import OutputFolder, is_remote, read_file
from transforms.pair import StylizeSettings
from transforms.read import InputRoot, ReadImageRefs, check_keys, parse_inputs
from transforms.stylize import StylizeImages
from transforms.tables import count_parts

# What this command writes at the top of its output.
OUTPUT_NAMES: Final = ("images", "manifest", "failures", "gallery", "styles.parquet")

# Larger pictures need more than 12 GB in the network when they go in whole.
MAX_PIXELS: Final = 16_000_000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StylizePlan:
    """What the launcher found out before anything is written.

    Attributes:
        contents: Input roots of the contents.
        styles: Input roots of the styles.
        content_count: How many contents are listed.
        style_count: How many styles are listed.
        bundle: The networks.
        settings: The identity of the output.
    """

    contents: tuple[InputRoot, ...]
    styles: tuple[InputRoot, ...]
    content_count: int
    style_count: int
    bundle: Bundle
    settings: StylizeSettings


def plan(config: StylizeConfig) -> StylizePlan:
    """Look at the inputs and the bundle; writes nothing.

    Raises:
        UsageError: An input or the bundle cannot be used.
    """
    try:
        bundle = load_bundle(config.bundle, read_file)
    except (ValueError, RuntimeError) as error:
        flag = f"--bundle {config.bundle}" if config.bundle else "--bundle"
        raise UsageError(f"{flag}: {error}") from error
    contents, content_count = _inputs("--content", config.content, config.output)
    styles, style_count = _inputs("--style", config.style, config.output)
    settings = StylizeSettings(
        bundle_id=bundle.bundle_id,
        content_size=config.content_size,
        style_size=config.style_size,
        precision=config.precision,
        format=config.format,
        quality=config.quality,
    )
    return StylizePlan(
        contents=contents,
        styles=styles,
        content_count=content_count,
        style_count=style_count,
        bundle=bundle,
        settings=settings,
    )


def _inputs(
    flag: str, arguments: Sequence[str], output: str
) -> tuple[tuple[InputRoot, ...], int]:
    try:
        roots = parse_inputs(arguments)
        for root in roots:
            _check_apart(root, output)
        count = check_keys(roots)
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"{flag}: {error}") from error
    if not count:
        raise UsageError(f"{flag} {' '.join(arguments)}: no images found")
    return roots, count


def _check_apart(root: InputRoot, output: str) -> None:
    """Refuse an output inside an input: the next run would stylize its pictures."""
    if is_remote(root.path) or is_remote(output) or root.files:
        return
    inside = os.path.realpath(output) + os.sep
    if inside.startswith(os.path.realpath(root.path) + os.sep):
        raise ValueError(
            f"the output {output!r} is inside the input {root.path!r}, so the next run "
            "would take its pictures for inputs. Choose a folder beside it"
        )


def build(
    pipeline: beam.Pipeline, config: StylizeConfig, plan: StylizePlan
) -> PCollection[tuple[str, int]]:
    """Compose the job; returns its counts."""
    output = OutputFolder(config.output)
    parts = max(count_parts(plan.content_count), parts_on_disk(output))
    network = (config.bundle, plan.bundle.bundle_id, config.precision, output)
    bank_settings = BankSettings(
        plan.bundle.encoder_sha256, config.style_size, config.precision
    )
    encode_styles = EncodeStyles(
        output, bank_settings, existing_bank(output), MAX_PIXELS, StyleEncoder(*network)
    )

    recovered = (
        pipeline
        | "Begin" >> beam.Create([None])
        | "RecoverManifest" >> CompactManifest(output, parts)
    )
    styles = (
        pipeline
        | "ReadStyles" >> ReadImageRefs(plan.styles)
        | "EncodeStyles" >> encode_styles
    )
    bank = styles.encoded | "WriteStyleBank" >> WriteStyleBank(output, bank_settings)
    stylized = (
        pipeline
        | "ReadContents" >> ReadImageRefs(plan.contents)
        | "StylizeImages"
        >> StylizeImages(
            output=output,
            settings=plan.settings,
            alphas=(config.alpha,),
            max_pixels=MAX_PIXELS,
            handler=StylizerModelHandler(*network),
            bank=bank,
            manifest=recovered,
            manifest_parts=parts,
        )
    )
    _ = (
        stylized.counts
        | "WriteManifest" >> CompactManifest(output, parts)
        | "WriteGallery" >> WriteGallery(output, bundle_id=plan.bundle.bundle_id)
    )
    _ = (
        (styles.failures, stylized.failures)
        | "AllFailures" >> beam.Flatten()
        | "WriteFailures" >> WriteFailures(output, parts)
    )
    return (styles.counts, stylized.counts) | "AllCounts" >> beam.Flatten()


def balances(plan: StylizePlan, counts: Mapping[str, int]) -> list[Balance]:
    """Return what must add up: images listed, and cells planned over the decoded."""
    decoded = ("contents_decoded", "styles_decoded")
    failed = ("contents_failed", "styles_failed")
    return [
        Balance(
            "images",
            plan.content_count + plan.style_count,
            {"decoded": sum(counts.get(name, 0) for name in decoded)},
            sum(counts.get(name, 0) for name in failed),
        ),
        Balance(
            "cells",
            counts.get("cells_planned", 0),
            {
                "done": counts.get("cells_done", 0),
                "kept": counts.get("cells_kept", 0),
            },
            counts.get("cells_failed", 0),
        ),
    ]


def run(config: StylizeConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        UsageError: What was asked for cannot be done; nothing was written.
    """
    options = pipeline_options(beam_flags)
    planned = plan(config)
    job = Job(
        command="stylize",
        output=OutputFolder(config.output),
        names=OUTPUT_NAMES,
        identity=planned.settings.to_json(),
        config=dataclasses.asdict(config),
        overwrite=config.overwrite,
        max_failure_rate=config.max_failure_rate,
        unit="cells",
        total=planned.content_count * planned.style_count,
    )
    job.check_output()
    status = job.run(
        lambda pipeline: build(pipeline, config, planned),
        options,
        lambda counts: balances(planned, counts),
    )
    print(job.output.path("gallery/index.html"))
    return status
