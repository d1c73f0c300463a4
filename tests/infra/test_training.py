"""The training's files for clusters: valid, and fit for the command they start."""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import time

import kubernetes_validate
import pytest
import yaml

from pipelines.cli import build_parser, config_from_args
from pipelines.train.cluster import cluster_from_environment
from pipelines.train.processes import PREEMPTED

TRAINING = pathlib.Path(__file__).resolve().parents[2] / "infra" / "training"
SERVICE, JOB = yaml.safe_load_all((TRAINING / "kubernetes.yaml").read_text("utf-8"))
POD = JOB["spec"]["template"]["spec"]
VERTEX = yaml.safe_load((TRAINING / "vertex.yaml").read_text("utf-8"))

# In place of the command: notes how it was started, and ends as it is told to.
STYLEBEAM = """#!/bin/sh
echo "$@" >> "$NOTES/arguments"
printf %s "${TF_CONFIG-}" > "$NOTES/tf_config"
trap 'exit 42' TERM
times=$(wc -l < "$NOTES/arguments")
if [ "$times" -le "${FORTY_TWOS-0}" ]; then exit 42; fi
if [ "${SLEEPS-}" ]; then touch "$NOTES/asleep"; sleep "$SLEEPS" & wait $!; fi
exit "${STATUS-0}"
"""


@pytest.fixture
def start(tmp_path):
    """Return a starter of a container's command, with a stand-in for stylebeam."""
    program = tmp_path / "bin" / "stylebeam"
    program.parent.mkdir()
    program.write_text(STYLEBEAM)
    program.chmod(0o755)

    def starter(container, **environment):
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [*container["command"], *container["args"]],
            env={**os.environ, "PATH": path, "NOTES": str(tmp_path), **environment},
        )

    return starter


def check_command(tmp_path):
    (first, *others) = (tmp_path / "arguments").read_text().splitlines()
    assert set(others) <= {first}
    args, rest = build_parser().parse_known_args(shlex.split(first))
    assert rest == []
    assert args.command == "train"
    return config_from_args(args)


@pytest.mark.parametrize("resource", [SERVICE, JOB], ids=["service", "job"])
def test_kubernetes_knows_every_field(resource):
    kubernetes_validate.validate(resource, "1.37", strict=True)


def test_kubernetes_would_not_know_a_misspelt_field():
    wrong = {**JOB, "spec": {**JOB["spec"], "podFailurePolicies": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


def action_on(status, job=JOB):
    for rule in job["spec"]["podFailurePolicy"]["rules"]:
        codes = rule.get("onExitCodes", {})
        if status in codes.get("values", ()):
            assert codes["operator"] == "In"
            (container,) = POD["containers"]
            assert codes["containerName"] == container["name"]
            return rule["action"]
    return "Count"


def test_statuses_of_the_command_mean_what_they_should():
    # test_processes.py sees the command give 42 when it is asked to stop and when it
    # loses a partner, test_job.py sees 2.
    actions = {status: action_on(status) for status in (1, 2, PREEMPTED, 137, 143)}
    counted = {1: "Count", 137: "Count", 143: "Count"}
    assert actions == {**counted, 2: "FailJob", PREEMPTED: "Ignore"}
    assert JOB["spec"]["backoffLimit"] > 0
    assert POD["restartPolicy"] == "Never"
    conditions = [
        (rule["action"], condition["type"])
        for rule in JOB["spec"]["podFailurePolicy"]["rules"]
        for condition in rule.get("onPodConditions", ())
    ]
    assert conditions == [("Ignore", "DisruptionTarget")]


def test_pods_are_found_by_the_names_in_tf_config(start, tmp_path):
    spec = JOB["spec"]
    name, subdomain = JOB["metadata"]["name"], POD["subdomain"]
    assert subdomain == SERVICE["metadata"]["name"]
    selector, labels = SERVICE["spec"]["selector"], spec["template"]["metadata"]
    assert selector == labels["labels"]
    (port,) = (port["port"] for port in SERVICE["spec"]["ports"])
    assert spec["completions"] == spec["parallelism"] > 1
    (container,) = POD["containers"]
    for index in range(spec["completions"]):
        assert start(container, JOB_COMPLETION_INDEX=str(index)).wait(60) == 0
        text = (tmp_path / "tf_config").read_text()
        cluster = cluster_from_environment({"TF_CONFIG": text})
        assert cluster.index == index
        assert cluster.addresses == [
            f"{name}-{pod}.{subdomain}:{port}" for pod in range(spec["completions"])
        ]
        assert set(json.loads(text)["cluster"]) == {"chief", "worker"}
    config = check_command(tmp_path)
    assert config.settings.batch_size % spec["completions"] == 0


@pytest.mark.parametrize("status", [0, 1, 2, 42])
def test_pod_ends_with_the_status_of_the_command(start, status):
    (container,) = POD["containers"]
    pod = start(container, JOB_COMPLETION_INDEX="1", STATUS=str(status))
    assert pod.wait(60) == status


def vertex_container(pool=0):
    return VERTEX["workerPoolSpecs"][pool]["containerSpec"]


def test_vertex_knows_every_field():
    """Against the types of the version that apache-beam[gcp] asks for."""
    types = pytest.importorskip(
        "google.cloud.aiplatform_v1.types", reason="needs the extra gcp"
    )
    from google.protobuf.json_format import ParseDict, ParseError

    message = ParseDict(VERTEX, types.CustomJobSpec.pb(types.CustomJobSpec()))
    spec = types.CustomJobSpec.wrap(message)
    assert spec.scheduling.strategy == types.Scheduling.Strategy.SPOT
    chief, workers = spec.worker_pool_specs
    assert (chief.replica_count, workers.replica_count) == (1, 2)
    with pytest.raises(ParseError):
        ParseDict({**VERTEX, "schedulin": {}}, type(message)())


def test_vertex_pools_run_one_command_whose_batch_divides(start, tmp_path):
    assert vertex_container(0) == vertex_container(1)
    assert start(vertex_container()).wait(60) == 0
    workers = sum(int(pool["replicaCount"]) for pool in VERTEX["workerPoolSpecs"])
    assert check_command(tmp_path).settings.batch_size % workers == 0


def test_vertex_tries_again_on_42_only(start, tmp_path):
    assert start(vertex_container(), FORTY_TWOS="3").wait(60) == 0
    assert len((tmp_path / "arguments").read_text().splitlines()) == 4
    for status in (1, 2):
        (tmp_path / "arguments").unlink()
        ended = start(vertex_container(), STATUS=str(status))
        assert ended.wait(60) == status
        assert len((tmp_path / "arguments").read_text().splitlines()) == 1


def test_vertex_machine_that_is_to_end_ends(start, tmp_path):
    container = start(vertex_container(), SLEEPS="60")
    end = time.monotonic() + 60
    while not (tmp_path / "asleep").exists() and time.monotonic() < end:
        time.sleep(0.05)
    container.send_signal(signal.SIGTERM)
    assert container.wait(30) == 42
    assert len((tmp_path / "arguments").read_text().splitlines()) == 1
