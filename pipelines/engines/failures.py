"""What an engine says of a job that failed, in one sentence.

Engines hand on the traceback of a worker as text, inside errors of their own.
"""

import re
from typing import Any, Final

# The last line of a traceback: a class, in a module or not, and what it says.
_RAISED: Final = re.compile(
    r"^(?:[\w.]+\.)?(?P<kind>[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning))"
    r"(?:: (?P<text>.*?))?(?: \[while running '(?P<step>[^\n]*)'\])?$",
    re.MULTILINE,
)
_MISSING: Final = re.compile(r"No module named '([\w.]+)'")
# What Beam says where the process at the other end of a channel is gone.
# The last two are Prism's: it was told so, or met the channel that was closed.
_LOST: Final = re.compile(
    "Channel closed prematurely|Socket closed|Connection reset|SDK worker disconnected"
    "|send on closed channel"
)
# What Prism says where no worker came in a minute.
_NEVER_CAME: Final = re.compile("didn't get control connection")
# What Prism adds for its own developers: a stage as it is in memory.
_DUMP: Final = re.compile(r",? stage: &\{.*", re.DOTALL)
_LONGEST: Final = 600

# What a person can do about it.
NO_WORKER: Final = (
    "no worker has come yet. See whether the engine's workers run, and with the Python "
    "that has stylebeam (a worker pool starts the first `python` on its PATH)"
)

# What only wraps the error of a worker.
_WRAPPERS: Final = ("DataflowRuntimeException", "RpcError")


def sentence_of(error: BaseException) -> str:
    """Return why a job failed: the error of the worker, not that of the engine.

    Args:
        error: What was raised where the job was awaited.
    """
    text = _text_of(error)
    if missing := _MISSING.search(text):
        return _missing(missing[1])
    found = [m for m in _RAISED.finditer(text) if m["kind"] not in _WRAPPERS]
    if found:
        last = found[-1]
        said = (last["text"] or "").strip()
        if last["kind"] == "ArrivalError":
            return said
        step = f" (in the step {last['step']})" if last["step"] else ""
        text = f"{last['kind']}: {said}{step}" if said else last["kind"]
    text = _short(" ".join(_DUMP.sub("", text).split()).rstrip("."))
    if _NEVER_CAME.search(text):
        return f"{NO_WORKER} ({text})"
    return f"a worker was lost ({text})" if _LOST.search(text) else text


def _text_of(error: BaseException) -> str:
    """Return all that an error says."""
    remote: Any = error
    if hasattr(remote, "details") and callable(remote.details):
        code = remote.code() if hasattr(remote, "code") else None
        return f"{remote.details()} ({code.name})" if code else str(remote.details())
    text = str(error)
    if _RAISED.search(text):
        return text
    # What was raised in this very process, as it was.
    return ": ".join([type(error).__name__, *([" ".join(text.split())] * bool(text))])


def _missing(module: str) -> str:
    package = module.partition(".")[0]
    ours = package in ("pipelines", "transforms", "model")
    what = "stylebeam" if ours else package
    return (
        f"a worker has no {what} (No module named {module!r}). Give the workers all "
        "that the launcher has: an image, or --setup_file=./setup.py"
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
