"""A process that is stopped and wakes after another run took over commits nothing.

A run stops itself in the middle of a commit, at the two moments that matter. Its lease
is then ended in the way that docs/commands.md gives, and another run does the work.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from compare_outputs import paint
from engine_jobs import ROOT, everything

from pipelines import cli
from transforms.storage.bundle_folder import save_bundle
from transforms.storage.folder import OutputFolder
from transforms.storage.lease import LEASE
from transforms.stylize.manifest import MANIFEST_TABLE

STOPPING = pathlib.Path(__file__).parent / "stopping"


@pytest.fixture
def root(gs_bucket, tiny_bundle, tmp_path):
    place = OutputFolder(f"{gs_bucket.url}/project")
    for role, count in (("contents", 4), ("styles", 2)):
        for number in range(count):
            path = tmp_path / f"{number}.png"
            paint(48, 48, seed=len(role) * 10 + number).save(path)
            place.write(f"{role}/{number}.png", path.read_bytes())
    save_bundle(tiny_bundle, f"{place.root}/bundle")
    return place.root


def command(root, *flags):
    command = ["stylize", "--bundle", f"{root}/bundle", "--output", f"{root}/out"]
    command += ["--content", f"{root}/contents", "--style", f"{root}/styles"]
    return [*command, *flags]


def state(process):
    stat = pathlib.Path(f"/proc/{process.pid}/stat").read_text("utf-8")
    return stat.rpartition(")")[2].split()[0]


@contextlib.contextmanager
def stopped_run(root, moment, log):
    """Run a command that stops itself at its second commit; yield when it has."""
    paths = [str(STOPPING), str(ROOT)]
    variables = {"STOP_AT": moment, "STOP_AFTER": "2"}
    variables["PYTHONPATH"] = os.pathsep.join(paths)
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", *command(root)],
            cwd=ROOT,
            stderr=said,
            stdout=said,
            env={**os.environ, **variables},
        )
    try:
        end = time.monotonic() + 90
        while state(process) != "T":
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, "it did not stop"
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


def objects(output):
    """Return name and version of every object, apart from temporary ones."""
    names = [name.lstrip("/") for name in output.below("")]
    return {
        name: output.read(name)
        for name in names
        if not name.startswith((".tmp/", ".l"))
    }


# Behind its look is the harder moment; tests of transforms.storage hold both.
@pytest.mark.parametrize(
    "moment", ["before", "between"] if everything() else ["between"]
)
def test_what_wakes_after_takeover_commits_nothing(root, tmp_path, capfd, moment):
    output, log = OutputFolder(f"{root}/out"), tmp_path / "log"
    with stopped_run(root, moment, log) as process:
        assert cli.main(command(root)) == 2  # It is there, though it does nothing.
        assert "another run is writing it" in capfd.readouterr().err
        output.delete(LEASE)
        # The way out leads to other bytes, so that what came late would be seen.
        assert cli.main(command(root, "--overwrite", "--content-size", "40")) == 0
        assert "8 cells = 8 done + 0 kept + 0 failed" in capfd.readouterr().err
        before = objects(output)
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 1
    said = log.read_text().strip().splitlines()
    assert f"--output {root}/out: the lease of run r" in said[-1]
    late = {n: d for n, d in objects(output).items() if before.get(n) != d}
    if moment == "before":
        assert late == {}
    else:
        # It was about to write one file, whose number does not count.
        (name,) = late
        assert name.startswith(f"{MANIFEST_TABLE.journal}/")
        assert name.endswith(".run1.parquet")
    assert before.keys() <= objects(output).keys()

    assert cli.main(command(root, "--content-size", "40")) == 0
    assert "8 cells = 0 done + 8 kept + 0 failed" in capfd.readouterr().err
    assert not output.names(MANIFEST_TABLE.journal)
    assert cli.main(["verify", output.root]) == 0
    assert {row["width"] for row in MANIFEST_TABLE.all_rows(output)} == {40}


def test_run_that_is_killed_is_taken_over_and_gone_on_from(root, tmp_path, capfd):
    output = OutputFolder(f"{root}/out")
    with stopped_run(root, "between", tmp_path / "log"):
        pass  # It is killed.
    assert output.is_file(LEASE)
    committed = output.names(MANIFEST_TABLE.journal)
    assert [name.endswith(".run1.parquet") for name in committed] == [True]
    assert cli.main(command(root)) == 0
    assert "8 cells = 6 done + 2 kept + 0 failed" in capfd.readouterr().err
    assert output.read_json("job.json")["lease"] == {"number": 2, "since": 1}
    assert not output.is_file(LEASE)
    assert not output.names(MANIFEST_TABLE.journal)
    assert cli.main(["verify", output.root]) == 0
