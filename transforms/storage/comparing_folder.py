"""A folder that compares what is written to it with what stands there."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from typing import IO, Final

from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder

# Above this what is compared waits on the local disk and not in memory.
_SPOOLED_BYTES: Final = 1 << 26

_CHUNK: Final = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class ComparingFolder(OutputFolder):
    """A folder whose derived files are made again to see whether they are right.

    Whoever writes pages into it finds out which of those that stand there are others.

    Attributes:
        repair: Whether files that differ are written, and needless ones deleted.
        exact: Whether the bytes must be the same; otherwise a file only must be there
            and not empty, as an earlier stylebeam may have written it.
        wrong: What is wrong, by name; filled while the folder is written.
    """

    repair: bool = False
    exact: bool = True
    wrong: dict[str, str] = dataclasses.field(default_factory=dict, compare=False)

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """Compare a file with what the block writes, and write it where asked to."""
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as buffer:
            yield buffer
            buffer.seek(0)
            wrong = self._difference(name, buffer)
            if wrong is None:
                return
            self.wrong[name] = wrong
            if self.repair:
                buffer.seek(0)
                with OutputFolder.create(self, name) as file:
                    while chunk := buffer.read(_CHUNK):
                        file.write(chunk)

    def _difference(self, name: str, wanted: IO[bytes]) -> str | None:
        try:
            with open_file(self.path(name)) as file:
                if not self.exact:
                    empty = not file.read(1) and wanted.read(1)
                    return "is empty" if empty else None
                while True:
                    expected = wanted.read(_CHUNK)
                    if file.read(len(expected) or 1) != expected:
                        return "is not what the tables say"
                    if not expected:
                        return None
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read ({error.strerror or error})"

    def delete(self, name: str) -> None:
        """Take a file that should not be there for wrong; delete it where asked to."""
        if self.exists(name):
            self.wrong[name] = "belongs to no page of this output"
            if self.repair:
                OutputFolder.delete(self, name)
