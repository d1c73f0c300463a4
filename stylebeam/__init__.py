"""stylebeam in a notebook: pictures in the style of paintings, in a few lines.

    import stylebeam

    done = stylebeam.stylize("photos", "paintings", "grid")  # a job: all with all
    done.counts, done.place

    stylizer = stylebeam.Stylizer()  # one picture, in memory
    stylizer("photos/cat.jpg", "paintings/waves.png", alpha=0.5)

    stylebeam.look("photos/cat.jpg", "block4_conv1")  # what VGG sees
    stylebeam.optimize("photos/cat.jpg", "paintings/waves.png", steps=50).picture

This package is thin: it names what `pipelines`, `transforms` and `model` do, and adds
nothing of its own. A name is loaded when it is asked for, so `import stylebeam` alone
imports nothing heavy. It may import all three; none of them imports it.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from stylebeam.own_packages import check_own_packages

if TYPE_CHECKING:
    from stylebeam.jobs import JobError, Output, stylize
    from stylebeam.looking import Look, look
    from stylebeam.optimizing import Optimized, optimize
    from stylebeam.stylizing import Stylizer

__all__ = [
    "JobError",
    "Look",
    "Optimized",
    "Output",
    "Stylizer",
    "look",
    "optimize",
    "stylize",
]

_NAMES: Final[Mapping[str, str]] = {
    "stylebeam.jobs": "JobError Output stylize",
    "stylebeam.looking": "Look look",
    "stylebeam.optimizing": "Optimized optimize",
    "stylebeam.stylizing": "Stylizer",
}
# It imports none of our packages, so nothing can be in its way.
_IN_A_PROCESS_OF_ITS_OWN: Final = "stylebeam.jobs"
_HOMES: Final = {name: home for home, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Return a public name, loading the module that it lives in (PEP 562).

    Raises:
        AttributeError: There is no such name.
        ImportError: A file of the notebook has the name of a package of ours.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name] != _IN_A_PROCESS_OF_ITS_OWN:
        check_own_packages()
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the names in here and those that are loaded when asked for."""
    return sorted({*globals(), *__all__})
