"""Bundles and other exports, written where they belong: on a disk or in a bucket."""

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator

from model.bundle import Bundle
from transforms.buckets.places import is_remote
from transforms.storage.folder import OutputFolder
from transforms.storage.lease import Lease


def save_bundle(bundle: Bundle, folder: str, lease: Lease | None = None) -> None:
    """Write a bundle into a folder or below a URL; whoever reads finds a whole one.

    Args:
        bundle: The bundle.
        folder: Local path or URL.
        lease: What the run that writes must hold.

    Raises:
        OSError: It cannot be written.
    """
    if not is_remote(folder):
        bundle.save(folder)
        return
    output = OutputFolder(folder, lease=lease)
    for name, data in bundle.writes():
        if data is None:
            output.delete(name)
        else:
            output.write(name, data)


@contextlib.contextmanager
def local_path(path: str, lease: Lease | None = None) -> Iterator[str]:
    """Yield where a library writes a file or folder that is meant for a path.

    For a URL that is on this machine, and is copied up when the block has succeeded:
    files of inner folders first, so that what a folder begins with is there last.

    Args:
        path: Local path or URL.
        lease: What the run that writes must hold, where `path` is below its output.

    Raises:
        OSError: It cannot be copied.
    """
    if not is_remote(path):
        yield path
        return
    above, _, name = path.rstrip("/").rpartition("/")
    output = OutputFolder(above, lease=lease)
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder, name)
        yield str(place)
        files = [place] if place.is_file() else list(place.rglob("*"))
        relative = [f.relative_to(folder) for f in files if f.is_file()]
        for file in sorted(relative, key=lambda f: (-len(f.parts), f)):
            with output.create(file.as_posix()) as target:
                target.write(pathlib.Path(folder, file).read_bytes())
