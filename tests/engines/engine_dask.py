"""A Dask cluster of real processes: a scheduler and workers that can be lost."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping

from emulators import free_port, missing
from engine_jobs import Site, Started, server


class Cluster:
    """A scheduler and its workers.

    Args:
        site: It gets the logs.
        stack: Ends what was started.
        threads: Threads of each worker.
    """

    def __init__(self, site: Site, stack: contextlib.ExitStack, threads: int) -> None:
        self._site = site
        self._stack = stack
        self._threads = threads
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self.scheduler = self._server(
            "scheduler", port, "--port", str(port), "--no-show"
        )
        self.workers: list[subprocess.Popen[bytes]] = []
        self.ports: list[int] = []

    @property
    def started(self) -> Started:
        """How jobs reach it."""
        flags = ("--runner=DaskRunner", f"--dask_client_address={self.address}")
        return Started((*flags, "--shared-filesystem"))

    def add_worker(
        self, environment: Mapping[str, str] | None = None, python: str = sys.executable
    ) -> subprocess.Popen[bytes]:
        """Start another worker, without a nanny that would start it again."""
        port = free_port()
        worker = self._server(
            "worker",
            port,
            self.address,
            "--no-nanny",
            *("--worker-port", str(port)),
            *("--nthreads", str(self._threads)),
            *("--memory-limit", "0"),
            *("--local-directory", str(self._site.folder / f"dask-{port}")),
            environment=environment,
            python=python,
        )
        self.workers.append(worker)
        self.ports.append(port)
        return worker

    def _server(
        self,
        name: str,
        port: int,
        *flags: str,
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> subprocess.Popen[bytes]:
        command = [python, "-W", "ignore", "-m", "distributed.cli.dask_" + name]
        common = ("--host", "127.0.0.1", "--no-dashboard")
        return self._stack.enter_context(
            server(
                [*command, *flags, *common],
                self._site.log(f"dask-{name}"),
                port,
                {"TF_CPP_MIN_LOG_LEVEL": "2", **(environment or {})},
                # Another interpreter must not find our code where it stands.
                cwd=None if python == sys.executable else self._site.folder,
            )
        )


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a process, one that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


@contextlib.contextmanager
def cluster(site: Site, workers: int = 2, threads: int = 1) -> Iterator[Cluster]:
    """Run a cluster for a block."""
    if importlib.util.find_spec("distributed") is None:
        missing("distributed", "run: pip install '.[dask]'")
    with contextlib.ExitStack() as stack:
        started = Cluster(site, stack, threads)
        for _ in range(workers):
            started.add_worker()
        yield started


@contextlib.contextmanager
def dask(site: Site, workers: int = 2, threads: int = 1) -> Iterator[Started]:
    """A scheduler and workers that see our disk."""
    with cluster(site, workers, threads) as started:
        yield started.started
