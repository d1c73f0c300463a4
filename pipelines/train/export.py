"""`stylebeam export`: a decoder, as a bundle or for programs that know no bundles."""

import importlib
import pathlib
from collections.abc import Sequence

from model.adain.export import save_weights_h5, trained_bundle
from model.bundle import Bundle, BundleError, load_bundle
from model.training.checkpoints import CheckpointError, latest_weights
from pipelines.command.flags import refuse_beam_flags
from pipelines.command.job import check_reachable
from pipelines.command.lock import only_run
from pipelines.errors import UsageError
from pipelines.train.export_config import ExportConfig, ExportFormat
from pipelines.train.workdir import BEST, Workdir
from transforms.steps.tensorflow_start import start_tensorflow
from transforms.storage.bundle_folder import is_taken, save_bundle, written_whole
from transforms.storage.files import read_file


def run(config: ExportConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        UsageError: There is no such training or bundle, or it has nothing to export.
    """
    refuse_beam_flags(beam_flags)
    for flag, form, path in config.outputs():
        check_reachable(flag, path)
        if form != "bundle":
            _check_new(flag, form, path)
        _check_packages(form)
    start_tensorflow()
    bundle = find_bundle(config)
    for flag, form, path in config.outputs():
        try:
            if form == "bundle":
                with only_run(flag, path) as lock:
                    save_bundle(bundle, path, lock.lease)
            else:
                with written_whole(path) as place:
                    _write(bundle, form, place)
        except OSError as error:
            raise UsageError(f"{flag} {path}: {error}") from error
    print(config.output)
    return 0


def _check_new(flag: str, form: ExportFormat, path: str) -> None:
    """Check that nothing is replaced; a bundle is, whole, and says whose it is.

    Raises:
        UsageError: Something is there.
    """
    try:
        there = is_taken(path, folder=form == "savedmodel")
    except OSError as error:
        raise UsageError(f"{flag} {path}: {error}") from error
    if there:
        raise UsageError(
            f"{flag} {path}: is there already, and as {form} nothing is replaced. "
            "Remove it, or give another name."
        )


def _check_packages(form: str) -> None:
    """Check that what writes a format is installed.

    Raises:
        UsageError: It is not.
    """
    if form != "onnx":
        return
    try:
        importlib.import_module("onnx")
    except ImportError as error:
        raise UsageError(
            f"--format onnx: it needs a package that is not installed ({error}). Run: "
            "pip install 'stylebeam[interchange]'"
        ) from error


def _write(bundle: Bundle, form: ExportFormat, place: str) -> None:
    # Late: each brings packages that the others do not need.
    if form == "savedmodel":
        from model.interchange.saved_model import save_saved_model

        save_saved_model(bundle, place)
    elif form == "tflite":
        from model.interchange.tflite import tflite_model

        pathlib.Path(place).write_bytes(tflite_model(bundle))
    elif form == "onnx":
        from model.interchange.onnx_model import onnx_model

        pathlib.Path(place).write_bytes(onnx_model(bundle))
    else:
        save_weights_h5(bundle, place)


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
