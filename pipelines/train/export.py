"""`stylebeam export`: a decoder, as a bundle and in TensorFlow's forms."""

import pathlib
from collections.abc import Sequence

from model.adain.export import save_saved_model, save_weights_h5, trained_bundle
from model.bundle import Bundle, BundleError, load_bundle
from model.training.checkpoints import CheckpointError, latest_weights
from pipelines.command.flags import refuse_beam_flags
from pipelines.command.job import check_reachable
from pipelines.command.lock import only_run
from pipelines.errors import UsageError
from pipelines.train.export_config import ExportConfig
from pipelines.train.workdir import BEST, Workdir
from transforms.steps.tensorflow_start import start_tensorflow
from transforms.storage.bundle_folder import local_path, save_bundle
from transforms.storage.files import read_file
from transforms.storage.lease import Lease


def run(config: ExportConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        UsageError: There is no such training or bundle, or it has nothing to export.
    """
    refuse_beam_flags(beam_flags)
    for flag, path in (
        ("--output", config.output),
        ("--saved-model", config.saved_model),
        ("--weights-h5", config.weights_h5),
    ):
        if path is not None:
            check_reachable(flag, path)
    start_tensorflow()
    bundle = find_bundle(config)
    try:
        with only_run("--output", config.output) as lock:
            _save(bundle, config, lock.lease)
    except OSError as error:
        raise UsageError(f"--output {config.output}: {error}") from error
    print(config.output)
    return 0


def _save(bundle: Bundle, config: ExportConfig, lease: Lease | None) -> None:
    save_bundle(bundle, config.output, lease)
    if config.saved_model is not None:
        with local_path(config.saved_model) as folder:
            save_saved_model(bundle, folder)
    if config.weights_h5 is not None:
        with local_path(config.weights_h5) as file:
            pathlib.Path(file).parent.mkdir(parents=True, exist_ok=True)
            save_weights_h5(bundle, file)


def find_bundle(config: ExportConfig) -> Bundle:
    """Return what is to be exported.

    Raises:
        UsageError: There is none.
    """
    if config.bundle is not None:
        try:
            return load_bundle(config.bundle, read_file)
        except (ValueError, RuntimeError, OSError) as error:
            raise UsageError(f"--bundle {config.bundle}: {error}") from error
    return _trained(str(config.workdir), config.which)


def _trained(folder: str, which: str) -> Bundle:
    """Return a decoder of a training.

    Raises:
        UsageError: There is none.
    """
    workdir = Workdir(pathlib.Path(folder))
    about = workdir.read_config()
    if about is None:
        raise UsageError(
            f"--workdir {folder}: holds no training. Give the --workdir of "
            "`stylebeam train`."
        )
    try:
        if which == "best":
            if not workdir.has(f"{BEST}/bundle.json"):
                raise UsageError(
                    f"--workdir {folder}: was not evaluated yet, so there is "
                    "no best decoder. Train on, or take --which latest."
                )
            return load_bundle(str(workdir.root / BEST))
        start = workdir.start()
        identity = about["identity"]
        weights, step = latest_weights(
            workdir.checkpoints,
            start,
            encoder=any(map(identity.get, ("train_encoder", "distill_steps"))),
            averaged=bool(identity.get("ema")),
        )
        return trained_bundle(
            start, weights, workdir.bundle_about(start, identity, step)
        )
    except (BundleError, CheckpointError) as error:
        raise UsageError(f"--workdir {folder}: {error}") from error
