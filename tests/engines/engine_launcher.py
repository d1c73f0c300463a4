"""A process that has imported everything, and forks a child for each command.

A command takes seconds to import TensorFlow and Beam, and the tests of this folder run
many. TensorFlow is imported here but never used: its threads begin with its first use,
in the child. A request is a line of JSON on stdin, its answer a line on stdout.
"""

import contextlib
import importlib
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any


def import_everything() -> None:
    """Import all commands that run on Beam, and what engines import at their start."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import pyarrow.parquet  # noqa: F401
    import tensorflow  # noqa: F401
    from apache_beam.runners.portability import prism_runner  # noqa: F401

    for command in ("ingest", "stylize", "visualize", "optimize"):
        importlib.import_module(f"pipelines.{command}.job")


def run_child(request: Mapping[str, Any]) -> None:
    """Run a command in this process, which ends with it.

    Args:
        request: `argv`, the command line without `stylebeam`; `cwd`; `log`, the file
            that gets stdout and stderr; `environment`, variables to set.
    """
    os.setpgid(0, 0)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(request["cwd"])
    os.environ.update(request["environment"])
    # As a fresh process has it.
    logging.getLogger().handlers.clear()
    from pipelines import cli

    status = 1
    try:
        status = cli.main(request["argv"])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # What an engine registered for the end, such as that of a server it started. A
    # thread that does not end is seen as a command that hangs.
    sys.exit(status)


def serve() -> None:
    """Answer requests until stdin ends.

    A request is that of `run_child`, with `limit`, the seconds after which the child
    and its group are killed. The first answer is the child's process; the second, at
    its end, its status as `subprocess` tells it.
    """
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            # stdin and stdout are those of the requests.
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            run_child(request)
        print(json.dumps({"process": child}), flush=True)
        hung = False
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            if time.monotonic() - started > request["limit"] and not hung:
                hung = True
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
            time.sleep(0.01)
        answer = {
            "status": os.waitstatus_to_exitcode(status),
            "hung": hung,
            "seconds": time.monotonic() - started,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    import_everything()
    serve()
