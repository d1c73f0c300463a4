"""The launcher adds up what the worker processes wrote."""

import concurrent.futures
import json

from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import (
    forget_progress,
    progress_of,
    read_doing,
    read_progress,
)


def test_totals_of_processes_are_added_and_their_spans_joined(tmp_path):
    output = OutputFolder(str(tmp_path))
    for pid, (began, ended, done) in enumerate([(10.0, 20.0, 3), (12.0, 25.5, 4)]):
        state = {"began": began, "ended": ended, "totals": {"cells_done": done}}
        output.write(f".tmp/progress/{pid}.json", json.dumps(state).encode())
    assert read_progress(output) == {"cells_done": 7, "running_seconds": 15.5}


def test_threads_lose_nothing(tmp_path):
    output = OutputFolder(str(tmp_path))
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        for _ in range(800):
            threads.submit(progress_of(output).add, cells_done=1)
    progress_of(output).flush()
    assert read_progress(output)["cells_done"] == 800


def test_a_new_job_starts_from_zero(tmp_path):
    output = OutputFolder(str(tmp_path))
    progress_of(output).add(cells_done=5)
    progress_of(output).flush()
    forget_progress(output)
    assert read_progress(output) == {}
    progress_of(output).add(cells_done=1)
    progress_of(output).flush()
    assert read_progress(output)["cells_done"] == 1


def test_remote_outputs_have_no_progress_files():
    output = OutputFolder("gs://bucket/out")
    progress_of(output).add(cells_done=1)
    progress_of(output).flush()
    assert read_progress(output) == {}


def test_what_a_process_is_doing_is_told_until_it_is_over(tmp_path):
    output = OutputFolder(str(tmp_path))
    progress_of(output).tell("step 3 of 9")
    progress_of(output).flush()
    assert read_doing(output) == ["step 3 of 9"]
    progress_of(output).tell("")
    progress_of(output).flush()
    assert read_doing(output) == []
