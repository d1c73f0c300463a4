"""Compares what two revisions write: the same command lines, the same bytes.

    python tests/compare_outputs.py c3ce6c4 HEAD
    python tests/compare_outputs.py c3ce6c4 HEAD --only stylize tree --keep /tmp/trees

Each revision gets a git worktree and a folder of its own, in which it draws the same
small pictures and runs the same commands with relative paths. The trees are compared
file by file by sha256. What differs by nature is in `MASKS`, with the reason. Prints
the names that differ; the exit status is 1 where there are any.
"""

import argparse
import contextlib
import dataclasses
import fnmatch
import hashlib
import html.parser
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from PIL import Image

ROOT: Final = pathlib.Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Run:
    """Some command lines that belong together.

    Attributes:
        commands: Each an argument list; `stylebeam` is that of the worktree.
        needs: Runs whose outputs it reads.
        outputs: The folders that it writes; named like the run where not given.
    """

    commands: tuple[str, ...]
    needs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


_STYLIZE: Final = (
    "stylebeam stylize --content inputs/contents --style inputs/styles "
    "--max-failure-rate 0.5"
)

RUNS: Final[Mapping[str, Run]] = {
    "demo": Run(("stylebeam demo --output demo",)),
    "ingest": Run(
        (
            "stylebeam ingest --input inputs/contents --output ingest/contents "
            "--name contents --size 64 --shards 3 --val-fraction 0.3 "
            "--max-failure-rate 0.5",
            "stylebeam ingest --input inputs/styles --output ingest/styles "
            "--name styles --size 64 --shards 2 --val-fraction 0.4 --encode png",
        )
    ),
    "train": Run(
        (
            "stylebeam train --content ingest/contents --style ingest/styles "
            "--workdir train --init PRETRAINED --steps 20 --batch-size 2 --crop 32 "
            "--checkpoint-every 10 --eval-every 10",
        ),
        needs=("ingest",),
    ),
    "export": Run(
        (
            "stylebeam export --workdir train --output export/bundle",
            "stylebeam export --workdir train --output export/saved "
            "--format savedmodel",
            "stylebeam export --workdir train --output export/decoder.weights.h5 "
            "--format weights-h5",
        ),
        needs=("train",),
    ),
    "evaluate": Run(
        (
            "stylebeam evaluate --content inputs/contents --style inputs/styles "
            "--output evaluate --size 64 --max-failure-rate 0.5",
        )
    ),
    "stylize": Run((f"{_STYLIZE} --output stylize --alpha 0.5,1 --metrics",)),
    "tree": Run(
        (
            f"{_STYLIZE} --output tree --pairing sample --styles-per-content 2 "
            "--layout tree",
        )
    ),
    "webdataset": Run((f"{_STYLIZE} --output webdataset --output-format webdataset",)),
    "visualize": Run(
        (
            "stylebeam visualize --input inputs/contents --output visualize "
            "--layers block1_conv1,block2_conv1 --channels top:3 "
            "--gradient-channels top:1 --size 64 --raw --max-failure-rate 0.5",
        )
    ),
    "optimize": Run(
        (
            "stylebeam optimize --content inputs/contents/a.png "
            "inputs/contents/broken.jpg --style inputs/styles --output optimize "
            "--size 64 --steps 4 --snapshots 2 --sweep inputs/sweep.toml "
            "--max-failure-rate 0.5",
        )
    ),
}


def _dropped(_data: bytes) -> None:
    return None


def _without_seconds(data: bytes) -> bytes:
    rows = [json.loads(line) for line in data.splitlines()]
    timed = "crc32c", "input_seconds", "seconds"
    kept = [{k: v for k, v in row.items() if k not in timed} for row in rows]
    return json.dumps(kept).encode()


# Which files differ by nature, why, and what is compared of them.
MASKS: Final[Sequence[tuple[str, str, Callable[[bytes], bytes | None]]]] = (
    ("*job.json", "the time, the machine and the versions of a run", _dropped),
    ("*metrics.jsonl", "seconds of a step", _without_seconds),
    ("*logs/events.out.tfevents.*", "the time and the host of a training", _dropped),
    ("*checkpoints/checkpoint", "the times of the checkpoints", _dropped),
    ("*/fingerprint.pb", "a fingerprint of a graph with random names", _dropped),
)


