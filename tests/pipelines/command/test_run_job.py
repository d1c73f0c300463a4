"""From a configuration to an exit status through Beam, with a command of the test."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    S3Options,
)
from apache_beam.runners.runner import PipelineResult

from model.options import option, required
from pipelines.command import run_job as run_job_module
from pipelines.command.balances import Balance
from pipelines.command.run_job import Command, run_job
from pipelines.engines.config import LaunchConfig
from pipelines.engines.options import make_runner, pipeline_options, shared_cores
from pipelines.errors import EngineError, StorageError, UsageError
from transforms.storage.folder import OutputFolder

NAMES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@dataclasses.dataclass(frozen=True)
class CountConfig:
    """What the command was asked to do."""

    output: str = required("folder", metavar="D", path="written")
    amount: int = option(1, "how many")
    max_failure_rate: float = option(0.0, "share")
    overwrite: bool = option(False, "anew")
    launch: LaunchConfig = dataclasses.field(default_factory=LaunchConfig)


def plan(config: CountConfig) -> list[int]:
    if config.amount < 0:
        raise UsageError(f"--amount {config.amount}: expected at least 0.")
    return list(range(config.amount))


def build(
    pipeline: beam.Pipeline, config: CountConfig, plan: list[int], output: OutputFolder
) -> Any:
    for name in NAMES:
        output.write(name, os.environ.get(name, "-").encode())
    counts = [("things_planned", 1), ("things_done", 1)]
    return (
        pipeline
        | "Create" >> beam.Create(plan)
        | "Count" >> beam.FlatMap(lambda _: counts)
    )


def balances(plan: list[int], counts: Mapping[str, int]) -> list[Balance]:
    assert counts.get("things_planned", 0) == len(plan)
    return [Balance.of_work("things", counts)]


def count(amount: int, output: pathlib.Path, *flags: str, **changes: Any) -> int:
    command: Command[CountConfig, list[int]] = Command(
        name="count",
        plan=plan,
        names=lambda output: ("things",),
        identity=lambda config, plan: {"amount": config.amount},
        unit="things",
        total=lambda config, plan: len(plan),
        build=build,
        balances=balances,
        end=lambda config, plan, output: "things",
    )
    launch = changes.pop("launch", LaunchConfig())
    command = dataclasses.replace(command, **changes)
    return run_job(command, CountConfig(str(output), amount, launch=launch), flags)


@pytest.fixture
def output(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "out"


def test_counts_of_the_pipeline_decide(
    output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count(3, output) == 0

    job = json.loads((output / "job.json").read_text("utf-8"))
    assert job["counts"] == {"things_planned": 3, "things_done": 3}
    assert job["identity"] == {"amount": 3}
    assert job["config"]["amount"] == 3
    printed = capsys.readouterr()
    assert printed.out == f"{output}/things\n"
    assert "count: 3 things = 3 done + 0 kept + 0 failed" in printed.err
    assert not (output / ".tmp").exists()


def test_tables_that_do_not_tell_of_all_are_a_defect(output: pathlib.Path) -> None:
    with pytest.raises(RuntimeError, match="2 things were done, but the tables"):
        count(3, output, untold=lambda output, counts: counts["things_done"] - 1)

    job = json.loads((output / "job.json").read_text("utf-8"))
    assert job["status"] == "failed"
    assert job["error"].startswith("2 things were done, but the tables")


def test_nothing_to_do_is_status_1(output: pathlib.Path) -> None:
    assert count(0, output) == 1


@pytest.mark.parametrize("flags", [["--no-such-flag"], ["--direct_num_workers=two"]])
def test_flag_of_nobody_is_refused_before_the_plan(
    output: pathlib.Path, flags: list[str]
) -> None:
    with pytest.raises(UsageError, match=r"direct_num_workers|--no-such-flag"):
        count(-1, output, *flags)
    assert not output.exists()


def test_plan_that_cannot_be_done_writes_nothing(output: pathlib.Path) -> None:
    with pytest.raises(UsageError, match="--amount -1"):
        count(-1, output)
    assert not output.exists()


def test_command_may_end_before_the_run(output: pathlib.Path) -> None:
    assert count(3, output, begin=lambda config, plan: False) == 0
    assert not output.exists()


def test_output_is_checked_before_the_command_begins(output: pathlib.Path) -> None:
    assert count(3, output) == 0

    with pytest.raises(UsageError, match="was made with amount 3"):
        count(4, output, begin=lambda config, plan: pytest.fail("it began"))


TEMPLATE = "--template_location=gs://bucket/job"


@pytest.fixture
def flex(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a flex template; the runner still is the local one."""
    monkeypatch.setenv("FLEX_TEMPLATE_PYTHON_PY_FILE", "/opt/stylebeam/launch.py")


