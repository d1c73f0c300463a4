"""The jobs that every engine runs, their inputs drawn by code, and what they left.

`JOBS` are the command lines. A `Site` is a folder with the inputs and the outputs of
all engines; it runs a job on an engine and compares trees.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from compare_outputs import differences, draw_labelled, paint, tree

from model.bundle import Bundle

ROOT: Final = pathlib.Path(__file__).resolve().parents[2]

# No job of this folder needs longer; a longer one hangs.
LIMIT: Final = 150.0

# `{inputs}` and `{bundle}` are where an engine finds them, `{output}` where it writes.
JOBS: Final[Mapping[str, str]] = {
    "ingest": "ingest --input {inputs}/contents {inputs}/styles --output {output} "
    "--name tiny --size 48 --shards 2 --val-fraction 0.4",
    "stylize-grid": "stylize --content {inputs}/contents --style {inputs}/styles "
    "--output {output} --bundle {bundle} --alpha 0.5,1",
    "stylize-sample": "stylize --content {inputs}/contents --style {inputs}/styles "
    "--output {output} --bundle {bundle} --pairing sample --styles-per-content 1",
    "stylize-labelled": "stylize --content {inputs}/labelled.tar --style "
    "{inputs}/styles --output {output} --bundle {bundle} --output-format tfrecord",
    "visualize": "visualize --input {inputs}/contents --output {output} --size 48 "
    "--layers block1_conv1,block2_conv1 --channels top:2 --gradient-channels top:1",
    "optimize": "optimize --content {inputs}/contents/a.png --style {inputs}/styles "
    "--output {output} --size 48 --steps 2",
}

# Longer ones, for workers that are killed in the middle of them.
LONG_JOBS: Final[Mapping[str, str]] = {
    "ingest-many": "ingest --input {inputs}/many {inputs}/styles --output {output} "
    "--name many --size 48 --shards 4 --val-fraction 0.4",
    "stylize-many": "stylize --content {inputs}/many --style {inputs}/styles "
    "--output {output} --bundle {bundle} --alpha 0.2,0.4,0.6,0.8,1",
}


def everything() -> bool:
    """Return whether the full matrix was asked for; CI runs a part of it."""
    return os.environ.get("ENGINES", "ci") == "all"


def draw_inputs(folder: pathlib.Path) -> None:
    """Draw contents and styles of 48 × 48 px, many for long jobs, and labelled ones."""
    for role, count in (("contents", 2), ("styles", 2), ("many", 16)):
        (folder / role).mkdir(parents=True)
        for index in range(count):
            name = f"{chr(ord('a') + index)}.png"
            seed = len(role) * 100 + index
            paint(48, 48, seed=seed).save(folder / role / name)
    draw_labelled(folder / "labelled.tar")


def copy_tree(source: pathlib.Path, target: str) -> None:
    """Nothing is copied: an engine of this machine sees the site's own folder."""
    raise ValueError(f"{source} is not to be copied to {target}")


def same_place(output: str, _folder: pathlib.Path) -> pathlib.Path:
    """Return a local output, which is where it was written."""
    return pathlib.Path(output)


@dataclasses.dataclass(frozen=True)
class Started:
    """An engine that runs.

    Attributes:
        flags: What follows the command line of a job.
        environment: Variables of the launcher.
        root: A URL below which the inputs are put and the outputs written; None where
            the engine sees the disk of this machine.
        put: Copies a local folder to a URL; only where there is a `root`.
        fetch: Copies an output to a local folder that does not exist yet, and returns
            where its tree is.
    """

    flags: Sequence[str] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    root: str | None = None
    put: Callable[[pathlib.Path, str], None] = copy_tree
    fetch: Callable[[str, pathlib.Path], pathlib.Path] = same_place


@dataclasses.dataclass(frozen=True)
class Ended:
    """A run that came to its end, whatever that was.

    Attributes:
        status: As `subprocess` tells it: negative for a signal.
        said: What it wrote to stdout and stderr.
        seconds: How long it took.
        hung: Whether it had to be killed at its time limit.
    """

    status: int
    said: str
    seconds: float
    hung: bool

    def about(self) -> str:
        """Return what a failed test says of it."""
        hung = ", hung" if self.hung else ""
        return (
            f"status {self.status} in {self.seconds:.1f} s{hung}\n{self.said[-6000:]}"
        )