class _Facts(html.parser.HTMLParser):
    """What a page tells: the cells of its tables, and the pictures it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "td":
            self._cell = []
        if tag == "img":
            self.found += [f"picture {value}" for name, value in attrs if name == "src"]

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "td" and self._cell is not None:
            self.found.append(" ".join("".join(self._cell).split()))
            self._cell = None


def _leaves(value: Any) -> Iterator[str]:
    """Yield the texts and the fractions of page data, whatever they are called."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name != "fields":  # Names of columns, which once were positions.
                yield from _leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    elif value and isinstance(value, str | float):
        yield str(value)


def page_facts(name: str, data: bytes) -> bytes:
    """Return the rows and the pictures of a page, in an order of their own."""
    text = data.decode()
    if name.endswith(".js"):
        arguments = text[text.index("(") + 1 : text.rindex(")")]
        facts = list(_leaves(json.loads(f"[{arguments}]")))
    else:
        parser = _Facts()
        parser.feed(text)
        facts = parser.found
    return "\n".join(sorted(facts)).encode()


def comparable(name: str, data: bytes, pages: str = "bytes") -> bytes | None:
    """Return what is compared of a file; None where nothing is.

    Args:
        name: Name of the file, relative to the folder of the runs.
        data: Its bytes.
        pages: `bytes`, or `rows`: of pages only their rows and pictures, between two
            revisions whose pages look different.
    """
    if pages == "rows" and pathlib.PurePosixPath(name).suffix in (".html", ".js"):
        return page_facts(name, data)
    for pattern, _reason, mask in MASKS:
        if fnmatch.fnmatch(name, pattern):
            return mask(data)
    return data


def tree(folder: pathlib.Path, *names: str, pages: str = "bytes") -> dict[str, str]:
    """Return the sha256 of what is compared of each file in some folders.

    Args:
        folder: Folder of the runs; the paths are relative to it.
        names: Names of folders inside it.
        pages: How pages are compared, as in `comparable`.
    """
    found = {}
    for name in names:
        for path in sorted((folder / name).rglob("*")):
            if path.is_file():
                relative = path.relative_to(folder).as_posix()
                kept = comparable(relative, path.read_bytes(), pages)
                found[relative] = (
                    "masked" if kept is None else hashlib.sha256(kept).hexdigest()
                )
    # Files that differ by nature may have names that do.
    return {name: digest for name, digest in found.items() if digest != "masked"}


def differences(left: Mapping[str, str], right: Mapping[str, str]) -> list[str]:
    """Return a line for each name that differs between two trees."""
    lines = []
    for name in sorted({*left, *right}):
        if name not in right:
            lines.append(f"only in the first: {name}")
        elif name not in left:
            lines.append(f"only in the second: {name}")
        elif left[name] != right[name]:
            lines.append(f"other bytes: {name}")
    return lines


