"""Bundles and other exports, written where they belong: on a disk or in a bucket."""

import contextlib
import os
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


def is_taken(path: str, *, folder: bool) -> bool:
    """Return whether something is where a file or a folder is to be written.

    Args:
        path: Local path or URL.
        folder: Whether it is to be a folder; an empty one does not count then.

    Raises:
        OSError: Nobody can tell.
    """
    if is_remote(path):
        above, _, name = path.rstrip("/").rpartition("/")
        return OutputFolder(above).exists(name)
    if folder and os.path.isdir(path):
        return bool(os.listdir(path))
    return os.path.exists(path)


@contextlib.contextmanager
def written_whole(path: str) -> Iterator[str]:
    """Yield where a library writes a file or folder; whole, it gets its path.

    A local one is written beside its path and renamed. For a URL it is written on this
    machine and copied up: files of inner folders first, so that what a folder begins
    with is there last.

    Args:
        path: Local path or URL.

    Raises:
        OSError: It cannot be written.
    """
    if not is_remote(path):
        with _renamed(pathlib.Path(os.path.realpath(path))) as place:
            yield str(place)
        return
    above, _, name = path.rstrip("/").rpartition("/")
    output = OutputFolder(above)
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder, name)
        yield str(place)
        files = [place] if place.is_file() else list(place.rglob("*"))
        relative = [f.relative_to(folder) for f in files if f.is_file()]
        for file in sorted(relative, key=lambda f: (-len(f.parts), f)):
            with output.create(file.as_posix()) as target:
                target.write(pathlib.Path(folder, file).read_bytes())


@contextlib.contextmanager
def _renamed(path: pathlib.Path) -> Iterator[pathlib.Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
        place = pathlib.Path(folder, path.name)
        yield place
        place.replace(path)
