"""The pictures of a block in one file of the journal, until they are in shards."""

import hashlib
import io
from collections.abc import Sequence
from typing import Any

from transforms.storage.folder import OutputFolder
from transforms.stylize.manifest import MANIFEST_TABLE


class BlockFile:
    """The pictures of one block, in one file of the journal.

    Args:
        output: Where to.
        paintings: What is in the block; it names the file, so that a retry writes the
            same one again.
    """

    def __init__(self, output: OutputFolder, paintings: Sequence[Any]) -> None:
        ids = "".join(t.cell.cell_id for p in paintings for t in p.targets)
        digest = hashlib.sha256(ids.encode()).hexdigest()[:32]
        self._output = output
        self._name = f"{MANIFEST_TABLE.journal}/{digest}.pictures"
        self._buffer = io.BytesIO()
        self._offsets: dict[str, int] = {}

    def add(self, target: Any, data: bytes) -> None:
        """Add a picture."""
        self._offsets[target.cell.path] = self._buffer.tell()
        self._buffer.write(data)

    def place(self, target: Any) -> dict[str, Any]:
        """Return where a picture is, as its manifest row says it."""
        offset = self._offsets.get(target.cell.path)
        return {"shard": None if offset is None else self._name, "offset": offset}

    def close(self) -> None:
        """Write the file whole.

        Raises:
            OSError: It cannot be written; the block is not done.
        """
        self._output.write(self._name, self._buffer.getvalue())
