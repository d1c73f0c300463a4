"""`job.json` tells whether it is as it was written."""

import contextlib
import json
import pathlib

import pytest

from pipelines.command.job_file import JOB, write_job, wrong_job
from transforms.storage.folder import OutputFolder

WRITTEN = {
    "command": "stylize",
    "config": {"alpha": [0.5, 1.0], "content": ["photos"], "seed": None},
    "counts": {"cells_done": 12},
    "status": "done",
}


@pytest.fixture
def output(tmp_path: pathlib.Path) -> OutputFolder:
    output = OutputFolder(str(tmp_path))
    write_job(output, WRITTEN)
    return output


def test_what_was_written_is_right(output: OutputFolder) -> None:
    found = output.read_json(JOB)

    assert wrong_job(found) is None
    assert {**found, "crc32c": ""} == {**WRITTEN, "crc32c": ""}


def test_each_flipped_bit_is_seen(output: OutputFolder) -> None:
    data = output.read(JOB)
    seen = 0
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(ValueError):
            found = json.loads(damaged)
            # A blank that became another blank says the same.
            if found != WRITTEN and found != json.loads(data):
                assert wrong_job(found) is not None, damaged
                seen += 1
    assert seen > 500


def test_one_of_an_earlier_version_is_right() -> None:
    assert wrong_job(WRITTEN) is None


def test_one_that_is_written_again_is_right(output: OutputFolder) -> None:
    write_job(output, {**output.read_json(JOB), "status": "failed"})

    assert wrong_job(output.read_json(JOB)) is None


def test_whoever_changed_it_by_hand_is_told_what_to_do(output: OutputFolder) -> None:
    changed = {**output.read_json(JOB), "status": "failed"}

    assert wrong_job(changed) == (
        "it is not as it was written; if you changed it by hand, delete its line "
        '"crc32c"'
    )
    del changed["crc32c"]
    assert wrong_job(changed) is None
