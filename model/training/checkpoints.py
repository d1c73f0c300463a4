"""Checkpoints of a training: whole ones only, the latest that is undamaged."""

import dataclasses
import logging
import pathlib
import shutil
import tempfile
from typing import Any, Final

import tensorflow as tf

from model.bundle import Bundle
from model.networks.keras_network import Arrays, get_weights
from model.networks.level_network import build_level_decoder, build_level_encoder
from model.training.averages import AVERAGED
from model.training.trainer import Trainer

_LOGGER: Final = logging.getLogger(__name__)

_NAME: Final = "ckpt"

# What reading a damaged file raises, by where the damage is: TensorFlow's own errors,
# those of its bindings (IndexError is "read less bytes than requested"), and
# AssertionError where values are missing.
_DAMAGE: Final = (
    tf.errors.OpError,
    ValueError,
    IndexError,
    RuntimeError,
    AssertionError,
)


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, or none of those there can be read."""


@dataclasses.dataclass
class Checkpoints:
    """The checkpoints of a training: what learns, averages, optimizer, step and best.

    A checkpoint is written into a folder of its own and renamed, its index last; then
    TensorFlow's list, the file `checkpoint`, names it. So a killed process leaves the
    former one valid, and what has an index is whole. TensorFlow's own manager writes
    the index in its place, where a kill leaves half of it.

    Attributes:
        folder: Where they are.
        trainer: What is saved and restored.
        keep: How many are kept.
        chief: Whether this worker's checkpoints get their final names. TensorFlow wants
            every worker to save; those of others go into a folder that is thrown away.
    """

    folder: pathlib.Path
    trainer: Trainer
    keep: int
    chief: bool = True

    def __post_init__(self) -> None:
        if self.chief:
            # TensorFlow would make it without the user's umask.
            self.folder.mkdir(parents=True, exist_ok=True)
        self._state = tf.train.Checkpoint(
            optimizer=self.trainer.optimizer,
            step=self.trainer.step,
            best=self.trainer.best,
            **({"imitator": self.trainer.imitator} if self.trainer.imitator else {}),
            **self.trainer.learning,
            **(self.trainer.averages.networks if self.trainer.averages else {}),
        )
        _drop_unreadable_list(self.folder)
        self.saved_step: int | None = None

    def restore(self) -> int:
        """Restore the latest checkpoint that is whole; return its step, or 0.

        A damaged one is passed over with a warning.

        Raises:
            CheckpointError: There are checkpoints, but none of them can be read.
        """
        found = [
            str(self.folder / f"{_NAME}-{step}") for step in saved_steps(self.folder)
        ]
        for path in found:
            try:
                # Reads every value first: a checkpoint that is damaged in the middle
                # must not leave half of its values in the variables.
                _check_readable(path)
                self._state.restore(path).assert_existing_objects_matched()
            except _DAMAGE as error:
                _LOGGER.warning(
                    "The checkpoint %s is damaged (%s); going back to the one before.",
                    path,
                    str(error).splitlines()[0],
                )
                continue
            self.saved_step = int(self.trainer.step.numpy())
            return self.saved_step
        if found:
            raise CheckpointError(
                f"None of the {len(found)} checkpoints in {self.folder} can be read. "
                "Delete the folder to train from the start again, or take another "
                "--workdir."
            )
        return 0

    def save(self) -> None:
        """Save a checkpoint of the present step.

        Raises:
            CheckpointError: It could not be written; the one before is still valid.
        """
        step = int(self.trainer.step.numpy())
        if not self.chief:
            with tempfile.TemporaryDirectory() as folder:
                self._state.write(f"{folder}/{_NAME}")
            return
        # The variable is part of the state, as it is with TensorFlow's own manager.
        self._state.save_counter.assign_add(1)
        try:
            self._write(f"{_NAME}-{step}")
            self._sweep(step)
        except (OSError, tf.errors.OpError) as error:
            self.clear_temporaries()
            kept = (
                "none was saved before"
                if self.saved_step is None
                else f"the one of step {self.saved_step} is still valid"
            )
            raise CheckpointError(
                f"The checkpoint of step {step} could not be written into "
                f"{self.folder}: {error}; {kept}. Make room and give the same command "
                "again."
            ) from error
        self.saved_step = step

    def _write(self, name: str) -> None:
        with tempfile.TemporaryDirectory(
            prefix=f"{name}_temp", dir=self.folder
        ) as folder:
            self._state.write(f"{folder}/{name}")
            parts = sorted(pathlib.Path(folder).iterdir())
            for path in sorted(parts, key=lambda path: path.suffix == ".index"):
                path.replace(self.folder / path.name)

    def _sweep(self, latest: int) -> None:
        """Name the checkpoints that are kept, then delete all others.

        Those of later steps were damaged, or training would have gone on from them.
        """
        before = sorted(s for s in saved_steps(self.folder) if s <= latest)
        kept = before[-self.keep :]
        _write_list(self.folder, [f"{_NAME}-{step}" for step in kept])
        others = [path for step, path in _files(self.folder) if step not in kept]
        for path in sorted(others, key=lambda path: path.suffix != ".index"):
            path.unlink(missing_ok=True)

    def clear_temporaries(self) -> None:
        """Remove what a killed or failed save left: nothing that is named as whole."""
        for path in self.folder.glob(f"{_NAME}-*_temp*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _drop_unreadable_list(folder: pathlib.Path) -> None:
    """Remove TensorFlow's list of checkpoints where it is damaged beyond its reading.

    It is written anew with the next checkpoint; `saved_steps` needs none.
    """
    try:
        tf.train.get_checkpoint_state(str(folder))
    except ValueError:  # no UTF-8, or it names no checkpoint: it may be empty
        _LOGGER.warning("The list of checkpoints in %s is damaged.", folder)
        (folder / "checkpoint").unlink(missing_ok=True)


def _write_list(folder: pathlib.Path, names: list[str]) -> None:
    """Write the file that `tf.train.latest_checkpoint` reads, the latest name last."""
    lines = [f'all_model_checkpoint_paths: "{name}"' for name in names]
    text = "\n".join([f'model_checkpoint_path: "{names[-1]}"', *lines, ""])
    path = folder / f"{_NAME}-list_temp"
    path.write_text(text, "utf-8")
    path.replace(folder / "checkpoint")


def saved_steps(folder: pathlib.Path) -> list[int]:
    """Return the steps of the checkpoints under final names, the latest first.

    By their index files, which come last, not by TensorFlow's list of them: that may be
    lost, and training must not begin anew over whole checkpoints.
    """
    steps = [step for step, path in _files(folder) if path.suffix == ".index"]
    return sorted(steps, reverse=True)


def _files(folder: pathlib.Path) -> list[tuple[int, pathlib.Path]]:
    """Return the files under final names, each with its step."""
    named = [
        (path.name.removeprefix(f"{_NAME}-").partition(".")[0], path)
        for path in folder.glob(f"{_NAME}-*.*")
    ]
    return [(int(step), path) for step, path in named if step.isdigit()]


def damaged_checkpoints(folder: pathlib.Path) -> dict[str, str]:
    """Return what is wrong with each checkpoint that cannot be read, by its name."""
    whole = saved_steps(folder)
    torn = {step for step, _ in _files(folder)} - set(whole)
    damaged = {f"{_NAME}-{step}": "its index is missing" for step in sorted(torn)}
    for step in whole:
        name = f"{_NAME}-{step}"
        try:
            _check_readable(str(folder / name))
        except _DAMAGE as error:
            damaged[name] = (str(error).splitlines() or [type(error).__name__])[0]
    return damaged


def latest_weights(
    folder: pathlib.Path,
    start: Bundle,
    *,
    encoder: bool = False,
    averaged: bool = False,
) -> tuple[Arrays, int]:
    """Return what learnt up to the latest checkpoint that is whole, and its step.

    Args:
        folder: Folder of the checkpoints.
        start: What the training started from.
        encoder: Whether the encoder learnt too.
        averaged: Whether the training averaged its weights: then the averages.

    Raises:
        CheckpointError: There is none.
    """
    prefix = AVERAGED if averaged else ""
    parts = {f"{prefix}decoder": build_level_decoder(start.architecture)}
    if encoder:
        parts[f"{prefix}encoder"] = build_level_encoder(
            start.architecture, start.encoder, trainable=True
        )
    step = tf.Variable(0, dtype=tf.int64)
    state = tf.train.Checkpoint(step=step, **parts)
    for number in saved_steps(folder):
        path = str(folder / f"{_NAME}-{number}")
        try:
            _check_readable(path)
            state.restore(path).expect_partial().assert_existing_objects_matched()
        except _DAMAGE:
            _LOGGER.warning("The checkpoint %s is damaged; taking an older one.", path)
            continue
        weights: dict[str, Any] = {}
        for network in parts.values():
            weights |= get_weights(network)
        return weights, int(step.numpy())
    raise CheckpointError(f"There is no checkpoint in {folder} that can be read.")


def _check_readable(path: str) -> None:
    """Read all values of a checkpoint; TensorFlow compares their checksums.

    Raises:
        OpError: A part is missing or damaged.
    """
    reader = tf.train.load_checkpoint(path)
    for name in sorted(reader.get_variable_to_shape_map()):
        reader.get_tensor(name)
