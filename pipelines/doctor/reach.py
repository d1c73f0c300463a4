"""What can be reached from here: engines, stores, places."""

import importlib.util
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Final

from pipelines.doctor.findings import Finding
from pipelines.engines.options import RUNNERS, check_extra
from pipelines.errors import UsageError
from transforms.buckets.patience import SECONDS_VARIABLE
from transforms.buckets.places import UnreachableError, is_remote, locate, plain_path
from transforms.storage.folder import OutputFolder

# Extras that are no engine's, with a module of each.
_EXTRAS: Final = {
    "aws": ("s3://", "boto3"),
    "formats": ("HEIC and JPEG XL", "pillow_heif"),
    "interchange": ("export --format onnx", "onnx"),
}

# A doctor is not to wait for as long as a job.
_STORE_SECONDS: Final = "10"

# So many files are counted of a place.
_COUNTED: Final = 1000


def look_at_engines() -> Iterator[Finding]:
    """Yield which engines and extras are there."""
    for runner in RUNNERS:
        try:
            check_extra(runner)
            yield Finding("ok", runner, "can be asked for")
        except UsageError as error:
            text = str(error).removeprefix(f"--runner {runner}: ")
            yield Finding("note", runner, text)
    for extra, (what, module) in _EXTRAS.items():
        if importlib.util.find_spec(module) is not None:
            yield Finding("ok", what, f"the extra {extra} is there")
        else:
            way = f"pip install 'stylebeam[{extra}]'"
            yield Finding("note", what, f"not without the extra {extra}: {way}")


def look_at_places(places: Sequence[str]) -> Iterator[Finding]:
    """Yield whether places can be reached and listed.

    Args:
        places: Local paths and URLs.
    """
    os.environ.setdefault(SECONDS_VARIABLE, _STORE_SECONDS)
    for place in places:
        try:
            # A run takes `file://` as the path itself.
            yield Finding("ok", "place", f"{place}: {_listed(plain_path(place))}")
        except (OSError, UnreachableError, ValueError) as error:
            text = getattr(error, "strerror", None) or str(error)
            named = "" if place in text else f"{place}: "
            yield Finding("wrong", "place", f"{named}{text}")


def _listed(place: str) -> str:
    """Return in words what a listing of a place gave.

    Raises:
        OSError: It cannot be listed.
        UnreachableError: It is of no kind that is known.
    """
    if is_remote(place):
        bucket, _ = locate(place)
        bucket.check()
    elif not os.path.isdir(place):
        os.stat(place)
        return "is a file"
    files = sum(1 for _ in itertools.islice(OutputFolder(place).below(""), _COUNTED))
    return f"can be listed, {files}{' or more' if files == _COUNTED else ''} files"
