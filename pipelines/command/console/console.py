"""The console: where everything goes that a command says on stderr.

As it is without flags, stderr is left alone. `--quiet` holds back what is said until
the command has failed. `--log-format json` makes one JSON object of each line, and
`--progress json` writes events for programs. The fields of both are promised in
docs/operations.md: fields may be added, none is renamed or dropped.
"""

import collections
import datetime
import io
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any, Final, TextIO

from pipelines.command.console.config import LogFormat, Progress
from pipelines.command.console.redaction import (
    CleanFormatter,
    clean_json,
    without_secrets,
)

MOST_LINES: Final = 1000
"""How many lines are held back with `--quiet`; older ones are lost."""

# What `error` of the command line and of jobs begin their lines with.
_ERROR: Final = re.compile(r"stylebeam [\w-]+: error: ")

_STDERR: Final = 2


class Console(io.TextIOBase):
    """A stream in the place of stderr, and the events beside it; thread-safe.

    Args:
        stream: The real stderr; None for whatever stderr is when something is said.
        command: Name of the command.
        quiet: Whether what is said waits for the end.
        progress: How progress is told.
        log_format: Form of what is said.
    """

    def __init__(
        self,
        stream: TextIO | None,
        command: str = "",
        *,
        quiet: bool = False,
        progress: Progress = "auto",
        log_format: LogFormat = "text",
    ) -> None:
        self._given = stream
        self._command = command
        self._quiet = quiet
        self._is_json = log_format == "json"
        self.tells_events = progress == "json"
        self._line = ""
        self._held: collections.deque[str] = collections.deque(maxlen=MOST_LINES)
        self._result: dict[str, Any] = {}
        self._ended = False
        self._lock = threading.RLock()

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self._given is None else self._given

    @property
    def is_plain(self) -> bool:
        """Whether all that is said goes to stderr as it is, and at once."""
        return not (self._quiet or self._is_json)

    @property
    def shows_progress(self) -> bool:
        """Whether progress is told to people."""
        return not (self._quiet or self.tells_events)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the real stderr."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Return whether a person watches: bars are drawn for nobody else."""
        return self.is_plain and not self.tells_events and self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the real stderr."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Say a text, line by line; returns its length."""
        with self._lock:
            if self.is_plain:
                self._stream.write(text)
                return len(text)
            *lines, self._line = (self._line + text).split("\n")
            for line in filter(str.strip, lines):
                self._say(self._form(line))
        return len(text)

    def flush(self) -> None:
        """Write out what waits in the real stderr; half a line waits on."""
        self._stream.flush()

    def record(self, record: logging.LogRecord, text: str) -> None:
        """Say a log record.

        Args:
            record: The record.
            text: Its line, without secrets.
        """
        if not self._is_json:
            self.write(f"{text}\n")
            return
        told = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            told["traceback"] = _traceback(record.exc_info[1])
        message = without_secrets(record.getMessage())
        with self._lock:
            self._say(self._log(message, record.levelname, **told))

    def defect(self, error: BaseException) -> bool:
        """Say that the program has a defect; return whether it was said: as JSON."""
        if not self._is_json:
            return False
        message = without_secrets(f"{type(error).__name__}: {error}")
        told = {"traceback": _traceback(error)}
        with self._lock:
            self._say(self._log(message, "CRITICAL", **told))
        return True

    def event(self, name: str, **fields: Any) -> None:
        """Write an event, where events are asked for, whatever else is held back."""
        if self.tells_events:
            with self._lock:
                self._write(self._json(name, clean_json(fields)))

    def result(self, **fields: Any) -> None:
        """Note what the event of the end tells beside the exit status."""
        self._result.update(fields)

    def end(self, status: int) -> None:
        """Say what was held back, if the command failed; write the last event."""
        with self._lock:
            for line in self._last_lines(status):
                self._write(line)
            self.flush()

    def last_words(self, text: str, status: int) -> None:
        """Say a line and end, out of a handler of a signal, past all locks."""
        if not self.is_plain:
            self._held.append(self._form(text))
        lines = [*([f"\n{text}"] if self.is_plain else []), *self._last_lines(status)]
        # The main thread may hold the lock of any stream.
        os.write(_STDERR, "".join(f"{line}\n" for line in lines).encode())

    def _last_lines(self, status: int) -> list[str]:
        if self._ended:
            return []
        self._ended = True
        if self._line:
            self._held.append(self._form(self._line))
            self._line = ""
        # Without --quiet only half a line, or the words of a signal, are held.
        lines = list(self._held) if status or not self._quiet else []
        if self.tells_events:
            told = {"exit_status": status, **clean_json(self._result)}
            lines.append(self._json("end", told))
        return lines

    def _form(self, line: str) -> str:
        if not self._is_json:
            return line
        level = "ERROR" if _ERROR.match(line) else "INFO"
        return self._log(without_secrets(line), level)

    def _log(self, message: str, level: str, **fields: str) -> str:
        return self._json("log", {"level": level, "message": message, **fields})

    def _json(self, event: str, fields: Mapping[str, Any]) -> str:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        told = {"event": event, "time": now, "command": self._command, **fields}
        # ASCII, which any stream takes; half a character of a name is an escape.
        return json.dumps(told)

    def _say(self, line: str) -> None:
        if self._quiet:
            self._held.append(line)
        else:
            self._write(line)

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


def _traceback(error: BaseException) -> str:
    return without_secrets("".join(traceback.format_exception(error)))


class ConsoleHandler(logging.Handler):
    """Hands log records to the console that is open when they come."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(CleanFormatter("%(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Say a record."""
        try:
            console().record(record, self.format(record))
        except Exception:
            self.handleError(record)


_PLAIN: Final = Console(None)
_current = _PLAIN


def console() -> Console:
    """Return the console of this process; one that only knows text by itself."""
    return _current


def open_console(
    command: str, *, quiet: bool, progress: Progress, log_format: LogFormat
) -> Console:
    """Make the console of a command, in the place of stderr where it must be there."""
    global _current
    _current = Console(
        sys.stderr, command, quiet=quiet, progress=progress, log_format=log_format
    )
    if not _current.is_plain:
        sys.stderr = _current
    return _current


def close_console(status: int) -> None:
    """End the console, and put stderr back."""
    global _current
    ended, _current = _current, _PLAIN
    if ended is not _PLAIN:
        ended.end(status)
        if sys.stderr is ended:
            sys.stderr = ended._stream
