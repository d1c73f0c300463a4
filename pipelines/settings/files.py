"""Files of options, for `--config`: TOML that people write, and the job.json of a run.

    command = "stylize"         # may be left out

    content = ["photos"]        # keys are the flags without their dashes
    content-size = 512

    [beam]                      # flags of Beam's, by their own names
    direct_num_workers = 2

Values become what would have been typed, so that all checks are those of the flags.
"""

import difflib
import json
import math
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from model.options import Option
from pipelines.command.console.config import ConsoleConfig
from pipelines.command.flags import all_options, flag_of, typed_default
from pipelines.command.job_file import JOB, wrong_job
from pipelines.errors import UsageError
from pipelines.settings.commands import COMMANDS
from transforms.buckets.places import UnreachableError
from transforms.storage.text import read_text, shown

_MAX_BYTES: Final = 1 << 24
_COMMAND: Final = "command"
_BEAM: Final = "beam"

# What is no part of what is asked again: a run that is repeated finishes what is
# missing. Whoever wants all anew says --overwrite again.
_NOT_REPEATED: Final = ("overwrite",)

# What stands in a job.json in the place of a secret.
_LEFT_OUT: Final = "…"


class Settings(NamedTuple):
    """What a file says.

    Attributes:
        values: Values by the names of options, as they would have been typed.
        beam_flags: Flags of Beam's.
    """

    values: Mapping[str, Any]
    beam_flags: list[str]


def read_settings(path: str, command: str) -> Settings:
    """Read a file of options.

    Args:
        path: Local path or URL: a job.json where it ends in `.json`, else TOML.
        command: The command that is to run.

    Raises:
        UsageError: The file cannot be read, is of another command, or has an unknown
            key or a value of the wrong type.
    """
    reader = _Reader(path, command)
    try:
        text = read_text(path, _MAX_BYTES)
        if path.endswith(".json"):
            return reader.of_job(json.loads(text))
        return reader.of_table(tomllib.loads(text))
    except IsADirectoryError as error:
        raise reader.error(
            f"is a folder. Name a file, such as {path}/{JOB}."
        ) from error
    except RecursionError as error:
        raise reader.error("is nested too deeply.") from error
    except UsageError:
        raise
    except (OSError, UnreachableError, RuntimeError, ValueError) as error:
        raise reader.error(f"{getattr(error, 'strerror', None) or error}.") from error


def check_told(path: str, values: Mapping[str, Any], beam_flags: Iterable[str]) -> None:
    """Check that a job.json told what is taken from it, and kept no secret back.

    Args:
        path: The file.
        values: Options that nobody typed.
        beam_flags: Flags of Beam's that nobody typed.

    Raises:
        UsageError: One had a secret in it.
    """
    for text in (*_texts(values), *beam_flags):
        if path.endswith(".json") and _LEFT_OUT in text and "://" in text:
            raise UsageError(
                f"--config {path}: {shown(text)} had a secret, which was not written "
                "down. Give that option on the command line, or write a TOML file."
            )


