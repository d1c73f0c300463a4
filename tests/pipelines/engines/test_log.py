"""What a person sees of the logs of Beam and of engines."""

import logging
import sys
import threading
from typing import Any

import pytest

from pipelines.engines.log import QuietFilter, without_prints_of_beam


def record(name: str, level: int, module: str = "m") -> logging.LogRecord:
    made = logging.LogRecord(name, level, f"/x/{module}.py", 1, "text", (), None)
    assert made.module == module
    return made


@pytest.mark.parametrize(
    ("name", "level", "module", "shown"),
    [
        ("pipelines.engines.arrival", logging.INFO, "arrival", True),
        ("transforms.buckets.patience", logging.INFO, "patience", False),
        ("transforms.buckets.patience", logging.WARNING, "patience", True),
        ("apache_beam.runners.dataflow", logging.INFO, "dataflow_runner", False),
        ("apache_beam.runners.dataflow", logging.WARNING, "dataflow_runner", True),
        # "Really starting service at …"
        ("apache_beam.utils.subprocess_server", logging.WARNING, "x", False),
        ("distributed.client", logging.ERROR, "client", False),
        ("distributed.utils", logging.ERROR, "utils", False),
        # "with Pipeline() as p"
        (
            "apache_beam.runners.portability.portable_runner",
            logging.INFO,
            "portable_runner",
            False,
        ),
        # What the job ends with, by way of the root logger.
        ("root", logging.ERROR, "portable_runner", False),
        ("PrismRunner", logging.ERROR, "x", False),
        ("root", logging.WARNING, "decorators", False),
        ("absl", logging.ERROR, "x", True),
    ],
)
def test_what_is_shown(name: str, level: int, module: str, shown: bool) -> None:
    assert QuietFilter().filter(record(name, level, module)) is shown


def test_what_beam_prints_past_its_log_is_kept_off(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = compile("print('traceback', file=sys.stderr)", "x.py", "exec")
    worker = {"__name__": "apache_beam.runners.worker.sdk_worker", "sys": sys}
    ours = {"__name__": "pipelines.command.progress_bar", "sys": sys}
    with without_prints_of_beam():
        exec(code, worker)
        exec(code, ours)
    exec(code, worker)
    assert capsys.readouterr().err == "traceback\ntraceback\n"


@pytest.mark.parametrize(
    ("module", "shown"),
    [("apache_beam.runners.portability.portable_runner", 0), ("transforms.x", 1)],
)
def test_what_a_thread_of_beam_ends_with_is_kept_off(
    monkeypatch: pytest.MonkeyPatch, module: str, shown: int
) -> None:
    seen: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)
    names: dict[str, Any] = {"__name__": module}
    exec(compile("def listen():\n    raise OSError('gone')", "x.py", "exec"), names)
    with without_prints_of_beam():
        thread = threading.Thread(target=names["listen"])
        thread.start()
        thread.join()
    assert len(seen) == shown
