"""A run that is killed and started again ends as one that nobody disturbed."""

import pathlib
import random
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.adain.stylizer import to_uint8

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture
def many(inputs, picture):
    """Write more contents: a block each, and time to be killed in."""
    for index in range(20):
        image = Image.fromarray(to_uint8(picture(64, 96, seed=200 + index)))
        image.save(inputs / "contents" / f"more-{index:02d}.png")


def committed(folder):
    """Return the pictures of all committed blocks, and when they were written."""
    rows = []
    for path in (folder / "manifest" / ".journal").glob("*.parquet"):
        rows += pq.read_table(path).to_pylist()
    names = {row["shard"] or row["path"] for row in rows}
    return {name: (folder / name).stat().st_mtime_ns for name in names}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        *((kind, seed) for kind in ("files", "webdataset") for seed in range(3)),
        ("tfrecord", 0),
    ],
)
def test_killed_run_goes_on_where_it_was(run, inputs, many, seed, kind, files_of):
    flags = ["--alpha", "0.2,0.4,0.6,0.8,1", "--output-format", kind]
    run(*flags, output="whole")
    command = [sys.executable, "-m", "pipelines", "stylize", *flags]
    command += ["--content", str(inputs / "contents")]
    command += ["--style", str(inputs / "styles"), "--output", str(inputs / "out")]
    command += ["--bundle", str(inputs / "bundle")]
    wanted = random.Random(seed).randint(1, 20)
    print(f"killed after {wanted} commits (seed {seed})")
    journal = inputs / "out" / "manifest" / ".journal"
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            if len(list(journal.glob("*.parquet"))) >= wanted:
                break
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert journal.exists(), "the run ended before it could be killed"
    before = committed(inputs / "out")
    assert len(before) >= 1
    status, _, err = run(*flags)
    assert status == 0
    assert "+ 0 kept" not in err
    assert files_of(inputs / "out") == files_of(inputs / "whole")
    if kind == "files":
        after = {name: (inputs / "out" / name).stat().st_mtime_ns for name in before}
        assert after == before
