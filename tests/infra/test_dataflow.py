"""Flex templates: their parameters are the flags, and their texts become flags."""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement

from pipelines.cli import build_parser, config_from_args
from pipelines.engines.options import pipeline_options

ROOT = pathlib.Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra" / "dataflow"


def load(path: pathlib.Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LAUNCH = load(INFRA / "launch.py")
TEMPLATES = load(ROOT / "tests" / "regenerate_templates.py")
COMMANDS = TEMPLATES.COMMANDS


def metadata(command: str) -> dict[str, Any]:
    return dict(json.loads((INFRA / f"{command}_metadata.json").read_bytes()))


PARAMETERS = [
    pytest.param(command, parameter, id=f"{command} {parameter['name']}")
    for command in COMMANDS
    for parameter in metadata(command)["parameters"]
]

# What must be given beside any other parameter.
REQUIRED = {
    "ingest": ["--input=gs://b/in", "--output=gs://b/out", "--name=n"],
    "stylize": ["--content=gs://b/c", "--style=gs://b/s", "--output=gs://b/out"],
    "visualize": ["--input=gs://b/in", "--output=gs://b/out"],
    "optimize": ["--content=gs://b/c", "--style=gs://b/s", "--output=gs://b/out"],
}

# Texts of flags without a default, and of those that no other flag goes with.
TEXTS = {
    "name": "a_name",
    "styles-per-content": "2",
    "seed": "1",
    "corner-steps": "3",
    "max-tile-pixels": "1048576",
    "shards": "4",
    "layer-weights": "1,1,1,1,1",
    "activation-between": "17:42,3:99",
    "number_of_worker_harness_threads": "2",
    "filter": '["min-side>=256"]',
}
# Flags that are refused unless another one stands beside them.
BESIDE = {
    ("stylize", "styles-per-content"): ["--pairing=sample"],
    ("stylize", "seed"): ["--pairing=sample"],
    ("stylize", "corner-steps"): ["--pairing=corners"],
    ("stylize", "outside-masks"): ["--pairing=gs://b/pairs.csv"],
    ("optimize", "outside-masks"): ["--pairing=gs://b/pairs.csv"],
    ("ingest", "captions"): ["--kind=coco"],
    ("ingest", "instances"): ["--kind=coco"],
    ("ingest", "panoptic"): ["--kind=coco"],
    ("ingest", "data-yaml"): ["--kind=yolo"],
    ("ingest", "wikiart-list"): ["--kind=wikiart"],
    ("visualize", "activation-between"): ["--kinds=activation"],
    ("visualize", "cam-layer"): ["--kinds=grad-cam"],
    ("visualize", "class-names"): ['--classes=["1"]'],
    ("visualize", "seed"): ["--kinds=smoothgrad"],
}


def text_for(command: str, parameter: dict[str, Any]) -> str:
    name = parameter["name"]
    action = LAUNCH.actions_of(command).get(f"--{name}")
    if name not in TEXTS and action is not None:
        if action.nargs == 0:
            return "true"
        if action.default not in (None, "", ()):
            return str(action.default)
    return TEXTS.get(name, "gs://b/x")


@pytest.mark.parametrize("command", COMMANDS)
def test_parameters_are_those_of_the_parser(command: str) -> None:
    there = TEMPLATES.file_of(command).read_text("utf-8")
    assert there == TEMPLATES.text_of(command), "run `make docs`"


def test_every_command_on_beam_has_a_template() -> None:
    on_beam = {
        path.parent.name
        for path in (ROOT / "pipelines").glob("*/job.py")
        if hasattr(import_module(f"pipelines.{path.parent.name}.job"), "run_job")
    }
    assert on_beam == set(COMMANDS)


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS)
def test_parameter_becomes_its_flag(command: str, parameter: dict[str, Any]) -> None:
    name, text = parameter["name"], text_for(command, parameter)
    for pattern in parameter.get("regexes", ()):
        assert re.search(pattern, text)
    others = [
        word for word in REQUIRED[command] if not word.startswith(f"--{name}=")
    ] + BESIDE.get((command, name), [])

    argv = LAUNCH.command_line(command, [*others, f"--{name}={text}"])

    args, rest = build_parser().parse_known_args(argv)
    if rest:  # one of Beam's
        pipeline_options(rest)
        return
    config_from_args(args)
    found = getattr(args, name.replace("-", "_"))
    assert found is not None
    if not isinstance(found, list | bool | int | float):
        assert found == text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_a_parameter_or_left_out_on_purpose(command: str) -> None:
    flags = {action.dest for action in LAUNCH.actions_of(command).values()}
    named = {p["name"].replace("-", "_") for p in metadata(command)["parameters"]}
    assert flags - named <= set(TEMPLATES.NOT_PARAMETERS)


