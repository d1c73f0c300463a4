"""Whether `model` and `transforms` are ours: their names are everybody's.

A notebook stands in a folder that Python searches first, and a `model.py` in there
would be imported in place of our package. Two modules of one name cannot be in one
process, so this is told before anything is imported.
"""

import importlib.util
import pathlib
import sys
from typing import Final

_OURS: Final = pathlib.Path(__file__).resolve().parents[1]


def check_own_packages() -> None:
    """Check that Python finds our `model` and `transforms`.

    Raises:
        ImportError: It finds another module of that name first.
    """
    for name in ("model", "transforms"):
        try:
            spec = importlib.util.find_spec(name)
            found = spec.origin if spec else None
        except ValueError:  # A module that was made by hand has no spec.
            found = getattr(sys.modules[name], "__file__", None)
        ours = _OURS / name / "__init__.py"
        if found is None or pathlib.Path(found).resolve() != ours:
            raise ImportError(
                f"Python finds `{name}` at {found or 'no file'}, and stylebeam needs "
                f"its own package of that name, {ours.parent}. Rename the other one, "
                "or start Python in another folder, and begin again. "
                "`stylebeam.stylize` works all the same: its job is a process of its "
                "own."
            )
