"""Shows how far a job is: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final

import tqdm

from transforms.output import OutputFolder
from transforms.progress import read_progress

_SECONDS_BETWEEN_LOOKS: Final = 0.25
_SECONDS_BETWEEN_LINES: Final = 30.0


@contextlib.contextmanager
def shown_progress(
    output: OutputFolder, command: str, unit: str, total: int
) -> Iterator[None]:
    """Show the progress of a job while the block runs.

    Args:
        output: What the job writes.
        command: Name of the command.
        unit: What is counted: the totals `<unit>_done`, `_kept` and `_failed`.
        total: How many of them there are at most.
    """
    over = threading.Event()
    follow = _follow_with_bar if sys.stderr.isatty() else _follow_with_lines
    thread = threading.Thread(
        target=follow, args=(over, output, command, unit, total), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _follow_with_bar(
    over: threading.Event, output: OutputFolder, command: str, unit: str, total: int
) -> None:
    with tqdm.tqdm(total=total, unit=f" {unit}", desc=command) as bar:
        finished = False
        while not finished:
            finished = over.wait(_SECONDS_BETWEEN_LOOKS)
            done, kept, failed = _amounts(output, unit)
            # What an earlier run did must not count into the rate.
            bar.initial = kept
            bar.update(done + kept + failed - bar.n)
            if failed:
                bar.set_postfix(failed=failed, refresh=False)
            elif not done and (encoded := _styles_encoded(output)):
                bar.set_postfix(styles_encoded=encoded)


def _follow_with_lines(
    over: threading.Event, output: OutputFolder, command: str, unit: str, total: int
) -> None:
    started = written = time.monotonic()
    while not over.wait(_SECONDS_BETWEEN_LOOKS):
        now = time.monotonic()
        if now - written < _SECONDS_BETWEEN_LINES:
            continue
        written = now
        done, kept, failed = _amounts(output, unit)
        line = f"{command}: {done + kept + failed} of {total} {unit}"
        if done:
            rate = done / (now - started)
            left = (total - done - kept - failed) / rate
            line += f", {rate:.2f} a second, about {left:.0f} s left"
        elif encoded := _styles_encoded(output):
            line += f", {encoded} styles encoded"
        print(line, file=sys.stderr, flush=True)


def _styles_encoded(output: OutputFolder) -> int:
    """Return what happens before the first cell: a long time with many styles."""
    return int(read_progress(output).get("styles_encoded", 0))


def _amounts(output: OutputFolder, unit: str) -> tuple[int, int, int]:
    totals = read_progress(output)
    done, kept, failed = (
        int(totals.get(f"{unit}_{what}", 0)) for what in ("done", "kept", "failed")
    )
    return done, kept, failed
