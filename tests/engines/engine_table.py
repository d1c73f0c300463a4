"""The engines: how each is started for the tests, and with which flags a job uses it.

An engine is a row of `ENGINES`. It is started once a session.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Final

from engine_jobs import JOBS, Site, Started


@dataclasses.dataclass(frozen=True)
class Engine:
    """A row.

    Attributes:
        start: Starts the engine for a block. It fails by `engine_missing` where this
            machine lacks what it needs.
        ci: Jobs that run on it in CI; `ENGINES=all` runs all of them.
    """

    start: Callable[[Site], AbstractContextManager[Started]]
    ci: tuple[str, ...] = tuple(JOBS)


@contextlib.contextmanager
def one_process(_site: Site) -> Iterator[Started]:
    """Beam's in-process engine, once more: two runs give the same bytes."""
    yield Started()


@contextlib.contextmanager
def two_processes(_site: Site) -> Iterator[Started]:
    """Beam's in-process engine with two worker processes."""
    yield Started(("--direct_num_workers=2",))


ENGINES: Final[Mapping[str, Engine]] = {
    "local-1": Engine(one_process),
    "local-2": Engine(two_processes),
}
