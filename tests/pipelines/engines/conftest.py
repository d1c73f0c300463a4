from collections.abc import Iterator

import pytest
from apache_beam.options.pipeline_options import PipelineOptions


@pytest.fixture(scope="module")
def dask_options() -> Iterator[PipelineOptions]:
    """Options for a cluster of two workers with a thread each, in this process."""
    distributed = pytest.importorskip("distributed")
    import apache_beam.runners.dask.dask_runner  # noqa: F401 - its options

    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address=None,
    ) as cluster:
        yield PipelineOptions([f"--dask_client_address={cluster.scheduler_address}"])
