"""A whole job from a notebook: every photograph in every style, into a folder.

The job is a process of its own, the same as `stylebeam stylize`. So an interrupt ends
the job and not the notebook, its memory is given back, and files of the notebook with
the names of our packages are not in its way.
"""

import collections
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Final, cast

Places = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One place or several: folders, globs, files, archives, as `--content` takes them."""

# What a job says last is why it failed.
_REMEMBERED_LINES: Final = 20
_USAGE: Final = 2


class JobError(RuntimeError):
    """A job did not come to a good end; what it finished is kept.

    Attributes:
        status: Exit status of the command: 1 where too much failed, 130 where it was
            interrupted.
        output: Folder of the output; `failures/` in it says what failed, and why.
    """

    def __init__(self, message: str, status: int, output: str) -> None:
        super().__init__(message)
        self.status = status
        self.output = output


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """What a job of `stylize` left.

    Attributes:
        folder: Where it is: a folder, or a gs:// or s3:// URL.
        place: What to look at: the page of the gallery, or the folder of the shards.
    """

    folder: str
    place: str

    @property
    def counts(self) -> Mapping[str, int]:
        """What became of pictures and cells, as `job.json` has it.

        Raises:
            FileNotFoundError: The output is in a bucket, or is not there any more.
        """
        job = json.loads((pathlib.Path(self.folder) / "job.json").read_text("utf-8"))
        return dict(job["counts"])

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the manifest, a dictionary a picture, without holding it whole.

        Raises:
            FileNotFoundError: The output is in a bucket, or is not there any more.
        """
        import pyarrow.parquet as pq

        parts = pathlib.Path(self.folder) / "manifest"
        for part in sorted(os.listdir(parts)):
            if part.endswith(".parquet"):
                with pq.ParquetFile(parts / part) as table:
                    for batch in table.iter_batches(1024):
                        yield from batch.to_pylist()


def stylize(
    contents: Places,
    styles: Places,
    output: str | os.PathLike[str],
    *,
    beam_flags: Sequence[str] = (),
    **options: Any,
) -> Output:
    """Stylize every photograph with every painting, as `stylebeam stylize` does.

    A call that was interrupted goes on where it was when it is made again, and a call
    with more photographs makes only what is missing.

    Args:
        contents: Photographs: folders with all below, globs, files, archives.
        styles: Paintings: folders, globs, files, archives.
        output: Folder, or gs:// or s3:// URL, for everything made.
        beam_flags: Flags of Beam as they are typed: `["--direct_num_workers=2"]`.
        **options: Flags of the command with underscores: `alpha=[0.5, 1]`,
            `content_size=512`, `pairing="sample"`, `seed=7`, `overwrite=True`.

    Returns:
        Where the output is, what was counted, and its rows.

    Raises:
        JobError: More failed than `max_failure_rate` allows, or the job broke off.
        KeyboardInterrupt: It was interrupted. What was finished is kept.
        ValueError: An option or a place cannot be used; nothing was written.

    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (48, 40), "teal").save(folder / "cat.png")
    >>> Image.linear_gradient("L").save(folder / "grey.png")
    >>> cat, grey = folder / "cat.png", folder / "grey.png"
    >>> done = stylize(cat, [grey], folder / "grid", content_size=32, alpha=0.5)
    >>> done.counts["cells_done"], [row["alpha"] for row in done.rows()]
    (1, [0.5])
    """
    words = ["stylize", "--content", *_places(contents), "--style", *_places(styles)]
    words += [_flag("output", os.fspath(output))]
    for name, value in options.items():
        words += _words(name, value)
    printed = _run([*words, *beam_flags], os.fspath(output))
    return Output(os.fspath(output), printed)


def _run(words: Sequence[str], output: str) -> str:
    """Run a command, its messages passed on; return what it printed."""
    # Python is not to search the folder of the notebook first (-P), where files may
    # have the names of our packages.
    command = [sys.executable, "-P", "-m", "pipelines", *words]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        said: collections.deque[str] = collections.deque(maxlen=_REMEMBERED_LINES)
        out, err = (cast(IO[str], pipe) for pipe in (process.stdout, process.stderr))
        reader = threading.Thread(target=_pass_on, args=(err, said))
        reader.start()
        try:
            printed = out.read().strip()
            status = process.wait()
        except KeyboardInterrupt:
            # It may have heard of it already, as whatever runs in a terminal has.
            process.send_signal(signal.SIGINT)
            raise
        finally:
            reader.join()
    if status == 0:
        return printed
    message = _last_error(said)
    if status == _USAGE:
        raise ValueError(message)
    raise JobError(message, status, output)


def _pass_on(lines: IO[str], said: "collections.deque[str]") -> None:
    for line in lines:
        sys.stderr.write(line)
        said.append(line.rstrip())


def _last_error(said: Sequence[str]) -> str:
    """Return why a command failed, out of the last lines that it wrote."""
    errors = [line for line in said if "error:" in line]
    if errors:
        return errors[-1].partition("error:")[2].strip()
    return " ".join(said) or "The job ended without a word."


def _places(places: Places) -> list[str]:
    """Return places as words of a command line, none of which looks like a flag."""
    several = [places] if isinstance(places, str | os.PathLike) else places
    found = [os.fspath(place) for place in several]
    return [f"./{place}" if place.startswith("-") else place for place in found]


def _words(name: str, value: Any) -> list[str]:
    """Return an option as words of a command line.

    >>> _words("alpha", [0.5, 1]), _words("overwrite", True), _words("seed", None)
    (['--alpha=0.5,1'], ['--overwrite'], [])
    """
    if value is None or value is False:
        return []
    if value is True:
        return [_flag(name)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_flag(name, ",".join(map(str, value)))]
    return [_flag(name, str(value))]


def _flag(name: str, value: str | None = None) -> str:
    flag = f"--{name.replace('_', '-')}"
    return flag if value is None else f"{flag}={value}"
