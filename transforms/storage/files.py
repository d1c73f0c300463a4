"""Files by path: local ones, and those in a bucket through Beam's FileSystems.

Paths may be local or any URL that Beam's FileSystems knows, such as `gs://`.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import Any, BinaryIO


class MissingExtraError(RuntimeError):
    """A path needs an optional package that is not installed."""


def is_remote(path: str) -> bool:
    """Return whether the path is a URL, such as `gs://bucket/name`."""
    return "://" in path


def filesystems() -> Any:
    """Return Beam's FileSystems, checked to know `gs://`.

    Raises:
        MissingExtraError: Google Cloud support is not installed.
    """
    from apache_beam.io import filesystems

    # Without it Beam goes on with the storage client alone, as nobody, and retries for
    # minutes.
    if importlib.util.find_spec("google_auth_httplib2") is None:
        raise MissingExtraError(
            "gs:// paths need Google Cloud support, which is not installed. "
            "Run: pip install 'stylebeam[gcp]'"
        )
    return filesystems.FileSystems


def open_file(path: str) -> BinaryIO:
    """Open a local or remote file for reading bytes, seekable.

    Raises:
        OSError: The file cannot be opened.
        MissingExtraError: The path is remote and its support is not installed.
    """
    if is_remote(path):
        from apache_beam.io.filesystem import CompressionTypes

        return filesystems().open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return open(path, "rb")


@contextlib.contextmanager
def google_errors() -> Iterator[None]:
    """Turn what the Google Cloud Storage client raises into `OSError`."""
    from google.api_core import exceptions  # late: local files do not need it

    try:
        yield
    except exceptions.NotFound as error:
        raise FileNotFoundError(str(error)) from error
    except (exceptions.GoogleAPIError, exceptions.RetryError) as error:
        raise OSError(str(error)) from error


@contextlib.contextmanager
def reading(path: str) -> Iterator[BinaryIO]:
    """Open a file as `open_file` does, for reads inside the block.

    Raises:
        FileNotFoundError: There is no such file. A bucket says so at the first read.
        OSError: The file cannot be read.
    """
    errors = google_errors() if is_remote(path) else contextlib.nullcontext()
    with errors, open_file(path) as file:
        yield file


def read_file(path: str) -> bytes:
    """Return the bytes of a local or remote file.

    Raises:
        OSError: The file cannot be read.
    """
    with reading(path) as file:
        return file.read()
