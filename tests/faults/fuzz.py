"""Fuzzes the targets of `fuzz_targets.py`, in a process that may die of it.

    python tests/faults/fuzz.py --replay WHOLE zip build/findings/zip-0a1b2c3d

runs one input again, `WHOLE` being the folder that a failed test names. Three ways make
inputs: Hypothesis edits good ones and builds strange ones of the right form; a plain
mutator does the same from a seed without Hypothesis, for long runs; atheris, where it
is installed, follows the coverage of our own modules. A seed brings the same inputs
again, for atheris as far as libFuzzer promises it.
"""

import contextlib
import faulthandler
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

# Of the processor; the wall clock has more, for machines with other work.
SECONDS: Final = 10
WALL_SECONDS: Final = 60
MEMORY: Final = 1 << 30

_LARGEST: Final = 1 << 20

_ROOT: Final = pathlib.Path(__file__).resolve().parents[2]
_SHIPPED: Final = tuple(f"{_ROOT}/{p}/" for p in ("pipelines", "transforms", "model"))

Edit = tuple[int, float, float, bytes]


class HungError(BaseException):
    """Ten seconds are over. No `except Exception` may hold it up."""


def edited(data: bytes, edits: Sequence[Edit], others: Sequence[bytes]) -> bytes:
    """Return an input after some edits.

    Args:
        data: A good input.
        edits: What to do, where, how much of it (both as a share), and with what bytes.
        others: Good inputs, for what is put in from another one.
    """
    found = bytearray(data)
    for way, where, much, given in edits:
        at = int(where * len(found))
        length = 1 + int(much**4 * max(len(found) - at, 1))
        if way == 0 and found:  # a flipped bit
            found[at % len(found)] ^= 1 << int(much * 7.99)
        elif way == 1:  # other bytes
            found[at : at + len(given)] = given
        elif way == 2:  # more bytes
            found[at:at] = given
        elif way == 3:  # fewer
            del found[at : at + length]
        elif way == 4:  # some twice
            found[at:at] = found[at : at + length]
        elif way == 5:  # cut
            del found[at:]
        elif way == 6:  # a number of extreme size
            size = (1, 2, 4, 8)[int(much * 3.99)]
            value = (0, 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)[len(given) % 4]
            order = "little" if given[:1] < b"\x80" else "big"
            found[at : at + size] = value.to_bytes(size, order)
        elif way == 7 and others:  # the end of another input
            other = others[int(much * 0.999 * len(others))]
            found[at:] = other[int(where * len(other)) :]
    return bytes(found[:_LARGEST])


class Judge:
    """Gives inputs to a target and keeps what they broke.

    Args:
        name: Name of the target.
        whole: The folder with inputs and unbroken outputs.
        report: File that always holds what was found so far.
    """

    def __init__(self, name: str, whole: pathlib.Path, report: pathlib.Path) -> None:
        from fuzz_targets import TARGETS, Place

        scratch = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=report.parent))
        self.target = TARGETS[name]
        self.place = Place(whole, scratch)
        self.count = 0
        self._report = report
        self._current = report.with_suffix(".current")
        self._found: dict[str, dict[str, Any]] = {}
        self._current.write_bytes(b"")
        self._write()

    def seeds(self) -> list[bytes]:
        """Return the good inputs."""
        return list(self.target.seeds(self.place))

    def judge(self, data: bytes) -> None:
        """Give an input to the target."""
        self._current.write_bytes(data)
        faulthandler.dump_traceback_later(WALL_SECONDS, exit=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            self.target.call(self.place, data)
        except (Exception, HungError) as error:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self._keep(data, error)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.cancel_dump_traceback_later()
        self.count += 1
        if self.count % 50 == 0:
            self._write()

    def _keep(self, data: bytes, error: BaseException) -> None:
        """Keep an error, the first of those that come from one place."""
        frames = traceback.extract_tb(error.__traceback__)
        shipped = [f for f in frames if f.filename.startswith(_SHIPPED)]
        frame = (shipped or list(frames))[-1]
        signature = f"{type(error).__name__} at {pathlib.Path(frame.filename).name}:"
        signature += str(frame.lineno)
        if type(error).__name__ == "WrongError":
            signature = re.sub("[0-9]+", "N", str(error))
        if signature not in self._found or len(data) < self._found[signature]["size"]:
            text = "".join(traceback.format_exception(error, limit=-12))
            found = {"text": text[-4000:], "input": data.hex(), "size": len(data)}
            self._found[signature] = found
            self._write()

    def _write(self) -> None:
        new = {"count": self.count, "found": self._found}
        temporary = self._report.with_suffix(".new")
        temporary.write_text(json.dumps(new))
        temporary.replace(self._report)

    def close(self) -> None:
        """Write the report."""
        self._write()


def limit_resources() -> None:
    """Allow a gigabyte more than there is in use now, and let alarms interrupt."""

    def hung(_signal: int, _frame: object) -> None:
        raise HungError(f"{SECONDS} seconds are over")

    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGPROF, hung)
    warnings.simplefilter("ignore")


