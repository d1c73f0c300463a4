"""The engines: how each is started for the tests, and with which flags a job uses it.

An engine is a row of `ENGINES`. It is started once a session, its servers listen on
127.0.0.1, and it ends with the session.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
import site as python_site
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final

from emulators import free_port, missing
from engine_dask import dask
from engine_jobs import (
    JOBS,
    ROOT,
    Site,
    Started,
    everything,
    server,
)

PRISM: Final = ROOT / "build" / "bin" / "prism"
BOOT: Final = ROOT / "infra" / "worker" / "boot.py"


@dataclasses.dataclass(frozen=True)
class Engine:
    """A row.

    Attributes:
        start: Starts the engine for a block. Calls `missing` where this machine lacks
            what it needs.
        ci: Jobs that run on it in CI; `ENGINES=all` runs all of them.
    """

    start: Callable[[Site], AbstractContextManager[Started]]
    ci: tuple[str, ...] = tuple(job for job in JOBS if job != "stylize-labelled")


def prism() -> pathlib.Path:
    """Return the program prism."""
    if not PRISM.exists():
        missing("prism", "run: make prism")
    return PRISM


@contextlib.contextmanager
def one_process(_site: Site) -> Iterator[Started]:
    """Beam's in-process engine, once more: two runs give the same bytes."""
    yield Started()


@contextlib.contextmanager
def two_processes(_site: Site) -> Iterator[Started]:
    """Beam's in-process engine with two worker processes."""
    yield Started(("--direct_num_workers=2",))


@contextlib.contextmanager
def job_service(site: Site) -> Iterator[str]:
    """Beam's own job service, in Python; its address."""
    port = free_port()
    command = [sys.executable, "-m"]
    command += ["apache_beam.runners.portability.local_job_service_main"]
    command += ["--port", str(port)]
    with server(command, site.log("job-service"), port):
        yield f"localhost:{port}"


@contextlib.contextmanager
def prism_service(site: Site) -> Iterator[str]:
    """A prism that runs; its address."""
    port = free_port()
    command = [str(prism()), "--job_port", str(port), "--serve_http=false"]
    with server(command, site.log("prism"), port):
        yield f"localhost:{port}"


@contextlib.contextmanager
def worker_pool(
    site: Site,
    *flags: str,
    python: str = sys.executable,
    programs: pathlib.Path | None = None,
    path: str = str(ROOT),
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Beam's worker pool; its address and process.

    Args:
        site: It gets the log.
        flags: Flags of the pool.
        python: Interpreter of the pool.
        programs: Folder of the `python` of its workers; that of its own if None.
        path: Their PYTHONPATH.
    """
    port = free_port()
    command = [python, "-m", "apache_beam.runners.worker.worker_pool_main"]
    command += [f"--service_port={port}", *flags]
    # It starts plain `python`.
    first = programs or pathlib.Path(python).parent
    search = f"{first}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": search, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"}
    with server(command, site.log("worker-pool"), port, environment) as process:
        yield f"localhost:{port}", process


@contextlib.contextmanager
def loopback(
    service: Callable[[Site], AbstractContextManager[str]], site: Site
) -> Iterator[Started]:
    """A job service that runs, its workers in the launcher."""
    with service(site) as address:
        yield Started(
            (
                "--runner=PortableRunner",
                f"--job_endpoint={address}",
                "--environment_type=LOOPBACK",
            )
        )


@contextlib.contextmanager
def external(
    service: Callable[[Site], AbstractContextManager[str]], site: Site
) -> Iterator[Started]:
    """A job service and a worker pool, which has stylebeam."""
    with service(site) as address, worker_pool(site) as (workers, _):
        yield Started(external_flags(address, workers))


def external_flags(service: str, workers: str) -> Sequence[str]:
    """Return the flags for a job service and a worker pool that see our disk."""
    return (
        "--runner=PortableRunner",
        f"--job_endpoint={service}",
        "--environment_type=EXTERNAL",
        f"--environment_config={workers}",
        "--shared-filesystem",
    )


@contextlib.contextmanager
def staged(site: Site) -> Iterator[Started]:
    """A worker pool without stylebeam: `boot.py` installs what the launcher staged."""
    python = python_without_stylebeam(site.folder / "bare")
    pool = worker_pool(
        site, f"--container_executable={BOOT}", python=str(python), path=""
    )
    with job_service(site) as address, pool as (workers, _):
        flags = external_flags(address, workers)
        yield Started((*flags, f"--extra_package={sdist(site.folder / 'dist')}"))


@contextlib.contextmanager
def prism_runner(_site: Site) -> Iterator[Started]:
    """A prism for each job, which the launcher starts."""
    yield Started(("--runner=PrismRunner", f"--prism_location={prism()}"))


@contextlib.contextmanager
def dataflow(site: Site) -> Iterator[Started]:
    """A Dataflow of this machine, with our image, on an emulator of its storage."""
    import dataflow_engine  # late: it imports this module

    with dataflow_engine.image_engine(site) as started:
        yield started


def python_without_stylebeam(folder: pathlib.Path) -> pathlib.Path:
    """Return an interpreter that has all packages of this one except stylebeam."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Only the folder, not what files in it add to the path, such as our checkout.
    paths = "\n".join(python_site.getsitepackages())
    (packages / "others.pth").write_text(paths + "\n")
    python = folder / "bin" / "python"
    found = subprocess.run(
        [python, "-c", "import pipelines"],
        env={**os.environ, "PYTHONPATH": ""},
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if not found.returncode:
        raise RuntimeError(f"{python} has stylebeam")
    return python


def sdist(folder: pathlib.Path) -> pathlib.Path:
    """Return a source distribution of the checkout, as --setup_file makes it."""
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation"]
    subprocess.run(
        [*command, "--outdir", str(folder), str(ROOT)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (found,) = folder.glob("*.tar.gz")
    return found


ENGINES: Final[Mapping[str, Engine]] = {
    "local-1": Engine(one_process),
    # A process that imports TensorFlow for each job takes most of the time.
    "local-2": Engine(two_processes, ci=("stylize-grid", "ingest")),
    "portable-loopback": Engine(
        functools.partial(loopback, job_service), ci=tuple(JOBS)
    ),
    "portable-external": Engine(
        functools.partial(external, job_service),
        ci=("ingest", "stylize-grid", "optimize"),
    ),
    "portable-staged": Engine(staged, ci=("stylize-grid", "visualize")),
    "prism": Engine(prism_runner),
    "prism-loopback": Engine(functools.partial(loopback, prism_service)),
    "prism-external": Engine(
        functools.partial(external, prism_service), ci=("ingest", "stylize-sample")
    ),
    "dask": Engine(dask),
    "dask-threads": Engine(
        functools.partial(dask, workers=1, threads=2), ci=("stylize-grid", "ingest")
    ),
    # In CI the tests of test_dataflow.py run its jobs.
    **({"dataflow": Engine(dataflow)} if everything() else {}),
}
