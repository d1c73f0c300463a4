"""What `stylebeam train` finds out, and starts from, before it writes anything."""

import dataclasses
import hashlib
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.bundle import RULER_BUNDLE, Bundle, load_bundle
from model.checksums import DamagedFileError
from model.config import ADAIN_LAYER
from model.networks.decoder import fresh_weights
from model.networks.encoder import layers_to, vgg_layers
from model.networks.family import INPUT_DIVISOR, family_member, narrow_layers
from model.networks.weights import load_vgg_weights
from model.training.dataset import PictureIndex, kept_of_copies, load_index
from pipelines.command import flags
from pipelines.command.job import check_local
from pipelines.errors import UsageError
from pipelines.train.config import DEFAULT_NETWORK, TrainConfig
from pipelines.train.workdir import Workdir
from transforms.buckets.places import UnreachableError, is_remote
from transforms.elements import ImageError
from transforms.images.center_crop import square_pictures
from transforms.inputs.data_files import data_files
from transforms.storage.files import read_file

# Enough that the means of 512 channels are known to a few per cent, and done in a
# minute; the size at which VGG was trained.
_NORMALIZED_OVER: Final = 512
_NORMALIZED_SIDE: Final = 224
_NORMALIZED_BATCH: Final = 8

# So many unknown keys are named.
_SHOWN: Final = 5

_LICENSE: Final = {
    "code": "Apache-2.0",
    "encoder": "VGG, Simonyan & Zisserman, Oxford VGG, CC BY 4.0, as converted by "
    "Keras; rescaled to unit mean activation",
    "weights": "as the pictures they were trained on allow",
}
_IMITATION: Final = "imitates VGG, Simonyan & Zisserman, Oxford VGG, CC BY 4.0"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainPlan:
    """What a worker found out before anything is written.

    Attributes:
        content: Photographs to learn from.
        style: Paintings to learn from.
        held_out_content: Photographs to judge by.
        held_out_style: Paintings to judge by.
        data: Fingerprints of the data sets.
        init: The bundle to go on from, if any.
        identity: What decides the outcome.
        resumed: Whether the workdir has a training already.
        notes: What there is to say before the first step.
    """

    content: PictureIndex
    style: PictureIndex
    held_out_content: PictureIndex
    held_out_style: PictureIndex
    data: Mapping[str, Any]
    init: Bundle | None
    identity: Mapping[str, Any]
    resumed: bool
    notes: Sequence[str] = ()


def plan(config: TrainConfig) -> TrainPlan:
    """Look at the data sets, the networks and the workdir; writes nothing.

    Raises:
        UsageError: One of them cannot be used.
    """
    content, held_out_content = _open("--content", config.content)
    style, held_out_style = _open("--style", config.style)
    listed = _listed(config.exclude)
    excluded, notes = set[str](), []
    if listed:
        copies = kept_of_copies([*config.content, *config.style], data_files())
        # A picture is not trained on under its other key, either.
        wanted = listed | {copies[key] for key in listed if key in copies}
        excluded = wanted & {*content.keys, *style.keys}
        held_out = {*held_out_content.keys, *held_out_style.keys}
        unknown = listed - excluded - held_out - copies.keys()
        notes = _notes(len(listed), excluded, unknown, content, style)
        content, style = content.without(excluded), style.without(excluded)
    for flag, paths, index in (
        ("--content", config.content, content),
        ("--style", config.style, style),
    ):
        _check_size(config, flag, paths, index)
    data = {
        "content": list(content.fingerprints),
        "style": list(style.fingerprints),
    }
    init = None
    if config.init is not None:
        try:
            init = load_bundle(config.init, read_file)
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"--init {config.init}: {error}") from error
        _check_stride(config, init)
    network = None if init else config.network or DEFAULT_NETWORK
    identity = {
        **config.identity(),
        **data,
        "init": init.bundle_id if init else None,
        "network": network,
        "weights": _sha256(config.weights),
    }
    if excluded:
        listing = "\n".join(sorted(excluded)).encode()
        identity["exclude"] = hashlib.sha256(listing).hexdigest()
    resumed = Workdir(pathlib.Path(config.workdir)).check(identity)
    return TrainPlan(
        content=content,
        style=style,
        held_out_content=held_out_content,
        held_out_style=held_out_style,
        data=data,
        init=init,
        identity=identity,
        resumed=resumed,
        notes=notes,
    )


