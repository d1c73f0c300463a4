"""Workers that find each other and leave in order, without TensorFlow."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from pipelines.errors import UsageError
from pipelines.train import partners
from pipelines.train.cluster import Cluster
from pipelines.train.partners import ended_by_signals, leave_last, wait_for_all
from pipelines.train.processes import free_ports


@pytest.fixture
def addresses():
    return [f"localhost:{port}" for port in free_ports(3)]


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def listener_at(address):
    return socket.create_server(("localhost", int(address.rpartition(":")[2])))


def test_one_worker_waits_for_nobody():
    wait_for_all(Cluster())
    wait_for_all(Cluster(["localhost:1"]))
    leave_last(Cluster())


def test_all_wait_until_the_last_has_come(addresses):
    early = [in_thread(wait_for_all, Cluster(addresses, index)) for index in (0, 1)]
    time.sleep(0.5)
    assert all(thread.is_alive() for thread in early)
    # As the server of TensorFlow: it stays.
    with listener_at(addresses[2]):
        for thread in early:
            thread.join(60)
        assert not any(thread.is_alive() for thread in early)


def test_who_does_not_come_is_named(addresses, monkeypatch, capfd):
    monkeypatch.setattr(partners, "_BEFORE_WORD_SECONDS", 0.2)
    with (
        listener_at(addresses[1]),
        pytest.raises(UsageError, match=f"TF_CONFIG: worker {addresses[2]} did not"),
    ):
        wait_for_all(Cluster(addresses, 0), seconds=2)
    said = f"train: waiting for worker {addresses[2]}\n"
    assert capfd.readouterr().err == said


def test_taken_port_is_told(addresses):
    with (
        listener_at(addresses[0]),
        pytest.raises(UsageError, match=f"cannot listen at {addresses[0]}"),
    ):
        wait_for_all(Cluster(addresses, 0), seconds=1)


def test_waiting_takes_more_calls_than_a_backlog_holds(addresses):
    waiting = in_thread(wait_for_all, Cluster(addresses[:2], 0))
    port = int(addresses[0].rpartition(":")[2])
    time.sleep(0.5)
    for _ in range(300):
        socket.create_connection(("localhost", port), 5).close()
    with listener_at(addresses[1]):
        waiting.join(60)
        assert not waiting.is_alive()


def test_chief_leaves_after_the_others(addresses):
    others = [listener_at(address) for address in addresses[1:]]
    chief = in_thread(leave_last, Cluster(addresses, 0))
    in_thread(leave_last, Cluster(addresses, 1)).join(1)
    others[0].close()
    time.sleep(0.5)
    assert chief.is_alive()
    others[1].close()
    chief.join(60)
    assert not chief.is_alive()


def test_chief_does_not_wait_for_ever(addresses):
    with listener_at(addresses[1]):
        begun = time.monotonic()
        leave_last(Cluster(addresses, 0), seconds=0.5)
        assert 0.4 < time.monotonic() - begun < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_a_process_that_waits_in_foreign_code(number):
    script = (
        "import ctypes, signal, sys\n"
        "from pipelines.train.partners import ended_by_signals\n"
        "signal.signal(signal.SIGTERM, lambda *a: None)\n"
        "with ended_by_signals():\n"
        "    print('here', flush=True)\n"
        # Holds Python's lock, as TensorFlow does.
        "    ctypes.PyDLL(None).sleep(20)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"here\n"
        begun = time.monotonic()
        process.send_signal(number)
        assert process.wait(30) == -number
        assert time.monotonic() - begun < 10


def test_handlers_come_back():
    heard = []
    old = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with ended_by_signals():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, old)
