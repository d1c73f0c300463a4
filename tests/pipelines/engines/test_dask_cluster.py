import platform
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

pytest.importorskip("distributed", reason="pip install '.[dask]'")

from pipelines.engines.dask_cluster import check_cluster, connect, host_of
from pipelines.errors import UsageError

# Dask leaves sockets of its own behind.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_cluster_with_our_versions_is_taken(dask_options: Any) -> None:
    check_cluster(dask_options)


def test_another_python_is_refused(
    dask_options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter(["3.99.0"])
    ours = platform.python_version()
    # Asked here first, then on the workers.
    monkeypatch.setattr(platform, "python_version", lambda: next(found, ours))

    with pytest.raises(
        UsageError, match=rf"^Dask worker tcp://\S+ has Python {ours}, this process has"
    ):
        check_cluster(dask_options)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], "--runner DaskRunner: expected --dask_client_address=tcp://HOST:8786"),
        (["--dask_client_address=nowhere://x"], "no Dask scheduler answers there"),
        (["--dask_partition_size=7"], "--dask_partition_size 7: stylebeam cuts"),
    ],
)
def test_a_cluster_that_cannot_be_found_is_told(
    flags: list[str], expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        connect(PipelineOptions(flags))


@pytest.mark.parametrize(
    ("address", "host"),
    [("tcp://10.0.0.7:41234", "10.0.0.7"), ("tls://a.example:1", "a.example")],
)
def test_the_host_of_a_worker(address: str, host: str) -> None:
    assert host_of(address) == host