@pytest.mark.parametrize("command", COMMANDS)
def test_google_reads_the_metadata(command: str) -> None:
    dataflow = pytest.importorskip("google.cloud.dataflow_v1beta3")
    text = (INFRA / f"{command}_metadata.json").read_text("utf-8")

    read = dataflow.TemplateMetadata.from_json(text)  # refuses unknown fields

    required = {p.name for p in read.parameters if not p.is_optional}
    assert required >= {"output", "sdk_container_image"}
    assert all(p.label and p.help_text for p in read.parameters)


class TestCommandLine:
    @pytest.mark.parametrize(
        ("parameter", "words"),
        [
            ("--overwrite=true", ["--overwrite"]),
            ("--overwrite=false", []),
            ("--metrics=true", ["--metrics"]),
            ("--seed=-3", ["--seed=-3"]),
            ("--alpha=0.5,1", ["--alpha=0.5,1"]),
            ("--content=gs://b/a b", ["--content=gs://b/a b"]),
            (
                '--content=["gs://b/a=b", "x=gs://b/c,d"]',
                ["--content", "gs://b/a=b", "x=gs://b/c,d"],
            ),
            ("--runner=DataflowRunner", ["--runner=DataflowRunner"]),
            ('--labels={"a": "b"}', ['--labels={"a": "b"}']),
        ],
    )
    def test_of_stylize(self, parameter: str, words: list[str]) -> None:
        assert LAUNCH.command_line("stylize", [parameter]) == ["stylize", *words]

    def test_switch_that_is_on_can_be_switched_off(self) -> None:
        on = LAUNCH.command_line("visualize", ["--randomization-check=true"])
        off = LAUNCH.command_line("visualize", ["--randomization-check=false"])
        assert on == ["visualize", "--randomization-check"]
        assert off == ["visualize", "--no-randomization-check"]

    @pytest.mark.parametrize(
        ("parameter", "message"),
        [
            ("--overwrite=yes", "'yes', expected true or false"),
            ("--overwrite=", "'', expected true or false"),
            ('--content=["gs://b/a"', "no JSON list"),
            ("--content=[]", "expected a JSON list of texts"),
            ("--content=[1]", "expected a JSON list of texts"),
        ],
    )
    def test_bad_text_ends_with_2_and_a_line(
        self, parameter: str, message: str
    ) -> None:
        ended = subprocess.run(
            [sys.executable, str(INFRA / "launch.py"), parameter],
            env={"PYTHONPATH": str(ROOT), "STYLEBEAM_COMMAND": "stylize"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 2
        assert message in ended.stderr
        assert ended.stderr.count("\n") == 1


DOCKERFILE = (INFRA / "Dockerfile").read_text("utf-8")
LOCK = (INFRA / "requirements.lock").read_text("utf-8")


def locked() -> dict[str, str]:
    """Return the versions of the lock."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE))


class TestImage:
    def test_all_that_is_copied_is_there(self) -> None:
        copies = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        assert copies
        for copied in copies:
            for source in copied.split()[:-1]:
                assert (ROOT / source).exists(), source

    def test_base_images_come_by_their_digest(self) -> None:
        bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
        assert bases == ["${BEAM_IMAGE}", "${LAUNCHER_IMAGE}", "${PYTHON_IMAGE}"]
        # No default: without the file of digests nothing is built.
        assert re.findall(r"^ARG (\w+_IMAGE)$", DOCKERFILE, re.MULTILINE)

    def test_it_is_not_root_and_starts_a_worker(self) -> None:
        last = [line for line in DOCKERFILE.splitlines() if line.strip()][-2:]
        assert last == ["USER 65532:65532", 'ENTRYPOINT ["/opt/apache/beam/boot"]']

    def test_lock_is_of_hashes_and_of_what_the_project_needs(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        wanted = project["dependencies"] + project["optional-dependencies"]["gcp"]
        versions = locked()
        assert len(versions) > len(wanted)
        for line in wanted:
            requirement = Requirement(line)
            name = requirement.name.lower()
            assert versions[name] in requirement.specifier, f"{line}: run lock.sh"
        for block in re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]:
            assert "--hash=sha256:" in block, block

    def test_beam_of_the_lock_is_that_of_the_image(self) -> None:
        build = (INFRA / "build.sh").read_text("utf-8")
        assert f"beam_python3.11_sdk:{locked()['apache-beam']}" in build


class TestBuild:
    @pytest.fixture
    def checkout(self, tmp_path: pathlib.Path) -> pathlib.Path:
        """A folder with the script, and a docker that tells what it was asked."""
        (tmp_path / "infra" / "dataflow").mkdir(parents=True)
        shutil.copy(INFRA / "build.sh", tmp_path / "infra" / "dataflow")
        docker = tmp_path / "docker"
        docker.write_text(
            '#!/bin/sh\necho "$@" >> "$SAID"\n[ "$2" = imagetools ] && echo "$DIGEST"\n'
            "exit 0\n"
        )
        docker.chmod(0o755)
        return tmp_path

    def build(
        self, checkout: pathlib.Path, *argv: str, digest: str = "sha256:" + "ab" * 32
    ) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        said = checkout / "said"
        said.write_text("")
        ended = subprocess.run(
            [checkout / "infra" / "dataflow" / "build.sh", *argv],
            env={
                "PATH": f"{checkout}:/usr/bin:/bin",
                "SAID": str(said),
                "DIGEST": digest,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return ended, said.read_text().splitlines()

    def test_digests_are_looked_up_once(self, checkout: pathlib.Path) -> None:
        first, asked = self.build(checkout, "ingest", "repo/stylebeam:ingest")
        assert first.returncode == 0, first.stderr
        assert [line.split()[1] for line in asked] == ["imagetools"] * 3 + ["build"]
        assert "base_images.lock; commit it" in first.stderr

        _, (build,) = self.build(checkout, "stylize", "repo/stylebeam:stylize")

        pinned = re.findall(r"--build-arg (\w+_IMAGE)=\S+@sha256:(?:ab){32} ", build)
        assert pinned == ["PYTHON_IMAGE", "BEAM_IMAGE", "LAUNCHER_IMAGE"]
        assert "--build-arg COMMAND=stylize" in build
        assert "--sbom=true" in build
        assert "--tag repo/stylebeam:stylize --push" in build

    def test_base_image_without_a_digest_is_refused(
        self, checkout: pathlib.Path
    ) -> None:
        ended, asked = self.build(checkout, "ingest", "image", digest="latest")
        assert ended.returncode == 1
        assert "expected a digest" in ended.stderr

        pins = checkout / "infra" / "dataflow" / "base_images.lock"
        assert not pins.exists()
        pins.write_text("PYTHON_IMAGE=python:3.11\n")
        ended, asked = self.build(checkout, "ingest", "image")
        assert ended.returncode == 1
        assert "expected NAME=IMAGE@sha256:DIGEST" in ended.stderr
        assert asked == []

    @pytest.mark.parametrize("argv", [[], ["train", "image"], ["stylize"]])
    def test_usage(self, checkout: pathlib.Path, argv: list[str]) -> None:
        ended, asked = self.build(checkout, *argv)
        assert ended.returncode == 2
        assert "usage:" in ended.stderr
        assert asked == []


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("ENGINES") != "all",
    reason="downloads 700 MB: ENGINES=all make test-slow",
)
@pytest.mark.timeout(600)
def test_steps_of_the_image_run_in_an_empty_environment(tmp_path: pathlib.Path) -> None:
    """What COPY copies and RUN installs, without a container engine."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the lock is for the Python of the image, 3.11")
    venv, work = tmp_path / "venv", tmp_path / "opt" / "stylebeam"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    work.mkdir(parents=True)
    environment = {"PATH": f"{venv / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path)}
    for line in re.sub(r"\\\n\s*", " ", DOCKERFILE).splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            *sources, target = line.split()[1:]
            for source in sources:
                there = work if target == "./" else work / target
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, there)
                else:
                    shutil.copy(ROOT / source, there)
        elif line.startswith("RUN pip"):
            subprocess.run(
                line.removeprefix("RUN "),
                shell=True,
                cwd=work,
                env={**environment, **_index()},
                check=True,
            )

    def run(*argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("stylebeam", "--version").stdout.startswith("stylebeam ")
    launched = run(
        "python", str(work / "launch.py"), "--overwrite=yes", STYLEBEAM_COMMAND="ingest"
    )
    assert launched.returncode == 2
    assert "expected true or false" in launched.stderr
    worker = "import pipelines.stylize.job, apache_beam.runners.dataflow.internal"
    worker += ".apiclient, apache_beam.runners.worker.sdk_worker_main, tensorflow"
    imported = run("python", "-c", worker)
    assert imported.returncode == 0, imported.stderr


def _index() -> dict[str, str]:
    """Return what leads pip to the packages on this machine."""
    return {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
