"""`stylebeam visualize`: what a network has learned and what it sees, as a Beam job."""

import dataclasses
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection

from model.attribution.featuremaps import receptive_field
from model.config import ConvSpec
from model.networks.vgg import vgg_layers
from pipelines.command.inputs import list_inputs
from pipelines.command.run_job import run_job
from pipelines.command.vgg_choice import usable_weights
from pipelines.errors import UsageError
from pipelines.visualize.comparison import run_comparison
from pipelines.visualize.config import ALL_LAYERS, VisualizeConfig
from pipelines.visualize.methods import names_sha256, plan_classes, plan_methods
from pipelines.visualize.written import command, finish
from transforms.inputs.listed import Listing
from transforms.inputs.listing import ReadListing
from transforms.steps.try_map import FAILED
from transforms.steps.vgg_weights import weights_sha256
from transforms.storage.compact_table import CompactTable
from transforms.storage.folder import OutputFolder
from transforms.visualize.activation.handler import ActivationHandler
from transforms.visualize.activation.visualize_activations import VisualizeActivations
from transforms.visualize.gallery import WriteVisualGallery
from transforms.visualize.handler import LookHandler
from transforms.visualize.maps_table import MAPS_TABLE
from transforms.visualize.settings import (
    ActivationSettings,
    Channels,
    Kind,
    VisualizeSettings,
)
from transforms.visualize.top_images import DrawTopImages, RankImages
from transforms.visualize.top_scores import Winners
from transforms.visualize.visualize_images import VisualizeImages, write_filters


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VisualizePlan:
    """What the launcher found out before anything is written.

    Attributes:
        images: The inputs.
        settings: The identity of the output.
        layers: The convolutions of the network.
        class_names: Names of the classes; none where no class is wanted, or known.
    """

    images: Listing
    settings: VisualizeSettings
    layers: tuple[ConvSpec, ...]
    class_names: tuple[str, ...]


def plan(config: VisualizeConfig) -> VisualizePlan:
    """Look at the inputs and the weights; writes nothing.

    Raises:
        UsageError: An input, a layer, a channel or the weights cannot be used.
    """
    network = vgg_layers(config.network)
    chosen = _chosen_layers(config.layers, network)
    channels = Channels.parse(config.channels)
    gradient_channels = Channels.parse(config.gradient_channels)
    _check_channels("--channels", channels, chosen)
    _check_channels("--gradient-channels", gradient_channels, chosen)
    methods = plan_methods(config, chosen, network)
    activation = config.activation()
    kinds = config.chosen_kinds()
    if Kind.ACTIVATION in kinds:
        ends = Channels(listed=tuple(c for pair in activation.between for c in pair))
        _check_channels("--activation-between", ends, chosen)
        _check_extents(activation.size, chosen, network)
    images = list_inputs("--input", config.input, config.output)
    weights = usable_weights(config.network, config.weights, bool(config.classes))
    classes, names = plan_classes(config, weights, network[-1])
    settings = VisualizeSettings(
        network=config.network,
        weights_sha256=weights_sha256(weights),
        layers=tuple(spec.name for spec in chosen),
        kinds=kinds,
        channels=channels,
        gradient_channels=gradient_channels,
        size=config.size,
        randomization_check=config.randomization_check,
        raw=config.raw,
        methods=dataclasses.replace(
            methods, classes=classes, class_names_sha256=names_sha256(names)
        ),
        activation=activation if Kind.ACTIVATION in kinds else ActivationSettings(),
    )
    return VisualizePlan(
        images=images,
        settings=settings,
        layers=network,
        class_names=names,
    )


def _chosen_layers(text: str, network: Sequence[ConvSpec]) -> tuple[ConvSpec, ...]:
    """Return the layers asked for, from the pixels inwards."""
    names = [spec.name for spec in network]
    wanted = names if text == ALL_LAYERS else [n.strip() for n in text.split(",")]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise UsageError(
            f"--layers {','.join(unknown)}: no such layer. The layers are: "
            f"{', '.join(names)}; or {ALL_LAYERS}."
        )
    return tuple(spec for spec in network if spec.name in wanted)


def _check_channels(flag: str, channels: Channels, layers: Sequence[ConvSpec]) -> None:
    for spec in layers:
        beyond = [c for c in channels.listed if c >= spec.out_channels]
        if beyond:
            raise UsageError(
                f"{flag} {channels}: {spec.name} has the channels 0 to "
                f"{spec.out_channels - 1}, not {', '.join(map(str, beyond))}."
            )


def _check_extents(
    size: int, layers: Sequence[ConvSpec], network: Sequence[ConvSpec]
) -> None:
    """Refuse pictures that are too small for a neuron of one of the layers."""
    halved = 1
    for spec in network:
        halved *= 2 if spec.pool_before else 1
        if spec in layers and size < halved:
            raise UsageError(
                f"--activation-size {size}: {spec.name} has no neuron over {size} x "
                f"{size} pixels. It needs at least {halved} on each side."
            )


def build(
    pipeline: beam.Pipeline,
    config: VisualizeConfig,
    plan: VisualizePlan,
    output: OutputFolder,
) -> PCollection[tuple[str, int]]:
    """Compose the job; returns its counts."""
    settings = plan.settings
    parts = MAPS_TABLE.count_parts(output, plan.images.count)

    recovered = (
        pipeline
        | "Begin" >> beam.Create([None])
        | "RecoverMaps" >> CompactTable(MAPS_TABLE, output, parts)
    )
    filters = (
        pipeline
        | "FilterLayers"
        >> beam.Create([settings.layers] if Kind.FILTERS in settings.kinds else [])
        | "WriteFilters"
        >> beam.FlatMap(
            write_filters, AsList(recovered), output, settings, config.weights, parts
        ).with_outputs(FAILED, main="counts")
    )
    seen = (
        pipeline
        | "ReadImages" >> ReadListing(plan.images.write(output))
        | "VisualizeImages"
        >> VisualizeImages(
            output=output,
            settings=settings,
            handler=LookHandler(settings, config.weights, output, plan.class_names),
            recovered=recovered,
            parts=parts,
        )
    )
    counts = [filters.counts, seen.counts]
    failures = [filters[FAILED], seen.failures]
    if settings.ranked:
        ranked = seen.scored | "RankImages" >> RankImages(settings.layers)
    if Kind.TOP_IMAGES in settings.kinds:
        top = ranked | "DrawTopImages" >> DrawTopImages(
            output=output,
            settings=settings,
            fields={
                layer: receptive_field(plan.layers, layer) for layer in settings.layers
            },
            parts=parts,
            recovered=recovered,
        )
        counts.append(top.counts)
        failures.append(top.failures)
    if Kind.ACTIVATION in settings.kinds:
        if settings.channels.listed:
            unranked: list[tuple[str, list[Winners]]] = [
                (layer, []) for layer in settings.layers
            ]
            ranked = pipeline | "ActivationLayers" >> beam.Create(unranked)
        activated = ranked | "VisualizeActivations" >> VisualizeActivations(
            output=output,
            settings=settings,
            handler=ActivationHandler(settings, config.weights, output),
            recovered=recovered,
            parts=parts,
        )
        counts.append(activated.counts)
        failures.append(activated.failures)
    gallery = WriteVisualGallery(output, settings)
    return finish(counts, failures, gallery, output, plan, parts)


def run(config: VisualizeConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        UsageError: What was asked for cannot be done; nothing was written.
    """
    if config.compare:
        return run_comparison(config, beam_flags)
    return run_job(command(plan, build), config, beam_flags)
