"""Shows how far a job is: a bar on a terminal, plain lines elsewhere, or events."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import tqdm

from pipelines.command.console.console import console
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import (
    read_doing,
    read_progress,
    totals_are_near,
)

_SECONDS_BETWEEN_LOOKS: Final = 0.25
# Looking into a bucket takes a request for every worker.
_SECONDS_BETWEEN_REMOTE_LOOKS: Final = 20.0
_SECONDS_BETWEEN_LINES: Final = 30.0

SECONDS_BETWEEN_EVENTS: Final = 5.0
"""How often a program is told how far a job is."""


@contextlib.contextmanager
def shown_progress(
    output: OutputFolder, command: str, unit: str, total: int
) -> Iterator[None]:
    """Show the progress of a job while the block runs.

    Args:
        output: What the job writes.
        command: Name of the command.
        unit: What is counted: the totals `<unit>_done`, `_kept` and `_failed`, and
            `_part`, the share of those on their way that is done.
        total: How many of them there are at most.
    """
    if console().tells_events:
        follow: Callable[..., None] = _follow_with_events
    elif not console().shows_progress:
        yield
        return
    else:
        follow = _follow_with_bar if sys.stderr.isatty() else _follow_with_lines
    over = threading.Event()
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
            finished = over.wait(_pause(output))
            totals = read_progress(output)
            done, kept, failed = _amounts(totals, unit)
            # What an earlier run did must not count into the rate.
            bar.initial = kept
            bar.update(done + kept + failed - bar.n)
            told = [f"{failed} failed"] if failed else []
            told += read_doing(output)
            if not done and (encoded := _styles_encoded(totals)):
                told.append(f"{encoded} styles encoded")
            bar.set_postfix_str("; ".join(told), refresh=bool(told))


def _follow_with_lines(
    over: threading.Event, output: OutputFolder, command: str, unit: str, total: int
) -> None:
    started = written = time.monotonic()
    while not over.wait(_pause(output)):
        now = time.monotonic()
        if now - written < _SECONDS_BETWEEN_LINES:
            continue
        written = now
        totals = read_progress(output)
        done, kept, failed = _amounts(totals, unit)
        line = f"{command}: {done + kept + failed:g} of {total} {unit}"
        if done:
            rate = done / (now - started)
            left = (total - done - kept - failed) / rate
            line += f", {rate:.2f} a second, about {left:.0f} s left"
        elif encoded := _styles_encoded(totals):
            line += f", {encoded} styles encoded"
        line = "; ".join([line, *read_doing(output)])
        print(line, file=sys.stderr, flush=True)


def _follow_with_events(
    over: threading.Event, output: OutputFolder, _command: str, unit: str, total: int
) -> None:
    started = written = time.monotonic()
    finished = False
    while not finished:
        finished = over.wait(_pause(output))
        now = time.monotonic()
        # The last one tells of all that was done, in the shortest of jobs too.
        if not finished and now - written < SECONDS_BETWEEN_EVENTS:
            continue
        written = now
        totals = read_progress(output)
        done, kept, failed = _amounts(totals, unit)
        console().event(
            "progress",
            unit=unit,
            total=total,
            done=done,
            kept=kept,
            failed=failed,
            seconds=round(now - started, 3),
            doing=[*read_doing(output)],
        )


def _pause(output: OutputFolder) -> float:
    near = totals_are_near(output)
    return _SECONDS_BETWEEN_LOOKS if near else _SECONDS_BETWEEN_REMOTE_LOOKS


def _styles_encoded(totals: Mapping[str, float]) -> int:
    """Return what happens before the first cell: a long time with many styles."""
    return int(totals.get("styles_encoded", 0))


def _amounts(totals: Mapping[str, float], unit: str) -> tuple[float, int, int]:
    """Return what is done, with what is half done to a hundredth, kept and failed."""
    done, kept, failed = (
        int(totals.get(f"{unit}_{what}", 0)) for what in ("done", "kept", "failed")
    )
    part = round(totals.get(f"{unit}_part", 0), 2)
    return round(done + part, 2) if part > 0 else done, kept, failed