class _Reader:
    """Turns parts of a file into options, or into an error that names the part."""

    def __init__(self, path: str, command: str) -> None:
        self._path = path
        self._command = command
        self._options = {
            **all_options(COMMANDS[command].config),
            **all_options(ConsoleConfig),
        }
        del self._options["config"]  # One file is enough.

    def error(self, text: str) -> UsageError:
        return UsageError(f"--config {self._path}: {text}")

    def of_table(self, table: Mapping[str, Any]) -> Settings:
        """Return what a TOML file says."""
        names = {flag_of(name).removeprefix("--"): name for name in self._options}
        self._check_command(table.get(_COMMAND, self._command))
        beam = table.get(_BEAM, {})
        if not isinstance(beam, dict):
            raise self.error(
                f"{_BEAM} is {shown(beam)}, expected a table that begins with "
                f"[{_BEAM}]."
            )
        values = {}
        for key, value in table.items():
            if key in (_COMMAND, _BEAM):
                continue
            if key not in names:
                raise self._unknown(key, [*names, _COMMAND, _BEAM])
            values[names[key]] = self._typed(names[key], key, value)
        # Words without a dash may be Beam's, too: --network is one of Dataflow's.
        if ours := [key for key in beam if key in names and "-" in key]:
            raise self.error(
                f"{ours[0]} is an option of `stylebeam {self._command}`, and below "
                f"[{_BEAM}] all are Beam's. Write it above [{_BEAM}]."
            )
        return Settings(values, [*self._beam_flags(beam)])

    def of_job(self, job: Any) -> Settings:
        """Return what the job.json of an earlier run says that it was asked."""
        if wrong := wrong_job(job):
            raise self.error(f"is no {JOB} of stylebeam: {wrong}.")
        self._check_command(job[_COMMAND])
        launch = job.get("launch", {})
        flags = launch.get("beam_flags", []) if isinstance(launch, dict) else None
        if not isinstance(flags, list) or not all(map(_is_typed, flags)):
            raise self.error(
                f"launch is {shown(launch)}, expected Beam's flags, with no zero byte."
            )
        if "config" not in job:
            raise self.error("does not say what the run was asked: it has no config.")
        values = dict(self._flat(job["config"]))
        if launch.get("shared_filesystem"):
            values["shared_filesystem"] = True
        # It has the defaults, too: one that another option takes the place of was none.
        for name, about in self._options.items():
            other = about.instead_of
            if name in values and other in values:
                plain = values[name] == typed_default(about)
                del values[name if plain else other]
        return Settings(values, list(flags))

    def _flat(self, config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield the options of a configuration; those of a group are a table in it."""
        for name, value in config.items():
            about = self._options.get(name)
            if about is None and isinstance(value, dict):
                yield from self._flat(value)
            elif about is None:
                raise self._unknown(name, self._options)
            elif value is not None and name not in _NOT_REPEATED:
                yield name, self._typed(name, name, value)

    def _check_command(self, found: Any) -> None:
        if found != self._command:
            raise self.error(
                f"is of `stylebeam {shown(found)}`, not of `stylebeam {self._command}`."
            )

    def _unknown(self, key: str, known: Iterable[str]) -> UsageError:
        near = difflib.get_close_matches(key, [*known], 1, cutoff=0)
        return self.error(
            f"{shown(key)} is no option of `stylebeam {self._command}`. The nearest is "
            f"{near[0]}."
        )

    def _typed(self, name: str, key: str, value: Any) -> Any:
        """Return a value as the parser would have made it of what was typed."""
        about = self._options[name]
        if about.read is None:
            if not about.many:
                return self._one(key, about, value, _kind(about))
            values = value if isinstance(value, list) else [value]
            if about.required and not values:
                raise self.error(f"{key} is [], expected at least one.")
            return [
                self._one(key, about, one, f"{_kind(about)}, or a list")
                for one in values
            ]
        if isinstance(value, str):
            return value
        # Written as it is typed: whoever reads the flag reads this too.
        parts = value if isinstance(value, list) else [value]
        expected = f"{_kind(about)}, or a list, or a text as the flag takes it"
        return ",".join(str(self._one(key, about, part, expected)) for part in parts)

    def _one(self, key: str, about: Option, value: Any, expected: str) -> Any:
        kinds = (int, float) if about.type is float else (about.type,)
        # True is an int to isinstance. What only `read` can make is no plain type.
        if about.type in (str, int, float, bool) and type(value) in kinds:
            if about.choices and value not in about.choices:
                expected = f"one of {', '.join(about.choices)}"
            elif isinstance(value, str) and not _is_typed(value):
                expected += ", with no zero byte and no half a character"
            elif about.type is not float:
                return value
            elif math.isfinite(number := _number(value)):
                return number
        raise self.error(f"{key} is {shown(value)}, expected {expected}.")

    def _beam_flags(self, table: Mapping[str, Any]) -> Iterator[str]:
        for key, value in table.items():
            for one in value if isinstance(value, list) else [value]:
                if one is True:
                    yield f"--{key}"
                elif _is_typed(str(one)) and type(one) in (str, int, float):
                    yield f"--{key}={one}"
                else:
                    raise self.error(
                        f"[{_BEAM}] {shown(key)} is {shown(one)}, expected a text "
                        "with no zero byte, a number, true, or a list of them. Leave "
                        "out what is false."
                    )


def _is_typed(value: Any) -> bool:
    """Return whether a value is a text that a command line can have."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return True


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number that is too large for a float
        return math.inf


def _texts(values: Mapping[str, Any]) -> Iterator[str]:
    for value in values.values():
        yield from filter(
            lambda one: isinstance(one, str),
            value if isinstance(value, list) else [value],
        )


_KINDS: Final = {int: "a whole number", float: "a number", bool: "true or false"}


def _kind(about: Option) -> str:
    return _KINDS.get(about.type, "a text")
