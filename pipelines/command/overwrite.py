"""What `--overwrite` does to an output that is there: set aside, replace, delete last.

The tables and descriptions of the output are moved to `.replaced` first, so nothing
counts as done. Pictures stay where they are until a new one takes the name of each, and
what no new one replaced is deleted once the job has succeeded. `job.json` says how far
that is, so a run that is killed goes on.
"""

import contextlib
import hashlib
import itertools
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from model.config import canonical_json
from pipelines.errors import StorageError
from transforms.storage.folder import OutputFolder

REPLACED: Final = ".replaced"
STATE: Final = "overwriting"
"""Field of `job.json`: `begun` until all is set aside, then `set aside`."""

BEGUN: Final = "begun"
SET_ASIDE: Final = "set aside"


def state_of(
    found: Mapping[str, Any] | None, overwrite: bool, about: Mapping[str, Any]
) -> str | None:
    """Return how far the overwriting of an output is, None where nothing is replaced.

    Args:
        found: Its `job.json`, None where there is none.
        overwrite: Whether this run was asked to make everything anew.
        about: What this run writes there: `identity` and `config` among it.
    """
    if found is None:
        return None
    unfinished = found.get(STATE)
    # The same command goes on; another one with --overwrite begins again.
    same = ("identity", "config") if overwrite else ("identity",)
    if unfinished in (BEGUN, SET_ASIDE) and all(
        _equal(found.get(name), about[name]) for name in same
    ):
        return str(unfinished)
    return BEGUN if overwrite else None


def _equal(found: Any, ours: Any) -> bool:
    """Return whether a value is what was read from JSON."""
    return found is not None and canonical_json(found) == canonical_json(ours)


def set_aside(output: OutputFolder, names: Sequence[str]) -> None:
    """Move what says what is done out of the way; may be repeated.

    Args:
        output: The output.
        names: What is moved, the first first.

    Raises:
        OSError: It cannot be moved.
    """
    number = next(n for n in itertools.count(1) if not _is_used(output, n))
    for name in names:
        output.move(name, f"{REPLACED}/{number}/{name}")


def _is_used(output: OutputFolder, number: int) -> bool:
    return next(output.below(f"{REPLACED}/{number}"), None) is not None


def delete_leftovers(output: OutputFolder, names: Iterable[str]) -> None:
    """Delete files that the output has no use for, and what was set aside.

    Folders that hold nothing then go too.

    Raises:
        StorageError: One cannot be deleted.
    """
    with named_deletions():
        for name in names:
            output.delete(name)
            output.prune(name.rpartition("/")[0])
        output.delete(REPLACED)


@contextlib.contextmanager
def named_deletions() -> Iterator[None]:
    """Turn a deletion that fails into an error that names the file.

    Raises:
        StorageError: The block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise StorageError(
            f"cannot be deleted: {what}. What was made is kept; once that is mended, "
            "the same command goes on."
        ) from error


def unwanted(
    output: OutputFolder,
    folders: Iterable[str],
    forms: re.Pattern[str],
    wanted: Container[str],
) -> Iterator[str]:
    """Yield the files that have a name as the command gives it, and are not wanted.

    Files of other names are not ours, and stay.

    Args:
        output: The output.
        folders: Where to look, with all below.
        forms: The names that the command gives.
        wanted: Names of the files that the output tells of.
    """
    for folder in folders:
        for name in output.below(folder):
            if forms.fullmatch(name) and name not in wanted:
                yield name


class Names(Container[str]):
    """A set of names in eight bytes each; of 10^6 names two are alike once in 10^7.

    Then a file is spared that was to be deleted.

    Args:
        names: The names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._hashes = np.unique(np.fromiter(map(_hash, names), np.uint64))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._hashes)

    def __contains__(self, name: object) -> bool:
        wanted = np.uint64(_hash(str(name)))
        place = int(np.searchsorted(self._hashes, wanted))
        return place < len(self._hashes) and bool(self._hashes[place] == wanted)


def _hash(name: str) -> int:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")
