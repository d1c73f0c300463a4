import os
import pathlib
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest
from workplace import LIBRARY, ROOT, Warm, Workplace

from model.bundle import Bundle

FOLDER = pathlib.Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker("faults")


def pytest_configure(config: pytest.Config) -> None:
    # One for all processes of a run.
    os.environ.setdefault("FAULTS_SEED", str(random.SystemRandom().randrange(10**9)))


def pytest_report_header() -> str:
    return (
        f"FAULTS_SEED={os.environ['FAULTS_SEED']} repeats this run; "
        f"FAULTS={os.environ.get('FAULTS', 'ci')} (ci, or long)"
    )


@pytest.fixture(scope="session")
def library() -> pathlib.Path:
    """The library that makes storage fail, built where it is not yet."""
    if sys.platform != "linux":
        pytest.skip("it stands between a process and the libc of Linux")
    subprocess.run(
        ["make", "--silent", str(LIBRARY.relative_to(ROOT))], cwd=ROOT, check=True
    )
    return LIBRARY


@pytest.fixture(scope="session")
def workplace(
    library: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_bundle: Bundle,
) -> Iterator[Workplace]:
    root = tmp_path_factory.mktemp("faults")
    tiny_bundle.save(root / "bundle")
    warm = Warm(root / "bundle", root)
    yield Workplace(root, warm)
    warm.close()
