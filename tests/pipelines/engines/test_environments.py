"""What our pages say for Flink and Spark reaches Beam as it is meant.

No Flink and no Spark runs here: what is tested is that the commands of the pages are
taken, and which worker they ask an engine for.
"""

import pathlib
import re
import shlex

import pytest
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PortableOptions,
    SparkRunnerOptions,
)
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.transforms.environments import Environment

from pipelines.cli import build_parser
from pipelines.engines.launch import check_launch
from pipelines.engines.options import pipeline_options, runner_of, workers_are_here
from pipelines.errors import UsageError

ROOT = pathlib.Path(__file__).resolve().parents[3]


def commands():
    """Return the commands of our pages that name Flink or Spark."""
    text = (ROOT / "docs" / "running-at-scale.md").read_text("utf-8")
    lines = text.replace("\\\n", " ").splitlines()
    found = [
        line for line in lines if re.match(r"stylebeam .*(Flink|Spark)Runner", line)
    ]
    return [shlex.split(line)[1:] for line in found]


def options_of(argv):
    args, beam_flags = build_parser().parse_known_args(argv)
    assert args.command == "stylize"
    return pipeline_options(beam_flags)


def environment_of(options):
    """Return the environment that a pipeline is sent with."""
    portable = options.view_as(PortableOptions)
    return Environment.from_options(portable).to_runner_api(None)


def test_pages_have_commands_for_both():
    assert {runner_of(options_of(argv)) for argv in commands()} == {
        "FlinkRunner",
        "SparkRunner",
    }


@pytest.mark.parametrize("argv", commands(), ids=lambda argv: " ".join(argv)[-40:])
def test_command_of_a_page_is_taken_and_its_workers_are_elsewhere(argv):
    options = options_of(argv)

    assert not workers_are_here(options)
    environment = environment_of(options)
    if options.view_as(PortableOptions).environment_type == "PROCESS":
        assert environment.urn == common_urns.environments.PROCESS.urn
        payload = beam_runner_api_pb2.ProcessPayload.FromString(environment.payload)
        assert payload.command.endswith("boot.py")
    else:
        assert environment.urn == common_urns.environments.DOCKER.urn
        payload = beam_runner_api_pb2.DockerPayload.FromString(environment.payload)
        assert payload.container_image == "IMAGE"
    # The job servers that the pages name are not there.
    with pytest.raises(UsageError, match=r"_job_server_jar .*: expected a local file"):
        check_launch(options)


def test_process_has_the_variables_of_the_page():
    text = (ROOT / "docs" / "engines.md").read_text("utf-8")
    (config,) = re.findall(r"--environment_config='(\{.*\})'", text)

    options = pipeline_options(
        [
            "--runner=FlinkRunner",
            "--flink_master=jobmanager:8081",
            "--environment_type=PROCESS",
            f"--environment_config={config}",
        ]
    )

    payload = beam_runner_api_pb2.ProcessPayload.FromString(
        environment_of(options).payload
    )
    assert payload.command == "/srv/boot.py"
    assert dict(payload.env) == {"PATH": "/srv/venv/bin:/usr/bin:/bin"}


def test_master_that_nobody_listens_at_is_found_before_anything_is_written(tmp_path):
    jar = tmp_path / "server.jar"
    jar.touch()
    options = pipeline_options(
        [
            "--runner=FlinkRunner",
            "--flink_master=127.0.0.1:1",
            f"--flink_job_server_jar={jar}",
            "--environment_type=DOCKER",
        ]
    )

    with pytest.raises(UsageError, match=r"--flink_master 127\.0\.0\.1:1: cannot be"):
        check_launch(options)
    assert options.view_as(FlinkRunnerOptions).flink_job_server_jar == str(jar)


def test_spark_as_one_jar_needs_the_address_it_is_sent_to(tmp_path):
    jar = tmp_path / "server.jar"
    jar.touch()
    flags = [
        "--runner=SparkRunner",
        "--spark_submit_uber_jar",
        f"--spark_job_server_jar={jar}",
    ]

    with pytest.raises(UsageError, match="expected --spark_rest_url="):
        check_launch(pipeline_options(flags))
    elsewhere = pipeline_options([*flags, "--spark_rest_url=http://127.0.0.1:1"])
    with pytest.raises(UsageError, match=r"--spark_rest_url http://127\.0\.0\.1:1: "):
        check_launch(elsewhere)
    assert elsewhere.view_as(SparkRunnerOptions).spark_submit_uber_jar
