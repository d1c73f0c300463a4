"""`stylebeam export`: a training's decoder, as a bundle and in TensorFlow's forms."""

import pathlib
from collections.abc import Sequence

from model.adain.export import save_saved_model, save_weights_h5, trained_bundle
from model.bundle import Bundle, BundleError, load_bundle
from model.training.checkpoints import CheckpointError, latest_weights
from pipelines.command.flags import refuse_beam_flags
from pipelines.command.job import check_local
from pipelines.command.lock import only_run
from pipelines.errors import UsageError
from pipelines.train.export_config import ExportConfig
from pipelines.train.workdir import BEST, Workdir
from transforms.steps.tensorflow_start import start_tensorflow


def run(config: ExportConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        UsageError: There is no such training, or it has nothing to export yet.
    """
    refuse_beam_flags(beam_flags)
    check_local("--output", config.output)
    start_tensorflow()
    bundle = find_bundle(config)
    try:
        with only_run("--output", config.output):
            _save(bundle, config)
    except OSError as error:
        raise UsageError(f"--output {config.output}: {error}") from error
    print(config.output)
    return 0


def _save(bundle: Bundle, config: ExportConfig) -> None:
    bundle.save(config.output)
    if config.saved_model is not None:
        save_saved_model(bundle, config.saved_model)
    if config.weights_h5 is not None:
        pathlib.Path(config.weights_h5).parent.mkdir(parents=True, exist_ok=True)
        save_weights_h5(bundle, config.weights_h5)


def find_bundle(config: ExportConfig) -> Bundle:
    """Return what is to be exported.

    Raises:
        UsageError: There is none.
    """
    workdir = Workdir(pathlib.Path(config.workdir))
    about = workdir.read_config()
    if about is None:
        raise UsageError(
            f"--workdir {config.workdir}: holds no training. Give the --workdir of "
            "`stylebeam train`."
        )
    try:
        if config.which == "best":
            if not workdir.has(f"{BEST}/bundle.json"):
                raise UsageError(
                    f"--workdir {config.workdir}: was not evaluated yet, so there is "
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
        raise UsageError(f"--workdir {config.workdir}: {error}") from error