class Running:
    """A run that goes on.

    Args:
        launcher: The process that has it as its child.
        log: What it says.
        process: Its id.
    """

    def __init__(
        self, launcher: subprocess.Popen[str], log: pathlib.Path, process: int
    ) -> None:
        self._launcher = launcher
        self._log = log
        self._ended: Ended | None = None
        self.process = process

    def said(self) -> str:
        """Return what it said so far."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def lives(self) -> bool:
        """Return whether it has not ended yet."""
        return pathlib.Path(f"/proc/{self.process}").exists()

    def wait(self) -> Ended:
        """Wait until it ends, or is killed at its limit."""
        if self._ended is None:
            answer = json.loads(self._launcher.stdout.readline())
            self._ended = Ended(said=self.said(), **answer)
        return self._ended

    def kill(self) -> None:
        """End it, whatever it is doing; one that ended already stays as it is."""
        if self._ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process, signal.SIGKILL)
            self.wait()


class Site:
    """A folder with inputs, outputs and logs, and a process that runs commands.

    Args:
        folder: It is empty.
        bundle: A small network.
    """

    def __init__(self, folder: pathlib.Path, bundle: Bundle) -> None:
        self.folder = folder
        draw_inputs(folder / "inputs")
        bundle.save(folder / "bundle")
        (folder / "logs").mkdir()
        self._trees: dict[str, dict[str, str]] = {}
        self._running: Running | None = None
        self._launcher = subprocess.Popen(
            [
                sys.executable,
                str(pathlib.Path(__file__).with_name("engine_launcher.py")),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        if self._launcher.stdout.readline() != "ready\n":
            raise RuntimeError("the launcher did not begin")

    def close(self) -> None:
        """End the process that runs commands."""
        if self._running is not None:
            self._running.kill()
        self._launcher.stdin.close()
        self._launcher.wait(10)
        self._launcher.stdout.close()

    def log(self, name: str) -> pathlib.Path:
        """Return a new file for what a program says."""
        return self.folder / "logs" / f"{name}-{time.monotonic_ns()}.log"

    def argv(self, job: str, engine: Started, output: str, *flags: str) -> list[str]:
        """Return the command line of a job on an engine."""
        root = engine.root or str(self.folder)
        words = {**JOBS, **LONG_JOBS}[job].split()
        places = {
            "inputs": f"{root}/inputs",
            "bundle": f"{root}/bundle",
            "output": output,
        }
        return [*(word.format(**places) for word in words), *flags, *engine.flags]

    def begin(
        self, argv: Sequence[str], engine: Started, *, limit: float = LIMIT
    ) -> Running:
        """Begin a command. One at a time: that of a test that failed is ended."""
        if self._running is not None:
            self._running.kill()
        log = self.log(argv[0])
        request = {
            "argv": list(argv),
            "cwd": str(self.folder),
            "log": str(log),
            "environment": dict(engine.environment),
            "limit": limit,
        }
        self._launcher.stdin.write(json.dumps(request) + "\n")
        self._launcher.stdin.flush()
        process = json.loads(self._launcher.stdout.readline())["process"]
        self._running = Running(self._launcher, log, process)
        return self._running

    def run(
        self, argv: Sequence[str], engine: Started, *, limit: float = LIMIT
    ) -> Ended:
        """Run a command to its end."""
        return self.begin(argv, engine, limit=limit).wait()

    def output(self, engine: Started, name: str, job: str) -> str:
        """Return where a job writes on an engine."""
        return f"{engine.root or self.folder}/{name}/{job}"

    def tree(self, engine: Started, output: str) -> dict[str, str]:
        """Return the sha256 of each file of an output, less what names the run."""
        folder = self.folder / "fetched" / str(time.monotonic_ns())
        return self.tree_of(engine.fetch(output, folder))

    @staticmethod
    def tree_of(folder: pathlib.Path) -> dict[str, str]:
        """Return the sha256 of each file of an output on this disk."""
        found = tree(folder, ".")
        return {name: digest for name, digest in found.items() if name != ".lock"}

    def expected(self, job: str) -> dict[str, str]:
        """Return the tree of one process of this machine; it is made once."""
        if job not in self._trees:
            local = Started()
            output = self.output(local, "expected", job)
            ended = self.run(self.argv(job, local, output), local)
            if ended.status:
                raise RuntimeError(f"{job} in one process: {ended.about()}")
            self._trees[job] = self.tree(local, output)
        return self._trees[job]

    def wrong(self, job: str, engine: Started, output: str) -> list[str]:
        """Return how an output differs from that of one process."""
        return differences(self.expected(job), self.tree(engine, output))


def answers(port: int) -> bool:
    """Return whether somebody listens at a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def server(
    command: Sequence[str],
    log: pathlib.Path,
    port: int,
    environment: Mapping[str, str] | None = None,
    seconds: float = 60,
    cwd: pathlib.Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for a block, in a process group of its own.

    Args:
        command: Its command line.
        log: Gets what it says.
        port: It is ready when it listens there.
        environment: Variables beside those of this process.
        seconds: How long it may take to get ready.
        cwd: Where it runs; Python finds what is there.
    """
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            start_new_session=True,
        )
    try:
        until = time.monotonic() + seconds
        while not answers(port):
            if process.poll() is not None or time.monotonic() > until:
                text = log.read_text("utf-8", "replace")[-3000:]
                raise RuntimeError(f"{' '.join(command)}: not ready\n{text}")
            time.sleep(0.05)
        yield process
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    timer = threading.Timer(5, process.kill)
    timer.start()
    process.wait()
    timer.cancel()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
