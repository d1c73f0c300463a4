import pathlib
from collections.abc import Callable, Iterator

import pytest
from engine_jobs import JOBS, LONG_JOBS, Site, Started
from engine_table import ENGINES

from model.bundle import Bundle

FOLDER = pathlib.Path(__file__).parent

# The name of what a test records for the tables at the end.
CELL = "engine, job, outcome"


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker("engines")


@pytest.fixture(scope="session")
def site(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle
) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("engines"), tiny_bundle)
    yield site
    site.close()


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, site: Site) -> Iterator[tuple[str, Started]]:
    """Each engine in turn, started once: its name, and how jobs reach it."""
    with ENGINES[request.param].start(site) as started:
        if started.root is not None:
            started.put(site.folder / "inputs", f"{started.root}/inputs")
            started.put(site.folder / "bundle", f"{started.root}/bundle")
        yield request.param, started


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Return a function that tells the tables at the end what came of a test."""

    def tell(engine: str, job: str, outcome: str) -> None:
        record_property(CELL, [engine, job, outcome])

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found: dict[tuple[str, str], str] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == CELL:
                    found[value[0], value[1]] = value[2]
    if not found:
        return
    terminalreporter.section("engines: seconds, and whether the trees are equal")
    jobs = [job for job in (*JOBS, *LONG_JOBS) if any(job == j for _, j in found)]
    terminalreporter.write_line(f"{'':22}" + "".join(f"{job:>16}" for job in jobs))
    for name in sorted({engine for engine, _ in found}):
        cells = (found.get((name, job), "") for job in jobs)
        terminalreporter.write_line(f"{name:22}" + "".join(f"{c:>16}" for c in cells))