def paint(height: int, width: int, seed: int) -> Image.Image:
    """Return a picture with gradients, edges and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 16.0
    planes = []
    for a, b, c, d in rng.uniform(0.3, 2.0, (3, 4)):
        wave = 60 * np.sin(a * x + b * y) + 40 * np.sign(np.sin(c * x - d * y))
        planes.append(128 + wave + rng.normal(0, 6, wave.shape))
    pixels = np.clip(np.stack(planes, axis=-1), 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def draw_inputs(folder: pathlib.Path, contents: int = 5, styles: int = 4) -> None:
    """Draw the inputs of the runs: contents, a copy, a broken file, styles, a sweep."""
    sizes = ((96, 64), (64, 96), (80, 80), (64, 72))
    for role, count in (("contents", contents), ("styles", styles)):
        (folder / role).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            picture = paint(*sizes[index % len(sizes)], seed=len(role) * 100 + index)
            picture.save(folder / role / f"{chr(ord('a') + index)}.png")
    copy = folder / "contents" / "same" / "copy-of-b.png"
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes((folder / "contents" / "b.png").read_bytes())
    (folder / "contents" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    (folder / "sweep.toml").write_text("[sweep]\nstyle-weight = [100, 1000]\n")


def draw_labelled(path: pathlib.Path, count: int = 3) -> None:
    """Write a shard of WebDataset: pictures of two classes, each with a box."""
    with tarfile.open(path, "w") as shard:
        for index in range(count):
            name, image = chr(ord("a") + index), io.BytesIO()
            paint(48, 64, seed=900 + index).save(image, "PNG")
            box = {"bbox": [4 + index, 8, 20, 16], "category": "wave", "id": 3}
            about = {"label": ("cat", "dog")[index % 2], "caption": f"picture {name}"}
            about |= {"objects": [box], "width": 64, "height": 48}
            parts = {"png": image.getvalue(), "json": json.dumps(about).encode()}
            for ending, data in parts.items():
                member = tarfile.TarInfo(f"{name}.{ending}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))


@dataclasses.dataclass(frozen=True)
class Side:
    """A revision, and the folder in which its commands run.

    Attributes:
        revision: As it was named.
        worktree: Its files.
        folder: Where it draws its inputs and writes; the current folder of its
            commands, so that no path in an output tells where that is.
    """

    revision: str
    worktree: pathlib.Path
    folder: pathlib.Path

    def run(
        self, command: str, hook: pathlib.Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line and return what came of it.

        Args:
            command: Begins with `stylebeam` or the path of a script of the repository.
            hook: A folder whose modules come before those of the worktree.
            environment: Additional variables.
        """
        program, *arguments = command.split()
        head = ["-m", "pipelines"]
        if program != "stylebeam":
            head = [str(self.worktree / program)]
        # The bundle of the paper had the name of the default before there were two.
        bundles = self.worktree / "model" / "pretrained"
        packaged = next(p for n in ("paper", "default") if (p := bundles / n).exists())
        named = {"PRETRAINED": os.path.relpath(packaged, self.folder)}
        if arguments[0] in ("stylize", "evaluate") and packaged.name == "paper":
            arguments += ["--bundle", "paper"]
        paths = [str(path) for path in (hook, self.worktree) if path is not None]
        return subprocess.run(
            [sys.executable, *head, *(named.get(a, a) for a in arguments)],
            cwd=self.folder,
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=False,
        )

    def make(self, name: str) -> None:
        """Make the outputs of a run, unless they are there.

        Raises:
            RuntimeError: A command failed.
        """
        mark = self.folder / f".{name}-done"
        if mark.exists():
            return
        for needed in RUNS[name].needs:
            self.make(needed)
        for output in RUNS[name].outputs or (name,):
            shutil.rmtree(self.folder / output, ignore_errors=True)
        started = time.monotonic()
        for command in RUNS[name].commands:
            done = self.run(command)
            if done.returncode:
                raise RuntimeError(
                    f"{self.revision}: {command}: exit status {done.returncode}\n"
                    f"{done.stderr[-4000:]}"
                )
        mark.touch()
        seconds = time.monotonic() - started
        print(f"{self.revision}: {name} in {seconds:.0f} s", file=sys.stderr)


def commit_of(revision: str) -> str:
    """Return the commit that a revision names."""
    command = ["git", "rev-parse", "--verify", f"{revision}^{{commit}}"]
    return subprocess.check_output(command, cwd=ROOT, text=True).strip()


@contextlib.contextmanager
def checked_out(revisions: Sequence[str], keep: str | None) -> Iterator[list[Side]]:
    """Check revisions out and draw their inputs.

    Args:
        revisions: Names that git knows.
        keep: A folder where the runs of each commit stay and are found again; None for
            a temporary one.
    """
    with tempfile.TemporaryDirectory(prefix="stylebeam-") as temporary:
        base = pathlib.Path(keep or temporary).resolve()
        sides = []
        try:
            for number, revision in enumerate(revisions):
                commit = commit_of(revision)
                # Not below `keep`: git should forget it with this run.
                worktree = pathlib.Path(temporary, f"worktree-{number}").resolve()
                command = ["git", "worktree", "add", "--detach", "--quiet"]
                subprocess.run([*command, worktree, commit], cwd=ROOT, check=True)
                folder = base / commit[:12]
                sides.append(Side(revision, worktree, folder))
                if not folder.exists():
                    draw_inputs(folder / "inputs")
            yield sides
        finally:
            for side in sides:
                command = ["git", "worktree", "remove", "--force", str(side.worktree)]
                subprocess.run(command, cwd=ROOT, check=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare two revisions; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("revisions", nargs=2, metavar="REV", help="as git names it")
    parser.add_argument(
        "--only", nargs="+", choices=RUNS, default=list(RUNS), help="these runs alone"
    )
    parser.add_argument(
        "--keep", metavar="D", help="keep the outputs of each commit and use them again"
    )
    parser.add_argument(
        "--pages",
        choices=("bytes", "rows"),
        default="bytes",
        help="compare pages by their rows and pictures where they look different",
    )
    args = parser.parse_args(argv)
    failed = False
    with checked_out(args.revisions, args.keep) as (left, right):
        for name in args.only:
            left.make(name)
            right.make(name)
            outputs = RUNS[name].outputs or (name,)
            first, second = (
                tree(side.folder, *outputs, pages=args.pages) for side in (left, right)
            )
            lines = differences(first, second)
            failed |= bool(lines)
            verdict = f"{len(lines)} differ" if lines else "the same"
            print(f"{name}: {len(first)} files, {verdict}", *lines, sep="\n  ")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
