"""A job that cannot write its files ends with one line, wherever that happened.

A worker that cannot write raises `OutputError`; the engines of Beam hand that on as the
text of a traceback, those of other processes too.
"""

import contextlib
import errno
import re
from collections.abc import Iterator
from typing import Final

from pipelines.errors import StorageError
from transforms.inputs.lost_inputs import InputsLostError
from transforms.storage.folder import OutdatedError, OutputError

# What else a full or broken disk says, such as that of the temporary files, and what is
# said of a folder in the place of a file, or of a file that may not be read.
_STORAGE: Final = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EFBIG,
    errno.EIO,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EACCES,
    errno.EPERM,
)

_RAISED: Final = re.compile(
    r"(?P<kind>\w*Error): \[Errno (?P<number>\w+)\] (?P<text>[^\n]+?)"
    r"(?:: '(?P<path>[^\n]*?)')?(?: \[while running [^\n]*)?$",
    re.MULTILINE,
)


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn the errors of files that cannot be written into one that says so.

    Raises:
        StorageError: The block raised an `OutputError`, an `InputsLostError` or an
            `OutdatedError`, or the text of one.
    """
    try:
        yield
    except OutputError as error:
        raise StorageError(_sentence(error.filename, error.strerror or "")) from error
    except InputsLostError as error:
        raise StorageError(_lost(error.filename, error.strerror or "")) from error
    except OutdatedError as error:
        raise StorageError(_outdated(error.filename, error.strerror or "")) from error
    except Exception as error:
        text = _in_text(str(error))
        if text is not None:
            raise StorageError(text) from error
        raise


def _in_text(text: str) -> str | None:
    """Return what a traceback says of a file that cannot be written, if it does."""
    found = list(_RAISED.finditer(text))
    for one in found:
        if one["kind"] == InputsLostError.__name__:
            return _lost(one["path"], one["text"])
        if one["kind"] == OutdatedError.__name__:
            return _outdated(one["path"], one["text"])
    ours = [one for one in found if one["kind"] == OutputError.__name__]
    others = [
        one
        for one in found
        if one["number"].isdigit() and int(one["number"]) in _STORAGE
    ]
    for one in ours:
        return _sentence(one["path"], one["text"])
    for one in others:
        return _sentence(one["path"], one["text"], "read or written")
    return None


def _lost(path: str | None, text: str) -> str:
    return (
        f"{text}, the last of them {path}. Is the place of the inputs still there? "
        "What was finished is kept; once that is mended, the same command goes on."
    )


def _outdated(path: str | None, text: str) -> str:
    return f"{path}: {text}"


def _sentence(path: str | None, text: str, done: str = "written") -> str:
    what = f"{path} cannot be {done}" if path else "a file cannot be written or read"
    return (
        f"{what}: {text}. What was finished is kept; once that is mended, the same "
        "command goes on."
    )
