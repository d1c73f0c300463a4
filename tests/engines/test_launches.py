"""Launches that come to nothing end with one line, and leave an output to go on from.

The engines and workers are real; what is wrong with a worker is made by a module that
its Python imports when it starts.
"""

import json
import os
import pathlib
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
from engine_jobs import Ended, Site, Started, everything
from engine_table import (
    ROOT,
    external_flags,
    job_service,
    prism_runner,
    python_without_stylebeam,
    worker_pool,
)
from test_kills import children

OTHER_VERSION = """
import importlib.metadata
version = importlib.metadata.version
importlib.metadata.version = lambda n: "0.0.1" if n == "stylebeam" else version(n)
"""

NO_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
"""

LONG = "stylize-many"

slow = pytest.mark.skipif(not everything(), reason="only with ENGINES=all")


def job_json(output: str) -> dict[str, Any]:
    return dict(json.loads(pathlib.Path(output, "job.json").read_text("utf-8")))


def lines(ended: Ended) -> list[str]:
    """Return what was said, less how far it was."""
    return [x for x in ended.said.splitlines() if not re.match(r"\w+: \d+ of \d+", x)]


def check_failed_launch(ended: Ended, output: str, told: str) -> None:
    """A launch failed in one line, nothing is committed, job.json says so."""
    assert ended.status == 1, ended.about()
    (line,) = lines(ended)
    assert told in line, ended.about()
    assert line.startswith("stylebeam stylize: error: ")
    assert job_json(output)["status"] == "failed"
    assert told in job_json(output)["error"]
    tables = pathlib.Path(output).glob("**/*.parquet")
    assert not sum(pq.read_table(table).num_rows for table in tables)
    assert not pathlib.Path(output, "images").exists()


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (OTHER_VERSION, "has stylebeam 0.0.1 where the launcher has "),
        pytest.param(NO_TENSORFLOW, "tensorflow", marks=slow),
    ],
    ids=["other-version", "no-tensorflow"],
)
def test_worker_that_cannot_take_part_ends_the_job(
    broken: str, told: str, site: Site, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(broken)
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    output = str(tmp_path / "out")
    with job_service(site) as service, worker_pool(site, path=path) as (address, _):
        started = Started(external_flags(service, address))
        ended = site.run(site.argv("stylize-grid", started, output), started)
    check_failed_launch(ended, output, told)

    # With workers that can, the same command goes on.
    local = Started()
    again = site.run(site.argv("stylize-grid", local, output), local)
    assert again.status == 0, again.about()
    assert not site.wrong("stylize-grid", local, output)


@slow
def test_worker_without_stylebeam_ends_the_job(
    site: Site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else its Python would find the checkout, in which it starts.
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    python = str(python_without_stylebeam(tmp_path / "bare"))
    output = str(tmp_path / "out")
    pool = worker_pool(site, python=python, path="")
    with job_service(site) as service, pool as (address, _):
        started = Started(external_flags(service, address))
        ended = site.run(site.argv("stylize-grid", started, output), started)
    assert ended.status == 1, ended.about()
    assert "a worker has no stylebeam (No module named '" in ended.said
    assert job_json(output)["status"] == "failed"


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("engine", ["prism", pytest.param("service", marks=slow)])
def test_interrupt_cancels_the_job_and_the_same_command_goes_on(
    engine: str, site: Site, tmp_path: pathlib.Path
) -> None:
    output = str(tmp_path / "out")

    def run(started: Started) -> None:
        running = site.begin(site.argv(LONG, started, output), started)
        # Now it is in the engine's hands.
        until(lambda: pathlib.Path(output, "images").exists())
        os.kill(running.process, signal.SIGINT)
        ended = running.wait()
        assert ended.status == 130, ended.about()
        assert "was cancelled" in ended.said, ended.about()
        assert "the same command goes on from here" in ended.said
        assert "Traceback" not in ended.said, ended.about()
        assert job_json(output)["status"] == "interrupted"

    if engine == "prism":
        with prism_runner(site) as started:
            run(started)
    else:
        with job_service(site) as service, worker_pool(site) as (address, _):
            run(Started(external_flags(service, address)))
    local = Started()
    again = site.run(site.argv(LONG, local, output), local)
    assert again.status == 0, again.about()
    assert not site.wrong(LONG, local, output)


@slow
def test_paused_worker_is_missed_within_two_minutes(
    site: Site, tmp_path: pathlib.Path
) -> None:
    output = str(tmp_path / "out")
    with job_service(site) as service, worker_pool(site) as (address, pool):
        started = Started(external_flags(service, address))
        running = site.begin(site.argv(LONG, started, output), started)
        until(lambda: [*pathlib.Path(output).glob(".tmp/progress/*.json")])
        for process in children(pool.pid):
            os.kill(process, signal.SIGSTOP)
        began = time.monotonic()
        ended = running.wait()
        assert time.monotonic() - began < 120, ended.about()
        for process in children(pool.pid):
            os.kill(process, signal.SIGKILL)
    assert ended.status == 1, ended.about()
    assert "the job stands still" in ended.said, ended.about()
    assert "did not say for" in ended.said
    assert job_json(output)["status"] == "failed"


@slow
def test_job_service_that_dies_is_told_in_one_line(
    site: Site, tmp_path: pathlib.Path
) -> None:
    output = str(tmp_path / "out")
    with worker_pool(site) as (address, _), job_service(site) as service:
        started = Started(external_flags(service, address))
        running = site.begin(site.argv(LONG, started, output), started)
        until(lambda: [*pathlib.Path(output).glob(".tmp/progress/*.json")])
        port = service.rpartition(":")[2]
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            words = entry.read_bytes().split(b"\0")
            if b"--port" in words and port.encode() in words:
                os.kill(int(entry.parent.name), signal.SIGKILL)
        ended = running.wait()
    assert ended.status == 1, ended.about()
    assert "Traceback" not in ended.said, ended.about()
    (line,) = lines(ended)
    assert "the job failed on PortableRunner" in line, ended.about()
    assert job_json(output)["status"] == "failed"
