"""Starting worker processes, with scripts instead of trainings."""

import json
import os
import signal
import sys
import threading
import time

import pytest

from pipelines.errors import UsageError
from pipelines.train.cluster import cluster_from_environment, local_tf_config
from pipelines.train.processes import run_workers


def script(text):
    return [sys.executable, "-c", "import json, os, pathlib, signal, time\n" + text]


INDEX = "index = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"


def test_all_done_is_done():
    assert run_workers(script("pass"), 2, lambda: None) == 0


@pytest.mark.parametrize("status", [1, 2, 42])
def test_own_exit_of_a_worker_ends_the_run(status):
    command = script(INDEX + f"raise SystemExit({status} if index else {status})")
    assert run_workers(command, 2, lambda: None) == status


@pytest.mark.parametrize("cause", [1, 2])
def test_status_is_that_of_the_cause_not_of_its_partner(cause):
    # The partner may notice before the other's process has ended.
    late = f"time.sleep(0.5 * index); raise SystemExit({cause} if index else 42)"
    assert run_workers(script(INDEX + late), 2, lambda: None) == cause


def test_killed_worker_counts_before_the_partner_that_lost_it(tmp_path):
    text = f"""
mark = pathlib.Path({str(tmp_path)!r}, f"{{index}}")
first = not mark.exists()
mark.touch()
if first and index == 1:
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
if first:
    raise SystemExit(42)
"""
    assert run_workers(script(INDEX + text), 2, lambda: 7) == 0


def test_killed_worker_is_started_again_with_its_partner(tmp_path, caplog):
    text = f"""
mark = pathlib.Path({str(tmp_path)!r}, f"{{index}}")
first = not mark.exists()
mark.touch()
if first and index == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if first:
    time.sleep(60)  # As in a collective without its partner.
"""
    begun = time.monotonic()
    assert run_workers(script(INDEX + text), 2, lambda: 7) == 0
    assert time.monotonic() - begun < 30
    assert "last checkpoint (step 7)" in caplog.text


def test_workers_that_always_die_are_given_up(capfd):
    command = script("os.kill(os.getpid(), signal.SIGKILL)")
    assert run_workers(command, 2, lambda: 7) == 1
    assert "giving up" in capfd.readouterr().err


def test_sigterm_before_the_workers_listen_is_no_reason_to_start_again():
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    assert run_workers(script("time.sleep(60)"), 2, lambda: None) == 42


def test_chief_and_workers_have_parts_in_order():
    config = (
        '{"cluster": {"worker": ["b:1", "c:1"], "chief": ["a:1"]},'
        ' "task": {"type": "worker", "index": 1}}'
    )
    cluster = cluster_from_environment({"TF_CONFIG": config})
    assert list(cluster.addresses) == ["a:1", "b:1", "c:1"]
    assert (cluster.index, cluster.workers, cluster.chief) == (2, 3, False)


def test_local_tf_config_is_understood():
    cluster = cluster_from_environment(
        {"TF_CONFIG": local_tf_config(["a:1", "b:2"], 0)}
    )
    assert (cluster.index, cluster.workers, cluster.chief) == (0, 2, True)


def test_true_is_no_index():
    config = (
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": true}}'
    )
    with pytest.raises(UsageError, match="number True"):
        cluster_from_environment({"TF_CONFIG": config})


@pytest.mark.parametrize("address", ["host", "host:", ":1", "host:port", 7, None])
def test_address_without_host_or_port_is_refused(address):
    config = {
        "cluster": {"worker": ["a:1", address]},
        "task": {"type": "worker", "index": 0},
    }
    with pytest.raises(UsageError, match="expected host:port"):
        cluster_from_environment({"TF_CONFIG": json.dumps(config)})
