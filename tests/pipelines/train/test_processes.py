"""`stylebeam train` killed, stopped and shared, in processes as users run it."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from pipelines.train.processes import free_ports

pytestmark = pytest.mark.slow

STEPS = 60
SIXTY = ("--steps", "60", "--checkpoint-every", "30", "--eval-every", "60")

# Where the runs are killed; printed by pytest when a test fails.
SEED = 20170320

ROOT = pathlib.Path(__file__).parents[3]


def start(command, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *command],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def finish(process, timeout=240):
    _, error = process.communicate(timeout=timeout)
    return process.returncode, error


def run(command):
    status, error = finish(start(command))
    assert status == 0, error
    assert "oneDNN" not in error
    return error


def rows(workdir, kind=None):
    lines = (workdir / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    found = [json.loads(line) for line in lines if line.endswith(b"\n")]
    for row in found:
        row.pop("crc32c", None)  # It depends on the clock, too.
        row.pop("seconds", None)
        row.pop("input_seconds", None)
    return [row for row in found if kind in (None, row["kind"])]


def wait_for_step(workdir, step, process, timeout=180):
    end = time.monotonic() + timeout
    while time.monotonic() < end and process.poll() is None:
        if (workdir / "metrics.jsonl").exists() and any(
            row["step"] >= step for row in rows(workdir)
        ):
            return
        time.sleep(0.002)
    raise AssertionError(f"step {step} was not seen: {process.communicate()}")


def tensors(workdir, step=STEPS):
    path = workdir / "checkpoints" / f"ckpt-{step}"
    reader = tf.train.load_checkpoint(str(path))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "OBJECT_GRAPH" not in name and "save_counter" not in name
    }


def assert_equal_trainings(one, two):
    assert rows(one) == rows(two)
    left, right = tensors(one), tensors(two)
    assert left.keys() == right.keys()
    for name, array in left.items():
        np.testing.assert_array_equal(array, right[name], err_msg=name)
    for name in ("bundle.json", "decoder.npz", "encoder.npz"):
        path = pathlib.Path("bundle") / name
        assert (one / path).read_bytes() == (two / path).read_bytes()


@pytest.fixture(scope="module")
def straight(train_command, tmp_path_factory):
    """60 steps without a break."""
    workdir = tmp_path_factory.mktemp("straight")
    run(train_command(workdir, *SIXTY))
    return workdir


def test_resume_after_a_kill_is_exact(train_command, straight, tmp_path):
    step = random.Random(SEED).randrange(31, 59)
    print(f"killed at step {step}")
    process = start(train_command(tmp_path, *SIXTY))
    wait_for_step(tmp_path, step, process)
    process.kill()
    finish(process)
    assert not (tmp_path / "checkpoints" / "ckpt-60.index").exists()
    error = run(train_command(tmp_path, *SIXTY))
    assert "going on after step 30" in error
    assert_equal_trainings(straight, tmp_path)


def test_resume_after_sigterm_is_exact(train_command, straight, tmp_path):
    step = random.Random(SEED + 1).randrange(5, 50)
    print(f"stopped at step {step}")
    process = start(train_command(tmp_path, *SIXTY))
    wait_for_step(tmp_path, step, process)
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    status, error = finish(process)
    assert status == 42, error
    assert time.monotonic() - sent < 20
    (index,) = (
        p for p in (tmp_path / "checkpoints").glob("*.index") if "-30" not in p.name
    )
    saved = int(index.name.removeprefix("ckpt-").removesuffix(".index"))
    assert step <= saved < STEPS
    assert f"going on after step {saved}" in run(train_command(tmp_path, *SIXTY))
    assert_equal_trainings(straight, tmp_path)


TWENTY = ("--steps", "20", "--batch-size", "8", "--eval-every", "20")


# With Adam and every flag: test_flags.py.
def test_two_workers_are_one(train_command, tmp_path):
    # So small a rate that nothing explodes: then rounding would, too.
    flags = (*TWENTY, "--optimizer", "sgd", "--learning-rate", "3e-5")
    for name, workers in (("one", "1"), ("two", "2")):
        run(train_command(tmp_path / name, *flags, "--local-workers", workers))
    one, two = (rows(tmp_path / name, "train") for name in ("one", "two"))
    assert len(one) == len(two) == 20
    for left, right in zip(one, two, strict=True):
        assert right["total"] == pytest.approx(left["total"], rel=1e-3)
    left, right = (tensors(tmp_path / name, 20) for name in ("one", "two"))
    # The weights by their shortest names, which go through the optimizer.
    weights = [name for name in left if "_trainable_variables" in name]
    assert len(weights) == 16
    for name in weights:
        np.testing.assert_allclose(right[name], left[name], atol=1e-5)


# What TensorFlow says of a partner that is gone.
CRASH = ("crashed", "UNAVAILABLE", "StartAbort", "Traceback")

# Runs a command, and stays some time before the process ends. TensorFlow misses a
# worker after ten seconds without a heartbeat.
LINGER = (
    "import sys, time; from pipelines.cli import main; status = main(sys.argv[2:]); "
    "sys.stdout.flush(); time.sleep(float(sys.argv[1])); sys.exit(status)"
)


def start_task(command, kind, addresses, linger=0.0):
    cluster = {"chief": addresses[:1], "worker": addresses[1:]}
    config = {"cluster": cluster, "task": {"type": kind, "index": 0}}
    return subprocess.Popen(
        [sys.executable, "-c", LINGER, str(linger), *command],
        cwd=ROOT,
        env={
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "",
            "TF_CONFIG": json.dumps(config),
        },
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def start_cluster(command, lingers=(0.0, 0.0)):
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    return [
        start_task(command, kind, addresses, linger)
        for kind, linger in zip(("chief", "worker"), lingers, strict=True)
    ]


def test_chief_waits_for_a_slow_partner(train_command, tmp_path):
    flags = ("--steps", "2", "--eval-every", "2")
    tasks = start_cluster(train_command(tmp_path, *flags), lingers=(0.0, 15.0))
    for task in reversed(tasks):
        status, error = finish(task)
        assert status == 0, error
        for word in CRASH:
            assert word not in error
    assert error.splitlines()[-1].startswith("train: held out after step 2")


def test_last_words_of_local_workers_are_ours(train_command, tmp_path):
    flags = ("--steps", "2", "--eval-every", "2", "--local-workers", "2")
    error = run(train_command(tmp_path, *flags))
    assert all(line.startswith("train: ") for line in error.splitlines()), error


def test_partner_of_a_killed_worker_ends_to_be_started_again(train_command, tmp_path):
    command = train_command(
        tmp_path, "--steps", "60", "--checkpoint-every", "10", "--eval-every", "60"
    )
    chief, worker = start_cluster(command)
    wait_for_step(tmp_path, 12, chief)
    worker.kill()
    status, error = finish(chief)
    assert status == 42, error
    assert "Traceback" not in error
    last = error.splitlines()[-1]
    assert last.startswith("stylebeam train: worker 0 lost another worker")
    finish(worker)
    # As a supervisor does that knows what 42 means.
    for task in start_cluster(command):
        status, error = finish(task)
        assert status == 0, error
    assert [row["step"] for row in rows(tmp_path, "train")] == list(range(1, 61))


def test_worker_lost_after_the_last_step_need_not_come_back(train_command, tmp_path):
    flags = ("--steps", "2", "--eval-every", "2")
    for task in start_cluster(train_command(tmp_path, *flags)):
        assert finish(task)[0] == 0
    (tmp_path / "metrics.jsonl").write_text("")  # The evaluation was lost, too.
    for kind in ("worker", "chief"):
        addresses = [f"localhost:{port}" for port in free_ports(2)]
        task = start_task(train_command(tmp_path, *flags), kind, addresses)
        status, error = finish(task, timeout=100)
        assert status == 0, error
    assert [row["step"] for row in rows(tmp_path, "held_out")] == [2]


def test_one_that_is_asked_to_stop_stops_all_with_42(train_command, tmp_path):
    chief, worker = start_cluster(train_command(tmp_path, *SIXTY))
    wait_for_step(tmp_path, 7, chief)
    worker.send_signal(signal.SIGTERM)
    for task in (worker, chief):
        status, error = finish(task)
        assert status == 42, error
        for word in CRASH:
            assert word not in error


def test_sigterm_while_partners_are_awaited_is_42(train_command, tmp_path):
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    chief = start_task(train_command(tmp_path, *SIXTY), "chief", addresses)
    port = int(addresses[0].rpartition(":")[2])
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            socket.create_connection(("localhost", port), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    chief.send_signal(signal.SIGTERM)
    status, error = finish(chief, timeout=30)
    assert status == 42, error
    assert error == (
        "stylebeam train: stopped before the next step; the same command goes on\n"
    )


def children_of(pid):
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


@pytest.mark.parametrize("victim", [0, 1], ids=["chief", "other"])
def test_workers_go_on_when_one_is_killed(train_command, tmp_path, victim):
    flags = ("--steps", "60", "--checkpoint-every", "10", "--eval-every", "60")
    step = random.Random(SEED + 2 + victim).randrange(12, 50)
    print(f"worker {victim} killed at step {step}")
    process = start(train_command(tmp_path, *flags, "--local-workers", "2"))
    wait_for_step(tmp_path, step, process)
    workers = children_of(process.pid)
    assert len(workers) == 2
    os.kill(workers[victim], signal.SIGKILL)
    status, error = finish(process)
    assert status == 0, error
    assert "all start again from the last checkpoint" in error
    assert "going on after step" in error
    assert [row["step"] for row in rows(tmp_path, "train")] == list(range(1, 61))
    # What other workers saved has no final name.
    names = {
        path.name.partition(".")[0] for path in (tmp_path / "checkpoints").iterdir()
    }
    assert names == {"checkpoint", "ckpt-40", "ckpt-50", "ckpt-60"}


def test_sigterm_stops_all_workers_at_one_step(train_command, tmp_path):
    flags = (*SIXTY, "--local-workers", "2")
    process = start(train_command(tmp_path, *flags))
    wait_for_step(tmp_path, 7, process)
    process.send_signal(signal.SIGTERM)
    status, error = finish(process)
    assert status == 42, error
    assert run(train_command(tmp_path, *flags)).count("going on after step") == 1
    assert [row["step"] for row in rows(tmp_path, "train")] == list(range(1, 61))