def run(name: str, whole: str, report: str, way: str, count: int, seed: int) -> None:
    """Fuzz one target.

    Args:
        name: Name of the target.
        whole: The folder with inputs and unbroken outputs.
        report: File for what was found.
        way: `hypothesis` or `plain`.
        count: How many inputs.
        seed: The inputs follow from it.
    """
    limit_resources()
    judge = Judge(name, pathlib.Path(whole), pathlib.Path(report))
    {"hypothesis": by_hypothesis, "plain": plainly}[way](judge, count, seed)
    judge.close()


def by_hypothesis(judge: Judge, count: int, seed: int) -> None:
    """Let Hypothesis make inputs: half of them edits, half built where that is."""
    import hypothesis
    from hypothesis import strategies as st

    seeds = judge.seeds()
    given = st.binary(min_size=1, max_size=12)
    if judge.target.words:
        given |= st.sampled_from(judge.target.words)
    share = st.floats(0, 1, exclude_max=True)
    edits = st.lists(st.tuples(st.integers(0, 7), share, share, given), max_size=6)
    inputs = st.builds(edited, st.sampled_from(seeds), edits, st.just(seeds))
    if judge.target.made is not None:
        inputs |= judge.target.made()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        derandomize=False,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(inputs)
    def each(data: bytes) -> None:
        judge.judge(data)

    each()
    # It stops where it believes that it has seen all; that is no reason here.
    if judge.count < count:
        plainly(judge, count - judge.count, seed)


def plainly(judge: Judge, count: int, seed: int) -> None:
    """Make the inputs by edits that a seed chooses; an input may be edited further."""
    seeds = judge.seeds()
    rng = random.Random(seed)
    words = judge.target.words or (b"\0",)
    for _ in range(count):
        edits = []
        for _ in range(rng.choice((1, 1, 2, 3, 6))):
            given = rng.choice(words) if rng.random() < 0.4 else rng.randbytes(4)
            edits.append((rng.randrange(8), rng.random(), rng.random(), given))
        judge.judge(edited(rng.choice(seeds), edits, seeds))


def by_atheris(arguments: Sequence[str]) -> None:
    """Let atheris make the inputs, in a process of its own that it ends."""
    import atheris

    name, whole, report, bundle, widths, count, seed = arguments
    with atheris.instrument_imports(include=["pipelines", "transforms", "model"]):
        from warm import load_everything

        load_everything(bundle, tuple(map(int, widths.split(","))))
    limit_resources()
    judge = Judge(name, pathlib.Path(whole), pathlib.Path(report))
    corpus = judge.place.scratch / "corpus"
    corpus.mkdir()
    for data in judge.seeds():
        (corpus / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)

    def each(data: bytes) -> None:
        judge.judge(data)
        if judge.count >= int(count):
            judge.close()
            os._exit(0)

    options = [f"-seed={int(seed) % 2**31}", "-max_len=65536", "-timeout=60"]
    atheris.Setup(["fuzz", *options, "-rss_limit_mb=0", str(corpus)], each)
    atheris.Fuzz()


def replay(arguments: Sequence[str]) -> None:
    """Give a file to a target; what it raises is shown."""
    # Arrow's own reserves a gigabyte of addresses; it is read when Arrow is loaded.
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    from fuzz_targets import TARGETS, Place
    from warm import load_everything

    whole, name, file = arguments
    bundle = pathlib.Path(whole).parent / "bundle"
    os.environ["FAULTS_BUNDLE"] = str(bundle)
    load_everything(str(bundle), (4, 6, 8, 8, 8))
    data = pathlib.Path(file).read_bytes()
    limit_resources()
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        place = Place(pathlib.Path(whole).resolve(), pathlib.Path(scratch))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        TARGETS[name].call(place, data)


WAYS: Final[dict[str, Callable[[Sequence[str]], Any]]] = {
    "--atheris": by_atheris,
    "--replay": replay,
}

if __name__ == "__main__":
    if sys.argv[1] in WAYS:
        WAYS[sys.argv[1]](sys.argv[2:])
    else:
        sys.exit(__doc__)
