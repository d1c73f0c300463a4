"""`stylebeam visualize --compare`: networks, or what stylizing made of pictures."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

import apache_beam as beam
from apache_beam.pvalue import PCollection

from model.config import ConvSpec
from pipelines.command.inputs import list_inputs
from pipelines.command.run_job import run_job
from pipelines.errors import UsageError
from pipelines.visualize.config import ALL_LAYERS, VisualizeConfig
from pipelines.visualize.written import command, finish
from transforms.annotations.dataset_source import (
    DatasetRoot,
    maker_of,
    manifest_rows,
)
from transforms.elements import ImageRef
from transforms.inputs.listed import Listing
from transforms.inputs.listing import ReadListing
from transforms.storage.compact_table import CompactTable
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.stylize.cells import ORIGINAL_ID
from transforms.visualize.comparison.compare_images import CompareImages
from transforms.visualize.comparison.gallery import WriteComparisonGallery
from transforms.visualize.comparison.handler import ComparisonHandler
from transforms.visualize.comparison.networks import (
    WEIGHTS_FILES,
    LoadedNetwork,
    NetworkSource,
    is_network,
    load_network,
)
from transforms.visualize.comparison.settings import (
    NETWORK_WORDS,
    Comparison,
    ComparisonSettings,
    SeenBy,
)
from transforms.visualize.comparison.similarity import FEWEST_IMAGES, DrawSimilarity
from transforms.visualize.comparison.subjects import (
    Sizes,
    Triples,
    cell_of,
    find_places,
    is_done,
    photograph,
    read_triple,
    triple_of,
    wanted_keys,
)
from transforms.visualize.maps_table import MAPS_TABLE
from transforms.visualize.settings import Channels

_EXPECTED: Final = (
    "two networks, or one or two outputs of stylize and maybe the network that looks "
    "at them. A network is one of "
    f"{', '.join(NETWORK_WORDS)}, weights of a VGG in a file "
    f"({', '.join(WEIGHTS_FILES)}), or the folder of a bundle"
)

# What of a manifest a triple needs.
_COLUMNS: Final = (
    "content_key",
    "content_sha256",
    "styles",
    "alpha",
    "width",
    "height",
    "path",
    "status",
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonPlan:
    """What the launcher found out before anything is written.

    Attributes:
        images: What is compared: photographs, or the results of triples.
        settings: The identity of the output.
        sources: Where the networks come from.
        triples: The triples; None where networks are compared.
    """

    images: Listing
    settings: ComparisonSettings
    sources: tuple[NetworkSource, ...]
    triples: Triples | None


def plan(config: VisualizeConfig) -> ComparisonPlan:
    """Look at the inputs, the networks and the manifests; writes nothing.

    Raises:
        UsageError: Something of them cannot be used.
    """
    outputs, sources = _sorted(config.compare)
    loaded = list(map(_loaded, sources))
    names = _chosen_layers(config.layers, sources, loaded)
    channels = Channels.parse(config.channels)
    _check_channels(channels, names, loaded)
    images = list_inputs("--input", config.input, config.output)
    triples = None
    if outputs:
        triples = _triples(outputs, images, config.size)
        images = triples.listing
        if not images.count:
            raise UsageError(
                f"--compare {outputs[0].path}: it has no picture in a style that is "
                "done."
            )
    elif images.count < FEWEST_IMAGES:
        raise UsageError(
            f"--input {' '.join(config.input)}: layers are compared over a collection, "
            f"and this is {images.count} photograph. Give at least {FEWEST_IMAGES}; "
            "hundreds tell more."
        )
    settings = ComparisonSettings(
        compared=Comparison.TRIPLES if outputs else Comparison.NETWORKS,
        networks=tuple(
            SeenBy(source.label, one.sha256, tuple(spec.name for spec in one.layers))
            for source, one in zip(sources, loaded, strict=True)
        ),
        results=tuple(root.name for root in outputs),
        layers=names,
        channels=channels,
        size=config.size,
        raw=config.raw,
    )
    return ComparisonPlan(
        images=images, settings=settings, sources=sources, triples=triples
    )


def _sorted(
    places: Sequence[str],
) -> tuple[list[DatasetRoot], tuple[NetworkSource, ...]]:
    """Return the outputs of stylize, if any, and the networks.

    Raises:
        UsageError: It is not what can be compared.
    """
    asked = f"--compare {' '.join(places)}"
    outputs: list[DatasetRoot] = []
    networks: list[NetworkSource] = []
    for place in places:
        try:
            maker = None if place in NETWORK_WORDS else maker_of(place)
            network = maker is None and is_network(place)
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(f"{asked}: {error}") from error
        if maker == "stylize":
            name = place.rstrip("/").rsplit("/", 1)[-1]
            outputs.append(DatasetRoot(name, place, maker))
        elif network:
            networks.append(NetworkSource(place))
        else:
            what = (
                f"is an output of {maker}"
                if maker
                else "is no output of stylize, and no network"
            )
            raise UsageError(f"{asked}: {place} {what}. Expected {_EXPECTED}.")
    if not outputs and len(networks) == 2:
        return [], tuple(networks)
    if len(outputs) in (1, 2) and len(networks) < 2:
        return outputs, tuple(networks) or (NetworkSource("vgg16"),)
    raise UsageError(f"{asked}: expected {_EXPECTED}.")


def _loaded(source: NetworkSource) -> LoadedNetwork:
    try:
        return load_network(source)
    except (ValueError, OSError) as error:
        text = str(error).replace("with --weights", "with --compare")
        raise UsageError(f"--compare {source.place}: {text}") from error


def _chosen_layers(
    text: str, sources: Sequence[NetworkSource], loaded: Sequence[LoadedNetwork]
) -> tuple[str, ...]:
    """Return the layers asked for that any network has, from the pixels inwards.

    Raises:
        UsageError: No network has one of them, or a network has none.
    """
    own = [[spec.name for spec in one.layers] for one in loaded]
    known = _merged(own)
    wanted = known if text == ALL_LAYERS else [n.strip() for n in text.split(",")]
    has = "; ".join(
        f"{source.label} has {', '.join(names)}"
        for source, names in zip(sources, own, strict=True)
    )
    if unknown := [name for name in wanted if name not in known]:
        # By default the layers of a whole VGG are asked for.
        if text != _DEFAULT_LAYERS:
            raise UsageError(f"--layers {','.join(unknown)}: no such layer: {has}.")
        wanted = [name for name in wanted if name in known]
    for source, names in zip(sources, own, strict=True):
        if not set(names) & set(wanted):
            raise UsageError(
                f"--layers {','.join(wanted) or text}: {source.label} has none of "
                f"them: {has}."
            )
    return tuple(name for name in known if name in wanted)


_DEFAULT_LAYERS: Final = next(
    str(field.default)
    for field in dataclasses.fields(VisualizeConfig)
    if field.name == "layers"
)


def _merged(lists: Sequence[Sequence[str]]) -> list[str]:
    """Return all names, each behind those that stand before it in its list.

    >>> _merged([["a", "b", "d"], ["a", "b", "c", "d", "e"]])
    ['a', 'b', 'c', 'd', 'e']
    """
    merged: list[str] = []
    for names in lists:
        place = 0
        for name in names:
            if name in merged:
                place = merged.index(name) + 1
            else:
                merged.insert(place, name)
                place += 1
    return merged


def _check_channels(
    channels: Channels, names: Sequence[str], loaded: Sequence[LoadedNetwork]
) -> None:
    """Refuse channels that the first network that has a layer has not there."""
    for name in names:
        specs = (spec for one in loaded for spec in one.layers if spec.name == name)
        spec: ConvSpec = next(specs)
        beyond = [c for c in channels.listed if c >= spec.out_channels]
        if beyond:
            raise UsageError(
                f"--channels {channels}: {name} has the channels 0 to "
                f"{spec.out_channels - 1}, not {', '.join(map(str, beyond))}."
            )
    if not channels.listed and not channels.top:
        raise UsageError("--channels top:0: expected at least top:1.")


def _triples(outputs: Sequence[DatasetRoot], images: Listing, size: int) -> Triples:
    """Return what the first output made, with those of the other and the originals."""
    # Each is checked; originals are as large as for the first.
    sizes, *_ = (_sizes(output, size) for output in outputs)
    own, others = outputs[0], outputs[1:]
    keys = wanted_keys(row for row, _ in _done(own))
    places = find_places(images.refs(), keys)
    results = [{cell_of(row): ref for row, ref in _done(other)} for other in others]
    triples = Triples()
    for row, ref in _done(own):
        cell = cell_of(row)
        theirs = [
            (other.name, found.get(cell))
            for other, found in zip(others, results, strict=True)
        ]
        triples.add(triple_of(row, ref, theirs, places, sizes))
    return triples


def _sizes(output: DatasetRoot, looked_at: int) -> Sizes:
    """Return how large pictures of an output are looked at.

    Raises:
        UsageError: It does not say how large its pictures were, or its styles were
            other ones than those that can be looked at.
    """
    try:
        identity = OutputFolder(output.path).read_json("job.json")["identity"]
        recoloured = identity.get("preserve_color") == "histogram"
        sizes = Sizes(identity["content_size"], identity["style_size"], looked_at)
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise UsageError(
            f"--compare {output.path}: its job.json does not tell the sizes of "
            f"contents and styles ({error})."
        ) from error
    if recoloured:
        raise UsageError(
            f"--compare {output.path}: --preserve-color histogram recoloured its "
            "styles for each photograph, so AdaIN aligned other pictures than the "
            "paintings. Outputs without it can be compared."
        )
    return sizes


def _done(root: DatasetRoot) -> Iterator[tuple[Row, ImageRef]]:
    """Yield the rows of the pictures that are done, and where they are.

    A photograph that was kept as it is (`--keep-original`) has no style.
    """
    try:
        rows = filter(is_done, manifest_rows(OutputFolder(root.path), _COLUMNS))
        for row, ref in zip(rows, root.list_pictures(), strict=True):
            if row["styles"][0]["id"] != ORIGINAL_ID:
                yield row, ref
    except (ValueError, OSError) as error:
        raise UsageError(f"--compare {root.path}: {error}") from error


def build(
    pipeline: beam.Pipeline,
    config: VisualizeConfig,
    plan: ComparisonPlan,
    output: OutputFolder,
) -> PCollection[tuple[str, int]]:
    """Compose the job; returns its counts."""
    settings = plan.settings
    parts = MAPS_TABLE.count_parts(output, plan.images.count)
    refs = pipeline | "ReadImages" >> ReadListing(plan.images.write(output))
    if plan.triples is None:
        subjects = refs | "Photographs" >> beam.Map(photograph, settings.size)
    else:
        plan.triples.write(output)
        subjects = refs | "ReadTriples" >> beam.Map(read_triple, output)
    recovered = (
        pipeline
        | "Begin" >> beam.Create([None])
        | "RecoverMaps" >> CompactTable(MAPS_TABLE, output, parts)
    )
    compared = subjects | "CompareImages" >> CompareImages(
        output=output,
        settings=settings,
        handler=ComparisonHandler(settings, plan.sources, output),
        recovered=recovered,
        parts=parts,
    )
    counts, failures = [compared.counts], [compared.failures]
    if plan.triples is None:
        similar = compared.examined | "DrawSimilarity" >> DrawSimilarity(
            output=output, settings=settings, recovered=recovered, parts=parts
        )
        counts.append(similar.counts)
        failures.append(similar.failures)
    gallery = WriteComparisonGallery(output, settings)
    return finish(counts, failures, gallery, output, plan, parts)


def run_comparison(config: VisualizeConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        UsageError: What was asked for cannot be done; nothing was written.
    """
    return run_job(command(plan, build), config, beam_flags)
