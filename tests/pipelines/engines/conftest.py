from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions


@pytest.fixture(scope="module")
def dask_cluster() -> Iterator[Any]:
    """A Dask cluster of two workers with a thread each, in this process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address=None,
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def dask_options(dask_cluster: Any) -> PipelineOptions:
    """Options for that cluster."""
    import apache_beam.runners.dask.dask_runner  # noqa: F401 - its options

    address = dask_cluster.scheduler_address
    return PipelineOptions([f"--dask_client_address={address}"])
