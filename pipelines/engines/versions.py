"""The versions that launcher and workers must have in common.

Steps are sent as names of functions and as pickled objects: another version of
stylebeam or Beam would run other code under the same names, and another Python cannot
read what was pickled.
"""

import contextlib
import functools
import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Final

_PACKAGES: Final = ("stylebeam", "apache-beam")

PACKAGES: Final = (*_PACKAGES, "tensorflow", "keras", "numpy", "pillow", "pyarrow")
"""What decides the bytes of the pictures."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of these packages, as `job.json` keeps them."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@functools.cache
def own_versions() -> Mapping[str, str]:
    """Return the versions of this process."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": ".".join(platform.python_version_tuple()[:2]), **versions}


def different_versions(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Return in words what differs, and what to do; empty where nothing does.

    Args:
        ours: Versions of the launcher.
        theirs: Versions of a worker.
    """
    wrong = [
        f"{name} {theirs.get(name, 'none')} where the launcher has {version}"
        for name, version in ours.items()
        if theirs.get(name) != version
    ]
    if not wrong:
        return ""
    return (
        f"{', '.join(wrong)}. Install the same versions there; --setup_file or one "
        "image for both does it."
    )
