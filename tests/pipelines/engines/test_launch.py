"""A launch that cannot work ends with one line before anything is written."""

import importlib.util
import pathlib
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from pipelines.cli import main
from pipelines.engines import launch, options
from pipelines.engines.launch import check_launch
from pipelines.engines.options import pipeline_options, runner_of, workers_are_here
from pipelines.errors import UsageError

dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="no stylebeam[dask]"
)


@pytest.fixture
def closed() -> str:
    """An address at which nobody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address at which somebody listens who is no job service."""
    monkeypatch.setattr(launch, "_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def refused(*flags: str) -> str:
    with pytest.raises(UsageError) as caught:
        check_launch(pipeline_options(flags))
    return str(caught.value)


class TestRunners:
    @pytest.mark.parametrize(
        ("asked", "name"),
        [
            ("DirectRunner", "FnApiRunner"),
            ("direct", "FnApiRunner"),
            ("FnApiRunner", "FnApiRunner"),
            ("prism", "PrismRunner"),
            ("PORTABLERUNNER", "PortableRunner"),
            (
                "apache_beam.runners.portability.flink_runner.FlinkRunner",
                "FlinkRunner",
            ),
        ],
    )
    def test_name_may_be_written_as_beam_takes_it(self, asked: str, name: str) -> None:
        assert runner_of(pipeline_options([f"--runner={asked}"])) == name

    @pytest.mark.parametrize(
        "asked", ["Nothing", "SwitchingDirectRunner", "InteractiveRunner", ""]
    )
    def test_other_runner_is_refused_with_those_that_there_are(
        self, asked: str
    ) -> None:
        with pytest.raises(
            UsageError, match="there is no such runner; expected Direct"
        ):
            pipeline_options([f"--runner={asked}"])

    def test_missing_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(options._MODULES, "dask", ("no_such_module",))
        monkeypatch.setitem(options._MODULES, "gcp", ("no_such_module",))
        told = r"pip install 'stylebeam\[{}\]'"
        with pytest.raises(UsageError, match=told.format("gcp")):
            check_launch(pipeline_options(["--runner=DataflowRunner"]))
        # Whose flags are not known then.
        flags = ["--runner=DaskRunner", "--no_such_dask_flag=x"]
        with pytest.raises(UsageError, match=told.format("dask")):
            pipeline_options(flags)

    @pytest.mark.parametrize(
        ("flags", "here"),
        [
            ([], True),
            (["--runner=DirectRunner", "--direct_num_workers=2"], True),
            (["--runner=PrismRunner"], True),
            (["--runner=PrismRunner", "--environment_type=EXTERNAL"], False),
            (["--runner=PortableRunner"], False),
            (["--runner=PortableRunner", "--environment_type=LOOPBACK"], True),
            (["--runner=FlinkRunner"], True),
            (["--runner=FlinkRunner", "--flink_master=http://h:1"], False),
            (["--runner=SparkRunner"], True),
            (["--runner=SparkRunner", "--spark_master_url=spark://h:1"], False),
            (["--runner=DataflowRunner"], False),
        ],
    )
    def test_where_the_workers_are(self, flags: list[str], here: bool) -> None:
        assert workers_are_here(pipeline_options(flags)) is here


class TestAddresses:
    def test_job_service_that_is_not_there(self, closed: str) -> None:
        said = refused("--runner=PortableRunner", f"--job_endpoint={closed}")
        assert said.startswith(f"--job_endpoint {closed}: cannot be reached (")

    def test_job_service_that_is_none(self, deaf: str) -> None:
        said = refused("--runner=PortableRunner", f"--job_endpoint={deaf}")
        assert "it is no job service of Beam" in said

    @pytest.mark.parametrize("endpoint", ["localhost", "localhost:port", ":80"])
    def test_job_service_of_no_address(self, endpoint: str) -> None:
        said = refused("--runner=PortableRunner", f"--job_endpoint={endpoint}")
        assert said == f"--job_endpoint {endpoint}: expected HOST:PORT."

    def test_job_service_that_is_not_named(self) -> None:
        assert "--job_endpoint=HOST:PORT" in refused("--runner=PortableRunner")

    def test_master_that_is_not_there(
        self, closed: str, tmp_path: pathlib.Path
    ) -> None:
        jar = tmp_path / "server.jar"
        jar.touch()
        flink = refused(
            "--runner=FlinkRunner",
            f"--flink_job_server_jar={jar}",
            f"--flink_master=http://{closed}",
        )
        assert flink.startswith(f"--flink_master http://{closed}: cannot be reached")
        spark = refused(
            "--runner=SparkRunner",
            f"--spark_job_server_jar={jar}",
            f"--spark_master_url=spark://{closed}",
        )
        assert spark.startswith(f"--spark_master_url spark://{closed}: cannot be")

    @dask
    def test_scheduler_that_is_not_there(self, closed: str) -> None:
        said = refused("--runner=DaskRunner", f"--dask_client_address=tcp://{closed}")
        assert said.startswith(f"--dask_client_address tcp://{closed}: cannot be")

    @dask
    def test_scheduler_that_is_none(self, deaf: str) -> None:
        said = refused("--runner=DaskRunner", f"--dask_client_address=tcp://{deaf}")
        assert "no scheduler of Dask answers" in said or "no Dask scheduler" in said

    @dask
    def test_scheduler_that_is_not_named(self) -> None:
        # Beam would start a cluster of its own in this process.
        assert "--dask_client_address" in refused("--runner=DaskRunner")

    def test_job_service_that_answers(self) -> None:
        grpc = pytest.importorskip("grpc")
        from concurrent import futures

        from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

        class Service(beam_job_api_pb2_grpc.JobServiceServicer):
            def DescribePipelineOptions(self, request, context):  # noqa: N802
                return beam_job_api_pb2.DescribePipelineOptionsResponse()

        server = grpc.server(futures.ThreadPoolExecutor(2))
        beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(Service(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            for runner in ("PortableRunner", "PrismRunner", "FlinkRunner"):
                flags = [f"--runner={runner}", f"--job_endpoint=127.0.0.1:{port}"]
                check_launch(pipeline_options(flags))
        finally:
            server.stop(None)


class TestDownloads:
    @pytest.mark.parametrize(
        "flags",
        [
            [],
            ["--prism_location=https://github.com/apache/beam/releases/tag/v2.77.0"],
            ["--prism_location=/no/such/prism"],
            ["--prism_beam_version_override=v2.70.0"],
        ],
    )
    def test_prism_is_built_and_not_downloaded(self, flags: list[str]) -> None:
        said = refused("--runner=PrismRunner", *flags)
        assert "go install github.com/apache/beam/sdks/v2/go/cmd/prism@v" in said

    @pytest.mark.parametrize("runner", ["Flink", "Spark"])
    @pytest.mark.parametrize("jar", ["", "https://repo/x.jar", "/no/such.jar"])
    def test_job_server_is_not_downloaded(self, runner: str, jar: str) -> None:
        flags = [f"--runner={runner}Runner"]
        if jar:
            flags.append(f"--{runner.lower()}_job_server_jar={jar}")
        said = refused(*flags)
        assert "no job server is downloaded" in said
        assert f"org.apache.beam:beam-runners-{runner.lower()}-" in said


class TestDataflow:
    @pytest.fixture(autouse=True)
    def _with_its_packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(launch, "check_extra", lambda runner: None)
        monkeypatch.delenv("CLOUDSDK_COMPUTE_REGION", raising=False)

    GOOD = ("--project=p", "--region=r", "--temp_location=gs://b/t")

    @pytest.mark.parametrize("missing", ["--project", "--region", "--temp_location"])
    def test_flag_that_it_needs_is_named(self, missing: str) -> None:
        flags = [flag for flag in self.GOOD if not flag.startswith(missing)]
        said = refused("--runner=DataflowRunner", *flags)
        assert f"expected {missing}=" in said

    def test_staging_on_this_machine_is_refused(self) -> None:
        flags = ("--project=p", "--region=r", "--staging_location=/tmp/x")
        assert "--staging_location /tmp/x" in refused("--runner=DataflowRunner", *flags)

    def test_endpoint_that_is_not_there(self, closed: str) -> None:
        said = refused(
            "--runner=DataflowRunner",
            *self.GOOD,
            f"--dataflow_endpoint=http://{closed}",
        )
        assert "--dataflow_endpoint" in said

    def test_all_that_it_needs(self, deaf: str) -> None:
        flags = [*self.GOOD, f"--dataflow_endpoint=http://{deaf}"]
        check_launch(pipeline_options(["--runner=DataflowRunner", *flags]))


def test_environments_of_workers() -> None:
    said = refused("--runner=PortableRunner", "--environment_type=loopback")
    assert "expected one of LOOPBACK, DOCKER, PROCESS, EXTERNAL" in said
    said = refused("--runner=PortableRunner", "--environment_type=EXTERNAL")
    assert "--environment_config=HOST:PORT" in said


@pytest.fixture
def inputs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    for name in ("content", "style"):
        (tmp_path / name).mkdir()
        pixels = np.full((40, 40, 3), 128, np.uint8)
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
    return ["stylize", "--content", "content", "--style", "style", "--output", "out"]


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--runner=PortableRunner"], ["--content content", "--shared-filesystem"]),
        (["--runner=DataflowRunner"], ["--content content", "a bucket"]),
        (["--runner=PrismRunner"], ["--prism_location"]),
        (["--runner=Unknown"], ["--runner Unknown", "PrismRunner"]),
        (["--s3_session_token=abc"], ["--s3_session_token", "AWS_SESSION_TOKEN"]),
    ],
)
def test_launch_that_cannot_work_writes_nothing(
    flags: list[str],
    parts: list[str],
    inputs: list[str],
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*inputs, *flags]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert all(part in line for part in parts)
    assert "abc" not in line
    assert not (tmp_path / "out").exists()
    assert threading.active_count() < 50
