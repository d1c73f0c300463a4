"""Flex templates: their parameters are the flags, and their texts become flags."""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

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
    "number_of_worker_harness_threads": "2",
}
# Flags that are refused unless another one stands beside them.
BESIDE = {
    ("stylize", "styles-per-content"): ["--pairing=sample"],
    ("stylize", "seed"): ["--pairing=sample"],
    ("stylize", "corner-steps"): ["--pairing=corners"],
    ("stylize", "outside-masks"): ["--pairing=gs://b/pairs.csv"],
    ("ingest", "captions"): ["--kind=coco"],
    ("ingest", "wikiart-list"): ["--kind=wikiart"],
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
        if "import Command, run_job" in path.read_text("utf-8")
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
