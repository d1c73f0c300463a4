"""A process that has imported everything, and forks a child for each command.

A command of stylebeam takes seconds to import TensorFlow and Beam, and the tests of
this folder run hundreds. TensorFlow is imported here but never used: its threads begin
with its first use, in the child. A request is a line of JSON on stdin, its answer a
line on stdout; `run_child` says what is in them.

The child can crash on purpose: `record` counts how often each function of ours
returns, and `crash` raises or exits when one returns for the n-th time. Both sit in
the hook of the profiler, so that the shipped code has none.
"""

import contextlib
import ctypes
import importlib
import inspect
import json
import logging
import os
import pathlib
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from types import CodeType
from typing import Any, Final

ROOT: Final = pathlib.Path(__file__).resolve().parents[2]

OPERATIONS: Final = (
    "open",
    "read",
    "create",
    "write",
    "rename",
    "remove",
    "mkdir",
    "sync",
    "list",
    "change",
)

# Whose functions are boundaries of stages.
OURS: Final = ("pipelines.", "transforms.", "model.training.", "model.bundle")

# What a child that exits on purpose returns.
CRASHED: Final = 97


class InjectedError(Exception):
    """Raised where a test wants a step to fail."""


def load_everything(bundle: str, widths: tuple[int, ...]) -> None:
    """Import all commands, and put narrow networks in the place of the packaged ones.

    Args:
        bundle: Folder of a bundle, which becomes `default` and `paper`.
        widths: Channels of the five blocks of VGG.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s")
    import numpy as np
    import pyarrow.parquet  # noqa: F401
    import tensorflow  # noqa: F401

    import model.bundle
    from model.networks import vgg, weights
    from pipelines.settings.commands import COMMANDS

    for command in COMMANDS.values():
        importlib.import_module(command.job)
    for name in model.bundle.PACKAGED:
        model.bundle.PACKAGED[name] = bundle
    vgg._CHANNELS = widths
    rng = np.random.default_rng(0)
    arrays = {}
    for layer in vgg.vgg_layers("vgg16"):
        spread = np.sqrt(2 / (9 * layer.in_channels))
        kernel = rng.normal(0, spread, layer.kernel_shape)
        arrays[f"{layer.name}/kernel"] = kernel.astype(np.float32)
        arrays[f"{layer.name}/bias"] = np.zeros(layer.out_channels, np.float32)
    weights._packaged_vgg16 = lambda: arrays


def functions() -> dict[str, CodeType]:
    """Return the code of all functions of ours that are imported, by name.

    A name is such as `transforms.storage.folder:OutputFolder.write`.
    """
    found: dict[str, CodeType] = {}

    def add(module: str, code: CodeType) -> None:
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                add(module, constant)
        if "<" not in code.co_name:
            found[f"{module}:{code.co_qualname}"] = code

    for name, module in sorted(sys.modules.items()):
        if not name.startswith(OURS):
            continue
        own = [v for v in vars(module).values() if getattr(v, "__module__", "") == name]
        for value in own:
            members = list(vars(value).values()) if isinstance(value, type) else []
            for member in (value, *members):
                member = getattr(member, "__func__", getattr(member, "fget", member))
                code = getattr(inspect.unwrap(member), "__code__", None)
                if isinstance(code, CodeType):
                    add(name, code)
    return found


def watch_returns(hooks: Any) -> None:
    """Watch this thread and all that begin."""

    def begin(*_event: Any) -> None:
        hooks.watch_returns()

    threading.setprofile(begin)
    hooks.watch_returns()


def record_calls(hooks: Any) -> dict[str, CodeType]:
    """Count how often functions of ours return; their code by name."""
    found = functions()
    for code in found.values():
        hooks.returns_of(id(code))
    watch_returns(hooks)
    return found


def crash_at(hooks: Any, name: str, number: int, kind: str) -> None:
    """Crash when a function returns for the n-th time.

    Args:
        hooks: The preloaded library.
        name: As `functions` has it.
        number: From 1.
        kind: `raise` or `exit`.
    """
    error = id(InjectedError) if kind == "raise" else None
    hooks.crash_at_return(id(functions()[name]), number, error, CRASHED)
    watch_returns(hooks)


def abort_at(size: tuple[int, int]) -> None:
    """Let the decoder abort the process at pictures of a size, as a bug in C would."""
    from PIL import ImageFile

    load = ImageFile.ImageFile.load

    def aborting_load(image: Any, *arguments: Any) -> Any:
        if image.size == size:
            os.kill(os.getpid(), signal.SIGABRT)
        return load(image, *arguments)

    ImageFile.ImageFile.load = aborting_load


def preloaded() -> Any:
    """Return the library of this folder, which was preloaded into this process."""
    hooks = ctypes.PyDLL(os.environ["LD_PRELOAD"])
    hooks.faults_count.restype = ctypes.c_long
    hooks.returns_counted.restype = ctypes.c_long
    hooks.returns_counted.argtypes = [ctypes.c_void_p]
    hooks.returns_of.argtypes = [ctypes.c_void_p]
    pointer, number = ctypes.c_void_p, ctypes.c_long
    hooks.crash_at_return.argtypes = [pointer, number, pointer, ctypes.c_int]
    return hooks


def run_child(request: Mapping[str, Any]) -> None:
    """Run a command in this process, which ends with it.

    Args:
        request: `argv`, the command line without `stylebeam`; `cwd`; `log`, the file
            that gets stdout and stderr; `report`, the file that gets the counts of a
            child that ends by itself; `plan`, of the shim; `below`, the folder whose
            files the shim counts; `crash`, the arguments of `crash_at`; `record`,
            whether functions are counted; `poison`, the size of pictures at which the
            decoder aborts; `fuzz`, the arguments of `fuzz.run`, which is
            then called in place of a command.
    """
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(request["cwd"])
    if request.get("fuzz"):
        import fuzz

        fuzz.run(**request["fuzz"])
        os._exit(0)
    from pipelines import cli

    hooks = preloaded()
    below = (request.get("below") or request["cwd"]).encode()
    if hooks.faults_arm(below, "\n".join(request.get("plan") or ()).encode()):
        raise ValueError(f"not a plan: {request['plan']}")
    if request.get("poison"):
        abort_at(tuple(request["poison"]))
    recorded: dict[str, CodeType] = {}
    if request.get("crash"):
        crash_at(hooks, *request["crash"])
    elif request.get("record"):
        recorded = record_calls(hooks)
    status = 1
    try:
        status = cli.main(request["argv"])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.setprofile(None)
    hooks.faults_disarm()
    calls = {name: hooks.returns_counted(id(code)) for name, code in recorded.items()}
    found = {
        "calls": {name: count for name, count in calls.items() if count},
        "storage": {name: hooks.faults_count(name.encode()) for name in OPERATIONS},
        "met": hooks.faults_count(b"met"),
    }
    pathlib.Path(request["report"]).write_text(json.dumps(found))
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def serve() -> None:
    """Answer requests until stdin ends: the status of each child as `subprocess`."""
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            run_child(request)
        hung = False
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            if time.monotonic() - started > request["limit"]:
                hung = True
                os.kill(child, signal.SIGKILL)
            time.sleep(0.005)
        answer = {
            "status": os.waitstatus_to_exitcode(status),
            "hung": hung,
            "seconds": time.monotonic() - started,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    load_everything(sys.argv[1], tuple(map(int, sys.argv[2].split(","))))
    serve()
