"""The other workers of a training, before its first step and after its last.

TensorFlow joins the workers by itself, but it waits in its own code, where no signal is
heard, and it knows no goodbye: to the coordination service, which lives in the chief, a
worker that has ended has crashed, and to a worker so has an ended chief. Both say so as
errors some seconds later. So the workers find each other here first, and the chief
leaves last.
"""

import contextlib
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final

from pipelines.errors import UsageError
from pipelines.train.cluster import TF_CONFIG, Cluster

# How long workers wait for each other: a cluster may have to start machines.
_MEETING_SECONDS: Final = 1800.0
_BEFORE_WORD_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.1

# How long the chief waits for others to end. They have nothing left to do, so this is
# for machines that are gone without a word, and for proxies that answer in their place.
_LEAVING_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 1.0


def wait_for_all(cluster: Cluster, seconds: float = _MEETING_SECONDS) -> None:
    """Return once every worker of the cluster can be reached.

    Each listens at its own address meanwhile, and TensorFlow's server does so after it.

    Args:
        cluster: The workers; nothing is waited for where there is one.
        seconds: How long at most.

    Raises:
        UsageError: The port of this worker is taken, or others did not come.
    """
    if cluster.workers == 1:
        return
    own = cluster.addresses[cluster.index]
    missing = [address for address in cluster.addresses if address != own]
    begun, told = time.monotonic(), False
    with _listening(own) as listener:
        while missing := [name for name in missing if not _answers(name)]:
            _hang_up(listener)
            waited = time.monotonic() - begun
            if waited > seconds:
                raise UsageError(
                    f"{TF_CONFIG}: {_named(missing)} did not answer for "
                    f"{round(seconds)} seconds. Start all workers, and check that "
                    "they reach each other at these addresses."
                )
            if waited > _BEFORE_WORD_SECONDS and not told:
                told = True
                print(f"train: waiting for {_named(missing)}", file=sys.stderr)
            time.sleep(_LOOK_SECONDS)


def leave_last(cluster: Cluster, seconds: float = _LEAVING_SECONDS) -> None:
    """Return once the process of this worker may end.

    Those of others may at once. The chief waits until nobody else listens any more.

    Args:
        cluster: The workers, all of which have met after their last step.
        seconds: How long at most.
    """
    if not cluster.chief:
        return
    end = time.monotonic() + seconds
    others = list(cluster.addresses[1:])
    while others and time.monotonic() < end:
        others = [address for address in others if _answers(address)]
        time.sleep(_LOOK_SECONDS if others else 0)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGINT end this process at once.

    While TensorFlow waits, a handler written in Python would never be called.
    """
    asked = (signal.SIGTERM, signal.SIGINT)
    old = {number: signal.signal(number, signal.SIG_DFL) for number in asked}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _listening(address: str) -> socket.socket:
    _, port = _parts(address)
    both = socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server(
            ("", port),
            family=socket.AF_INET6 if both else socket.AF_INET,
            dualstack_ipv6=both,
        )
    except OSError as error:
        raise UsageError(
            f"{TF_CONFIG}: this worker cannot listen at {address}: {error.strerror}. "
            "Does another process use the port?"
        ) from error
    listener.setblocking(False)
    return listener


def _hang_up(listener: socket.socket) -> None:
    """Take the calls that wait, so that there is room for more."""
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()


def _answers(address: str) -> bool:
    """Return whether somebody listens there."""
    try:
        socket.create_connection(_parts(address), _CONNECT_SECONDS).close()
    except OSError:  # Also where the name is not known yet, or no longer.
        return False
    return True


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _named(addresses: Iterable[str]) -> str:
    names = list(addresses)
    return f"worker{'s' if len(names) > 1 else ''} {', '.join(names)}"
