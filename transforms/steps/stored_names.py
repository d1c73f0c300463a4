"""A set of names that goes through the graph of a job as the place of a file."""

import functools
import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from transforms.storage.files import read_file
from transforms.storage.folder import TEMPORARY, OutputFolder

_FOLDER: Final = f"{TEMPORARY}/names"


class StoredNames(frozenset[str]):
    """Names that wait in a file of the output, for a worker that wants them.

    What is made of it by an operator is a frozenset as any other.
    """

    _path: str

    @classmethod
    def store(cls, output: OutputFolder, names: Iterable[str]) -> "StoredNames":
        """Write names among the temporary files of an output; return them.

        Args:
            output: The output of the job.
            names: The names, in any order.
        """
        stored = cls(names)
        data = json.dumps(sorted(stored)).encode()
        # A process that lives longer than a job has no names of an earlier one.
        name = f"{_FOLDER}/{hashlib.sha256(data).hexdigest()[:16]}.json"
        output.write(name, data)
        stored._path = output.path(name)
        return stored

    def __reduce__(self) -> tuple[Any, ...]:
        """Return where the names are."""
        return _read, (self._path,)


@functools.lru_cache(maxsize=8)
def _read(path: str) -> StoredNames:
    names = StoredNames(json.loads(read_file(path)))
    names._path = path
    return names