def _open(flag: str, paths: Sequence[str]) -> tuple[PictureIndex, PictureIndex]:
    """Return the pictures to learn from and those to judge by."""
    try:
        for path in paths:
            is_remote(path)  # refuses a URL that cannot be read
        train = load_index(paths, "train", data_files())
        val = load_index(paths, "val", data_files())
    except UnreachableError as error:
        raise UsageError(f"{flag}: {error}") from error
    except (
        ValueError,
        OSError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise UsageError(
            f"{flag}: {error}. It needs data sets of `stylebeam ingest` that have both "
            "a train and a val split (--val-fraction)."
        ) from error
    return train, val


def _check_size(
    config: TrainConfig, flag: str, paths: Sequence[str], train: PictureIndex
) -> None:
    batch_size = config.settings.batch_size
    if len(train) < batch_size:
        left = f" without those of --exclude {config.exclude}" if config.exclude else ""
        raise UsageError(
            f"{flag} {' '.join(paths)}: the train split has {len(train)} images{left}, "
            f"fewer than --batch-size {batch_size}. Ingest more, or take a smaller "
            "batch."
        )


def _listed(path: str | None) -> set[str]:
    """Return the keys of a list, one a line."""
    if path is None:
        return set()
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"--exclude {path}: expected a text file in UTF-8 with a key a line "
            f"({error})."
        ) from error
    except (OSError, RuntimeError) as error:
        raise UsageError(f"--exclude {path}: {error}") from error
    # Not splitlines: a key may have other separators of lines in it.
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return {line for line in lines if line}


def _notes(
    listed: int,
    excluded: set[str],
    unknown: set[str],
    content: PictureIndex,
    style: PictureIndex,
) -> list[str]:
    """Return what came of a list of keys."""
    contents, styles = (
        sum(key in excluded for key in index.keys) for index in (content, style)
    )
    notes = [f"{contents} contents and {styles} styles are left out (--exclude)"]
    if unknown:
        some = sorted(unknown)[:_SHOWN]
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        notes.append(
            f"{len(unknown)} of the {listed} keys of --exclude are in none of the "
            f"data sets: {', '.join(some)}{more}"
        )
    return notes


def _check_stride(config: TrainConfig, init: Bundle) -> None:
    stride = 2 ** sum(layer.pool_before for layer in init.encoder_layers)
    schedule = config.settings.crops
    name = "crop_schedule" if config.settings.crop_schedule else "crop"
    for crop in schedule.crops:
        flags.require(
            crop % stride == 0,
            flags.flag_of(name),
            schedule,
            f"multiples of {stride}, by which the encoder of --init {config.init} "
            "shrinks",
        )


def _sha256(path: str | None) -> str | None:
    if path is None:
        return None
    check_local("--weights", path)
    try:
        return hashlib.sha256(read_file(path)).hexdigest()
    except OSError as error:
        raise UsageError(f"--weights {path}: {error}") from error


def start_bundle(config: TrainConfig, plan: TrainPlan) -> Bundle:
    """Return the networks before the first step.

    From `--init` both as they are; else VGG normalised over the photographs, or a
    narrow encoder of fresh weights, and a decoder of fresh weights.

    Raises:
        UsageError: The weights of the network cannot be loaded.
    """
    if plan.init is not None:
        return plan.init
    if config.encoder_channels:
        return _narrow_start(config)
    # Late: elsewhere there is nothing to normalise.
    from model.networks.normalization import normalize_encoder

    name = config.network or DEFAULT_NETWORK
    layers = layers_to(vgg_layers(name, "reflect"), ADAIN_LAYER)
    try:
        arrays = load_vgg_weights(name, config.weights)
    except (ValueError, OSError) as error:
        raise UsageError(f"--network {name}: {error}") from error
    indices = plan.content.some(_NORMALIZED_OVER)
    print(
        f"train: normalising {name} over {len(indices)} photographs",
        file=sys.stderr,
    )
    try:
        encoder = normalize_encoder(layers, arrays, _batches(plan.content, indices))
    except (DamagedFileError, ImageError) as error:
        raise UsageError(f"--content: {error}") from error
    except ValueError as error:
        raise UsageError(
            f"--network {name}: {error}. Give more photographs (--content), or "
            "begin with a bundle (--init)."
        ) from error
    network = family_member(layers, **_widths(config))
    decoder = fresh_weights(network.decoder_convolutions, config.settings.seed)
    return Bundle.seal(network, encoder, decoder, _about(f"adain-{name}", _LICENSE))


def _narrow_start(config: TrainConfig) -> Bundle:
    """Return a narrow encoder that knows nothing yet, and a decoder."""
    imitated = load_bundle(RULER_BUNDLE).encoder_layers
    network = family_member(
        narrow_layers(imitated, config.encoder_channels),
        **_widths(config),
        tap_channels={layer.name: layer.out_channels for layer in imitated},
        input_divisor=INPUT_DIVISOR,
    )
    layers = (*network.decoder_convolutions, *network.encoder_convolutions)
    weights = fresh_weights(layers, config.settings.seed)
    about = _about("adain-narrow", {**_LICENSE, "encoder": _IMITATION})
    return Bundle.seal(network, weights, weights, about)


def _widths(config: TrainConfig) -> dict[str, Any]:
    return {
        "adain_layers": config.adain_layers or (ADAIN_LAYER,),
        "decoder_channels": config.decoder_channels or None,
    }


def _about(name: str, license: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "license": license,
        "lineage": [],
        "training": {"steps": 0},
    }


def _batches(
    records: PictureIndex, indices: Sequence[int]
) -> Iterator[npt.NDArray[np.float32]]:
    for first in range(0, len(indices), _NORMALIZED_BATCH):
        chosen = indices[first : first + _NORMALIZED_BATCH]
        yield np.stack(list(square_pictures(records, chosen, _NORMALIZED_SIDE)))