def job_json(output: pathlib.Path) -> dict[str, Any]:
    return dict(json.loads((output / "job.json").read_text("utf-8")))


@pytest.mark.usefixtures("flex")
def test_last_step_does_what_the_launcher_does(
    output: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count(3, tmp_path / "other") == 0
    capsys.readouterr()

    assert count(3, output, TEMPLATE) == 0

    ours, launchers = job_json(output), job_json(tmp_path / "other")
    for changing in ("run_id", "started", "seconds", "crc32c"):
        assert ours.pop(changing) != launchers.pop(changing)
    assert ours.pop("config") == {**launchers.pop("config"), "output": str(output)}
    assert ours.pop("launch") == {"beam_flags": [TEMPLATE]}
    assert ours == launchers
    assert not (output / ".tmp").exists()
    assert not (output / ".lock").exists()
    printed = capsys.readouterr()
    assert printed.out == ""  # The gallery is not there yet.
    assert f"goes on by itself; its last step says in {output}/job.json" in printed.err


@pytest.mark.usefixtures("flex")
def test_job_without_its_launcher_fails_where_the_launcher_would(
    output: pathlib.Path,
) -> None:
    with pytest.raises(Exception, match=r"0 things = 0 done.*or nothing was done"):
        count(0, output, TEMPLATE)

    assert job_json(output)["status"] == "failed"


@pytest.mark.usefixtures("flex")
def test_job_without_its_launcher_that_lost_something_fails(
    output: pathlib.Path,
) -> None:
    def lossy(plan: list[int], counts: Mapping[str, int]) -> list[Balance]:
        return [Balance("things", 4, {"done": counts["things_done"]}, 0)]

    with pytest.raises(Exception, match="1 things were lost"):
        count(3, output, TEMPLATE, balances=lossy)


def test_classic_template_is_refused_before_the_plan(
    output: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLEX_TEMPLATE_PYTHON_PY_FILE", raising=False)

    with pytest.raises(UsageError, match=r"freeze the inputs .* Use a flex template"):
        count(-1, output, TEMPLATE)

    assert not output.exists()


def test_job_that_left_no_counts_is_told(
    output: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a runner does that returns before the job is over.
    monkeypatch.setattr(beam.Pipeline, "run", lambda _: PipelineResult("RUNNING"))
    monkeypatch.setattr(PipelineResult, "wait_until_finish", lambda _: None)

    with pytest.raises(RuntimeError, match="left no counts"):
        count(3, output)


def test_pipeline_runs_with_its_share_of_the_cores(
    output: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    flags = ["--direct_num_workers=3", "--direct_running_mode=in_memory"]

    assert count(1, output, *flags) == 0

    assert [(output / name).read_text() for name in NAMES] == ["2", "1"]
    assert not [name for name in NAMES if name in os.environ]


@pytest.mark.parametrize(
    ("flags", "threads"),
    [
        ([], None),
        (["--direct_num_workers=1"], None),
        (["--direct_num_workers=2"], "4"),
        (["--direct_num_workers=0"], "1"),
        (["--direct_num_workers=99"], "1"),
        (["--direct_num_workers=2", "--runner=FlinkRunner"], None),
    ],
)
def test_cores_are_shared_among_the_workers_of_this_machine(
    flags: list[str], threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))

    with shared_cores(pipeline_options(flags)):
        assert os.environ.get(NAMES[0]) == threads
        assert os.environ.get(NAMES[1]) == (threads and "1")
    assert not [name for name in NAMES if name in os.environ]


def test_environment_that_says_otherwise_is_obeyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAMES[0], "5")
    monkeypatch.delenv(NAMES[1], raising=False)

    with shared_cores(pipeline_options(["--direct_num_workers=2"])):
        assert os.environ[NAMES[0]] == "5"
    assert os.environ[NAMES[0]] == "5"
    assert NAMES[1] not in os.environ


def test_file_systems_know_the_flags_before_the_plan(output: pathlib.Path) -> None:
    seen: list[Any] = []

    def look(config: CountConfig) -> list[int]:
        seen.append(FileSystems._pipeline_options.view_as(S3Options).s3_endpoint_url)
        return plan(config)

    assert count(1, output, "--s3_endpoint_url=http://h:9", plan=look) == 0
    assert seen == ["http://h:9"]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Another engine, whose jobs this process runs; what it was given to run."""
    given: list[Any] = []
    monkeypatch.setattr(run_job_module, "check_launch", lambda options: None)

    def make(options: PipelineOptions) -> beam.Pipeline:
        given.append(options)
        local = pipeline_options([])
        return beam.Pipeline(runner=make_runner(local), options=local)

    monkeypatch.setattr(run_job_module, "make_pipeline", make)
    return given


ELSEWHERE = ("--runner=PortableRunner", "--job_endpoint=localhost:1")
SHARED = LaunchConfig(shared_filesystem=True)


def test_run_has_one_name_for_job_json_the_engine_and_its_label(
    output: pathlib.Path, elsewhere: list[Any]
) -> None:
    assert count(1, output, *ELSEWHERE, launch=SHARED) == 0
    job = json.loads((output / "job.json").read_text("utf-8"))
    cloud = elsewhere[0].view_as(GoogleCloudOptions)
    assert cloud.job_name == f"stylebeam-count-{job['run_id']}"
    assert f"stylebeam-run={job['run_id']}" in cloud.labels
    assert job["engine"] == "PortableRunner"
    assert "launch" not in job["config"]

    flags = ("--job_name=mine", "--labels=team=us")
    assert count(1, output, *ELSEWHERE, *flags, launch=SHARED) == 0
    cloud = elsewhere[1].view_as(GoogleCloudOptions)
    assert cloud.job_name == "mine"
    assert "team=us" in cloud.labels
    assert len(cloud.labels) == 3


def test_workers_get_paths_that_do_not_depend_on_their_folder(
    tmp_path: pathlib.Path, elsewhere: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []

    def look(pipeline: beam.Pipeline, config: CountConfig, *rest: Any) -> Any:
        seen.append(config.output)
        return build(pipeline, config, *rest)

    path = pathlib.Path("out")
    assert count(1, path, *ELSEWHERE, launch=SHARED, build=look) == 0
    assert seen == [str(tmp_path / "out")]
    # What was asked for stands as it was said.
    assert json.loads((tmp_path / "out/job.json").read_text())["config"]["output"] == (
        "out"
    )


@pytest.mark.usefixtures("elsewhere")
def test_output_on_this_machine_is_refused_to_workers_elsewhere(
    output: pathlib.Path,
) -> None:
    with pytest.raises(UsageError, match=r"--output .*--shared-filesystem"):
        count(1, output, *ELSEWHERE)
    assert not output.exists()
    assert count(1, output, *ELSEWHERE, "--environment_type=LOOPBACK") == 0


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("said", "error", "told"),
    [
        (
            "Traceback\n  x\nValueError: odd [while running 'Count']",
            EngineError,
            r"failed on PortableRunner: ValueError: odd \(in the step Count\)\. What",
        ),
        (
            "Traceback\n  x\ntransforms.storage.folder.OutputError: [Errno 28] No "
            "space left on device: '/out/a.png' [while running 'Write']",
            StorageError,
            "^/out/a.png cannot be written: No space left on device",
        ),
    ],
)
def test_failed_job_tells_what_its_worker_said(
    said: str,
    error: type[Exception],
    told: str,
    output: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError(f"Pipeline job-1 failed in state FAILED: {said}")

    monkeypatch.setattr(run_job_module, "await_end", fail)
    with pytest.raises(error, match=told):
        count(1, output, *ELSEWHERE, launch=SHARED)
    job = json.loads((output / "job.json").read_text("utf-8"))
    assert job["status"] == "failed"
    # All of it, for whoever has to find the reason.
    assert "Traceback" in job["error"]
