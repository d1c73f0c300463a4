"""Who works on a training: this process alone, or several that TF_CONFIG names."""

import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipelines.errors import UsageError

TF_CONFIG: Final = "TF_CONFIG"

# Beside what TensorFlow knows: the workers have a parent.
_LOCAL: Final = "local"

_ADDRESS: Final = re.compile(r".+:[0-9]{1,5}")

# In the order of their parts of a batch. Parameter servers are no part of this.
_TASKS: Final = ("chief", "worker")


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """The processes of a training.

    Attributes:
        addresses: Address of each worker, `host:port`; none for a process alone.
        index: Which of them this process is.
        local: Whether a process of this machine started them all. It holds the lock of
            the workdir.
    """

    addresses: Sequence[str] = ()
    index: int = 0
    local: bool = False

    @property
    def workers(self) -> int:
        """How many processes share a batch."""
        return max(1, len(self.addresses))

    @property
    def chief(self) -> bool:
        """Whether this process writes the files."""
        return self.index == 0


def cluster_from_environment(environment: Mapping[str, str] = os.environ) -> Cluster:
    """Return what TF_CONFIG says, checked.

    TensorFlow itself fails late or hangs on a wrong one.

    Raises:
        UsageError: It is not JSON of the known form, or its task is not in its cluster.
    """
    text = environment.get(TF_CONFIG)
    if not text:
        return Cluster()
    try:
        config = json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"{TF_CONFIG} is not JSON ({error}). Received: {text!r}. Unset it to train "
            "in one process."
        ) from error
    cluster, task = _parts(config)
    for name in cluster:
        if name not in _TASKS:
            raise UsageError(
                f"{TF_CONFIG} names tasks of type {name!r}; stylebeam knows "
                f"{' and '.join(_TASKS)}."
            )
    kind, index = task.get("type"), task.get("index")
    known = cluster.get(kind, []) if isinstance(kind, str) else []
    # `is`: True is an int to isinstance.
    if type(index) is not int or not 0 <= index < len(known):
        counts = ", ".join(f"{len(names)} {name}" for name, names in cluster.items())
        raise UsageError(
            f"{TF_CONFIG} says that this is task {kind!r} number {index!r}, but its "
            f"cluster has {counts or 'no tasks'}."
        )
    addresses = [address for name in _TASKS for address in cluster.get(name, [])]
    for address in addresses:
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
            raise UsageError(
                f"{TF_CONFIG} has the address {address!r}; expected host:port, such as "
                "10.0.0.7:2222."
            )
    before = len(cluster.get("chief", [])) if kind == "worker" else 0
    return Cluster(addresses, before + index, config.get(_LOCAL) is True)


def _parts(config: Any) -> tuple[dict[str, list[str]], dict[str, Any]]:
    if isinstance(config, dict):
        cluster, task = config.get("cluster"), config.get("task")
        if (
            isinstance(cluster, dict)
            and isinstance(task, dict)
            and all(isinstance(names, list) for names in cluster.values())
        ):
            return cluster, task
    raise UsageError(
        f"{TF_CONFIG} must be an object with `cluster` (lists of addresses by type) "
        f"and `task` (type and index). Received: {config!r}"
    )


def local_tf_config(addresses: Sequence[str], index: int) -> str:
    """Return the TF_CONFIG of one of several workers."""
    return json.dumps(
        {
            "cluster": {"worker": list(addresses)},
            "task": {"type": "worker", "index": index},
            _LOCAL: True,
        }
    )
