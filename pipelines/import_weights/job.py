"""`stylebeam import-weights`: published weights become a bundle."""

import hashlib
import os
from collections.abc import Sequence

from model.bundle import Bundle
from model.networks.torch_file import TensorFileError, Tensors, read_tensors
from pipelines.command.flags import refuse_beam_flags
from pipelines.command.job import check_reachable
from pipelines.command.lock import only_run
from pipelines.errors import UsageError
from pipelines.import_weights.config import ImportWeightsConfig
from transforms.steps.tensorflow_start import without_greeting
from transforms.storage.bundle_folder import save_bundle
from transforms.storage.files import read_file


def run(config: ImportWeightsConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        UsageError: A file cannot be read or is not what it should be; nothing is
            written then.
    """
    refuse_beam_flags(beam_flags)
    check_reachable("--output", config.output)
    bundle = import_bundle(config)
    try:
        with only_run("--output", config.output) as lock:
            save_bundle(bundle, config.output, lock.lease)
    except OSError as error:
        raise UsageError(f"--output {config.output}: {error}") from error
    print(f"{config.output}: bundle {bundle.bundle_id}")
    return 0


def import_bundle(config: ImportWeightsConfig) -> Bundle:
    """Return the bundle of the files.

    Raises:
        UsageError: A file cannot be read or is not what it should be.
    """
    encoder, encoder_sha256 = _read("--encoder", config.encoder)
    decoder, decoder_sha256 = _read("--decoder", config.decoder)
    files = {"encoder": encoder_sha256, "decoder": decoder_sha256}
    about = {
        "name": config.source,
        "license": config.license,
        # Published without its training: an ancestor of which the files are known.
        "lineage": [{"name": config.source, "training": None, "files_sha256": files}],
        "training": None,
    }
    with without_greeting():
        from model.adain.pytorch_adain import import_pytorch_adain
    try:
        return import_pytorch_adain(encoder, decoder, about)
    except ValueError as error:
        raise UsageError(f"{config.encoder}, {config.decoder}: {error}") from error


def _read(flag: str, path: str) -> tuple[Tensors, str]:
    """Return the tensors of a file, and the sha256 of its bytes."""
    try:
        if os.path.isdir(path):
            raise UsageError(f"{flag} {path}: is a folder, expected a file.")
        data = read_file(path)
        return read_tensors(data), hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise UsageError(f"{flag} {path}: {error.strerror or error}.") from error
    except TensorFileError as error:
        raise UsageError(f"{flag} {path}: {error}.") from error
