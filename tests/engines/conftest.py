import pathlib
from collections.abc import Iterator

import pytest
from engine_jobs import JOBS, Site, Started
from engine_table import ENGINES

from model.bundle import Bundle

FOLDER = pathlib.Path(__file__).parent

# What each engine made of each job, for the table at the end.
RESULTS = pytest.StashKey[dict[tuple[str, str], str]]()


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


@pytest.fixture(scope="session")
def results(pytestconfig: pytest.Config) -> dict[tuple[str, str], str]:
    """What each engine made of each job, for the table at the end."""
    return pytestconfig.stash.setdefault(RESULTS, {})


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    found = config.stash.get(RESULTS, {})
    if not found:
        return
    terminalreporter.section("engines: seconds, and whether the trees are equal")
    terminalreporter.write_line(f"{'':22}" + "".join(f"{job:>16}" for job in JOBS))
    for name in dict.fromkeys(engine for engine, _ in found):
        cells = (found.get((name, job), "") for job in JOBS)
        terminalreporter.write_line(f"{name:22}" + "".join(f"{c:>16}" for c in cells))
