"""What runs stylebeam elsewhere names only what the command line knows."""

import json
import pathlib
import re
import shlex
import tomllib

import pytest

from pipelines.cli import build_parser, config_from_args
from pipelines.engines.options import pipeline_options

INFRA = pathlib.Path(__file__).resolve().parents[2] / "infra"
METADATA = json.loads((INFRA / "dataflow" / "stylize_metadata.json").read_bytes())

# A value that each parameter's pattern takes, where any text will not do.
VALUES = {
    "output": "gs://bucket/out",
    "styles-per-content": "2",
    "seed": "1",
    "alpha": "0.5,1",
    "content-size": "256",
    "style-size": "256",
    "precision": "bfloat16",
    "format": "png",
    "layout": "tree",
    "output-format": "webdataset",
    "preserve-color": "luminance",
    "max-failure-rate": "0.1",
}


@pytest.mark.parametrize("parameter", METADATA["parameters"], ids=lambda p: p["name"])
def test_parameter_is_a_flag(parameter):
    name = parameter["name"]
    value = VALUES.get(name, "gs://bucket/x")
    for pattern in parameter.get("regexes", ()):
        assert re.search(pattern, value)
    required = ["--content=a", "--output=b"]
    args, rest = build_parser().parse_known_args(
        ["stylize", *required, f"--{name}={value}"]
    )
    if rest:  # one of Beam's
        pipeline_options(rest)
    else:
        assert getattr(args, name.replace("-", "_")) is not None


# What a template does without: a dry run tells a person, an overwrite is for a person
# who looks, the disks of a service's workers are their own; the rest has defaults that
# suit every machine, or needs a flag alone, which a template's parameter, always with a
# value, cannot be.
NOT_PARAMETERS = {
    "corner-steps",
    "dry-run",
    "max-tile-pixels",
    "metrics",
    "metrics-fraction",
    "outside-masks",
    "overwrite",
    "quality",
    "retry-failed",
    "shared-filesystem",
    "verbose",
}


def test_every_flag_is_a_parameter_or_left_out_on_purpose():
    (commands,) = (a for a in build_parser()._actions if a.choices)
    flags = {
        option.removeprefix("--")
        for action in commands.choices["stylize"]._actions
        for option in action.option_strings
        if option.startswith("--")
    }
    parameters = {parameter["name"] for parameter in METADATA["parameters"]}
    assert flags - parameters - {"help"} == NOT_PARAMETERS


def test_required_parameters_are_the_required_flags():
    required = {p["name"] for p in METADATA["parameters"] if not p["isOptional"]}
    assert required == {"content", "output"}


def test_image_has_the_beam_of_the_project():
    project = tomllib.loads((INFRA.parent / "pyproject.toml").read_text("utf-8"))
    (beam,) = (d for d in project["project"]["dependencies"] if "apache-beam" in d)
    least = re.search(r">=([\d.]+)", beam)[1]
    docker = (INFRA / "dataflow" / "Dockerfile").read_text("utf-8")
    assert f"beam_python3.11_sdk:{least}.0" in docker
    for copied in re.findall(r"^COPY (?!--from)(.+)$", docker, re.MULTILINE):
        for source in copied.split()[:-1]:
            assert (INFRA.parent / source).exists(), source


@pytest.mark.parametrize("name", ["stylebeam.cron", "stylebeam.service"])
def test_scheduled_command_parses(name):
    text = (INFRA / "schedule" / name).read_text("utf-8")
    assert "UNTESTED" in text
    (command,) = re.findall(r"stylebeam (stylize --.*)", text)
    args, rest = build_parser().parse_known_args(shlex.split(command))
    assert rest == []
    config_from_args(args)
