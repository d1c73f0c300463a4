"""Small inputs, a tiny network, the commands on them, and what a run left.

Everything that the tests of this folder run is here by name: `WORKS`.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import unittest.mock
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pytest
from compare_outputs import differences, draw_inputs, draw_labelled, tree

ROOT: Final = pathlib.Path(__file__).resolve().parents[2]
LIBRARY: Final = ROOT / "build" / "faults.so"

SECRET: Final = "planted-7f3a9c"

# No test of this folder needs longer for one command; a longer one hangs.
LIMIT: Final = 180.0

WIDTHS: Final = (4, 6, 8, 8, 8)


@dataclasses.dataclass(frozen=True)
class Work:
    """A command on the small inputs.

    Attributes:
        argv: The command line, its paths relative to the folder of the work.
        output: What it writes, a folder.
        needs: Works whose outputs it reads.
    """

    argv: str
    output: str
    needs: tuple[str, ...] = ()


WORKS: Final[Mapping[str, Work]] = {
    "ingest": Work(
        "ingest --input inputs/contents --output ingest --name contents --size 48 "
        "--shards 2 --val-fraction 0.4",
        "ingest",
    ),
    "train": Work(
        "train --content ingest --style ingest --workdir train --init default "
        "--steps 4 --batch-size 2 --crop 32 --checkpoint-every 2 --eval-every 2",
        "train",
        needs=("ingest",),
    ),
    "export": Work(
        "export --workdir train --output export", "export", needs=("ingest", "train")
    ),
    "import-weights": Work(
        "import-weights --encoder inputs/encoder.safetensors --decoder "
        "inputs/decoder.safetensors --output imported --license none",
        "imported",
    ),
    "evaluate": Work(
        "evaluate --content inputs/contents --style inputs/styles --output evaluate "
        "--size 32",
        "evaluate",
    ),
    "stylize": Work(
        "stylize --content inputs/contents --style inputs/styles --output stylize "
        "--alpha 0.5,1",
        "stylize",
    ),
    "webdataset": Work(
        "stylize --content inputs/contents --style inputs/styles --output webdataset "
        "--output-format webdataset",
        "webdataset",
    ),
    "tfrecord": Work(
        "stylize --content inputs/labelled.tar --style inputs/styles --output tfrecord "
        "--output-format tfrecord",
        "tfrecord",
    ),
    "parquet": Work(
        "stylize --content inputs/labelled.tar --style inputs/styles --output parquet "
        "--output-format parquet",
        "parquet",
    ),
    "optimize": Work(
        "optimize --content inputs/contents/a.png --style inputs/styles --output "
        "optimize --size 32 --steps 2 --sweep inputs/sweep.toml",
        "optimize",
    ),
    "visualize": Work(
        "visualize --input inputs/contents --output visualize --layers block1_conv1 "
        "--channels top:2 --gradient-channels top:1 --size 32",
        "visualize",
    ),
}

# Ways of `stylize` to write what it is tried with elsewhere: a case each is enough.
MORE: Final = frozenset({"tfrecord", "parquet"})


@dataclasses.dataclass(frozen=True)
class Ended:
    """A run that came to its end, whatever that was.

    Attributes:
        status: As `subprocess` tells it: negative for a signal.
        said: What it wrote to stdout and stderr.
        seconds: How long it took.
        hung: Whether it had to be killed at its time limit.
        calls: How often each function of ours returned, where that was asked for.
        storage: How often each operation on files was called.
        met: How many calls met a fault.
    """

    status: int
    said: str
    seconds: float
    hung: bool
    calls: Mapping[str, int]
    storage: Mapping[str, int]
    met: int

    def about(self) -> str:
        """Return what a failed test says of it."""
        return f"status {self.status} in {self.seconds:.1f} s\n{self.said[-3000:]}"


class Warm:
    """The process of `warm.py`.

    Args:
        bundle: Folder of the tiny bundle.
        folder: For its logs.
    """

    def __init__(self, bundle: pathlib.Path, folder: pathlib.Path) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
            "LD_PRELOAD": str(LIBRARY),
            "FAULTS_BUNDLE": str(bundle),
            # What is in no output.
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "HF_TOKEN": SECRET,
            # Arrow's own reserves a gigabyte of addresses, which tests limit.
            "ARROW_DEFAULT_MEMORY_POOL": "system",
        }
        self._folder = folder
        self._process = subprocess.Popen(
            [
                sys.executable,
                str(pathlib.Path(__file__).with_name("warm.py")),
                str(bundle),
                ",".join(map(str, WIDTHS)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the warm process did not begin")

    def run(
        self,
        argv: str | Sequence[str],
        cwd: pathlib.Path,
        limit: float = LIMIT,
        **request: Any,
    ) -> Ended:
        """Run a command line in a folder; `warm.run_child` says what can be asked."""
        log, report = (self._folder / f"{uuid.uuid4().hex}.{kind}" for kind in "lr")
        whole = {
            "argv": argv.split() if isinstance(argv, str) else list(argv),
            "cwd": str(cwd),
            "limit": limit,
            "log": str(log),
            "report": str(report),
            **request,
        }
        self._process.stdin.write(json.dumps(whole) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        found = {"calls": {}, "storage": {}, "met": 0}
        if report.exists():
            found = json.loads(report.read_text())
            report.unlink()
        said = log.read_text(errors="replace")
        log.unlink()
        return Ended(said=said, **answer, **found)

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


class Workplace:
    """Folders in which works run, and what unbroken runs of them left.

    Args:
        root: A folder.
        warm: Runs the commands.
    """

    def __init__(self, root: pathlib.Path, warm: Warm) -> None:
        self.root = root
        self.warm = warm
        self.whole_folder = root / "whole"
        self._whole: dict[str, Ended] = {}
        self._trees: dict[str, dict[str, str]] = {}
        draw_inputs(self.whole_folder / "inputs", contents=3, styles=2)
        draw_labelled(self.whole_folder / "inputs/labelled.tar")
        # What fails in every run is another matter than what fails for a fault.
        (self.whole_folder / "inputs/contents/broken.jpg").unlink()
        (self.whole_folder / "inputs/sweep.toml").write_text(
            "[sweep]\nstyle-weight = [100, 1000]\n"
        )

    def whole(self, name: str) -> Ended:
        """Return how an unbroken run of a work ended; it is made once."""
        if name not in self._whole:
            work = WORKS[name]
            if name == "import-weights":
                write_published_weights(self.whole_folder / "inputs")
            for need in work.needs:
                self.whole(need)
            ended = self.warm.run(work.argv, self.whole_folder, record=True)
            if ended.status:
                raise RuntimeError(f"{work.argv}: {ended.about()}")
            self._whole[name] = ended
            self._trees[name] = tree(self.whole_folder, work.output)
        return self._whole[name]

    def fresh(self, name: str, *, output: bool = False) -> pathlib.Path:
        """Return a new folder for a work, with what it reads.

        Args:
            name: Name of the work.
            output: Whether what the unbroken run left is there too.
        """
        self.whole(name)
        folder = self.root / uuid.uuid4().hex[:8]
        wanted = ["inputs", *(WORKS[need].output for need in WORKS[name].needs)]
        if output:
            wanted.append(WORKS[name].output)
        for part in wanted:
            shutil.copytree(self.whole_folder / part, folder / part)
        return folder

    def run(self, name: str, folder: pathlib.Path, **request: Any) -> Ended:
        """Run a work in a folder."""
        return self.warm.run(WORKS[name].argv, folder, **request)

    def wrong(self, name: str, folder: pathlib.Path) -> list[str]:
        """Return how the output in a folder differs from that of an unbroken run."""
        return differences(self._trees[name], tree(folder, WORKS[name].output))

    def completes(self, name: str, folder: pathlib.Path) -> list[str]:
        """Run a work again, undisturbed; return what is wrong, and remove the folder.

        Nothing is wrong where it ends with 0 and leaves the tree of an unbroken run.
        """
        again = self.run(name, folder)
        problems = []
        if again.status or again.hung:
            problems = [f"the run after it: {again.about()}"]
        problems += self.wrong(name, folder)
        if not problems:
            shutil.rmtree(folder)
        return problems


def problems_of(ended: Ended) -> list[str]:
    """Return what is wrong with how a disturbed run ended, besides what it left.

    It may complete, or end with one of our exit codes and a sentence. It may not hang,
    die of a signal, or show a traceback.
    """
    problems = []
    if ended.hung:
        problems.append(f"it hung for {ended.seconds:.0f} s")
    elif ended.status not in (0, 1, 2):
        problems.append(f"it ended with {ended.status}")
    if "Traceback (most recent call last)" in ended.said:
        last = [line for line in ended.said.splitlines() if line.strip()][-1]
        problems.append(f"it ended in a traceback: {last[:300]}")
    if ended.status and not ended.said.strip():
        problems.append("it failed without a word")
    return problems


def report(wrong: Mapping[str, Sequence[str]]) -> None:
    """Fail where something went wrong, and say all of it."""
    if wrong:
        lines = [f"FOUND {case}: {'; '.join(why)}" for case, why in wrong.items()]
        pytest.fail("\n".join(lines), pytrace=False)


def pick(seed: int, *about: object) -> int:
    """Return a number of 64 bits that follows from a seed and what it is for."""
    text = "/".join(map(str, (seed, *about)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def chosen(seed: int, options: Sequence[Any], *about: object) -> Any:
    """Return one of some options, by a seed and what it is for."""
    return options[pick(seed, *about) % len(options)]


def each_below(folder: pathlib.Path, keep: Callable[[str], bool]) -> list[str]:
    """Return the names of the files below a folder that a rule keeps, sorted."""
    names = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return sorted(filter(keep, names))


def write_published_weights(folder: pathlib.Path) -> None:
    """Write two files as pytorch-AdaIN publishes them, of small random numbers."""
    from model.networks import vgg
    from model.networks.decoder import mirror_layers

    with unittest.mock.patch.object(vgg, "_CHANNELS", WIDTHS):
        layers = vgg.layers_to(vgg.vgg_layers("vgg19"), "block4_conv1")
    encoder = [(1, 3, 3)] + [(3, s.in_channels, s.out_channels) for s in layers]
    decoder = [(3, s.in_channels, s.out_channels) for s in mirror_layers(layers)]
    numbers = {
        "encoder": [0, 2, 5, 9, 12, 16, 19, 22, 25, 29],
        "decoder": [1, 5, 8, 11, 14, 18, 21, 25, 28],
    }
    for name, shapes in (("encoder", encoder), ("decoder", decoder)):
        rng = np.random.default_rng(len(shapes))
        header: dict[str, Any] = {}
        body = b""
        for index, (side, taken, given) in zip(numbers[name], shapes, strict=True):
            for part, shape in (
                ("weight", (given, taken, side, side)),
                ("bias", (given,)),
            ):
                data = rng.normal(0, 0.05, shape).astype(np.float16).tobytes()
                header[f"{index}.{part}"] = {
                    "dtype": "F16",
                    "shape": shape,
                    "data_offsets": [len(body), len(body) + len(data)],
                }
                body += data
        text = json.dumps(header).encode()
        file = folder / f"{name}.safetensors"
        file.write_bytes(struct.pack("<Q", len(text)) + text + body)
