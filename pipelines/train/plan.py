"""What `stylebeam train` finds out, and starts from, before it writes anything."""

import dataclasses
import hashlib
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.bundle import Bundle, load_bundle
from model.config import ADAIN_LAYER
from model.networks.decoder import fresh_weights, mirror_layers
from model.networks.encoder import layers_to, vgg_layers
from model.networks.weights import load_vgg_weights
from model.training.dataset import PictureIndex, load_index
from pipelines.command.job import check_local
from pipelines.errors import UsageError
from pipelines.train.config import DEFAULT_NETWORK, TrainConfig
from pipelines.train.workdir import Workdir
from transforms.images.center_crop import square_pictures
from transforms.storage.files import UnreachableError, is_remote, read_file

# Enough that the means of 512 channels are known to a few per cent, and done in a
# minute; the size at which VGG was trained.
_NORMALIZED_OVER: Final = 512
_NORMALIZED_SIDE: Final = 224
_NORMALIZED_BATCH: Final = 8

_LICENSE: Final = {
    "code": "Apache-2.0",
    "encoder": "VGG, Simonyan & Zisserman, Oxford VGG, CC BY 4.0, as converted by "
    "Keras; rescaled to unit mean activation",
    "weights": "as the pictures they were trained on allow",
}


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
    """

    content: PictureIndex
    style: PictureIndex
    held_out_content: PictureIndex
    held_out_style: PictureIndex
    data: Mapping[str, Any]
    init: Bundle | None
    identity: Mapping[str, Any]
    resumed: bool


def plan(config: TrainConfig) -> TrainPlan:
    """Look at the data sets, the networks and the workdir; writes nothing.

    Raises:
        UsageError: One of them cannot be used.
    """
    batch_size = config.settings.batch_size
    content, held_out_content = _open("--content", config.content, batch_size)
    style, held_out_style = _open("--style", config.style, batch_size)
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
    )


def _open(
    flag: str, paths: Sequence[str], batch_size: int
) -> tuple[PictureIndex, PictureIndex]:
    """Return the pictures to learn from and those to judge by."""
    try:
        for path in paths:
            is_remote(path)  # refuses a URL that cannot be read
        train = load_index(paths, "train")
        val = load_index(paths, "val")
    except UnreachableError as error:
        raise UsageError(f"{flag}: {error}") from error
    except (
        ValueError,
        OSError,
        LookupError,
        TypeError,
        AttributeError,
        tf.errors.OpError,
    ) as error:
        raise UsageError(
            f"{flag}: {error}. It needs data sets of `stylebeam ingest` that have both "
            "a train and a val split (--val-fraction)."
        ) from error
    if len(train) < batch_size:
        raise UsageError(
            f"{flag} {' '.join(paths)}: the train split has {len(train)} images, fewer "
            f"than --batch-size {batch_size}. Ingest more, or take a smaller batch."
        )
    return train, val


def _check_stride(config: TrainConfig, init: Bundle) -> None:
    stride = 2 ** sum(layer.pool_before for layer in init.encoder_layers)
    if config.settings.crop % stride:
        raise UsageError(
            f"--crop {config.settings.crop}: expected a multiple of {stride}, by which "
            f"the encoder of --init {config.init} shrinks."
        )


def _sha256(path: str | None) -> str | None:
    if path is None:
        return None
    check_local("--weights", path)
    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"--weights {path}: {error}") from error


def start_bundle(config: TrainConfig, plan: TrainPlan) -> Bundle:
    """Return the networks before the first step.

    From `--init` both as they are; otherwise VGG normalised over the photographs, and
    a decoder of fresh weights.

    Raises:
        UsageError: The weights of the network cannot be loaded.
    """
    if plan.init is not None:
        return plan.init
    # Late: with --init there is nothing to normalise.
    from model.networks.normalization import normalize_encoder

    network = config.network or DEFAULT_NETWORK
    layers = layers_to(vgg_layers(network, "reflect"), ADAIN_LAYER)
    try:
        arrays = load_vgg_weights(network, config.weights)
    except (ValueError, OSError) as error:
        raise UsageError(f"--network {network}: {error}") from error
    indices = plan.content.some(_NORMALIZED_OVER)
    print(
        f"train: normalising {network} over {len(indices)} photographs",
        file=sys.stderr,
    )
    encoder = normalize_encoder(layers, arrays, _batches(plan.content, indices))
    decoder_layers = mirror_layers(layers)
    about = {
        "name": f"adain-{network}",
        "license": _LICENSE,
        "lineage": [],
        "training": {"steps": 0},
    }
    return Bundle.create(
        layers,
        encoder,
        decoder_layers,
        fresh_weights(decoder_layers, config.settings.seed),
        about,
    )


def _batches(
    records: PictureIndex, indices: Sequence[int]
) -> Iterator[npt.NDArray[np.float32]]:
    for first in range(0, len(indices), _NORMALIZED_BATCH):
        chosen = indices[first : first + _NORMALIZED_BATCH]
        yield np.stack(list(square_pictures(records, chosen, _NORMALIZED_SIDE)))
