"""What runs stylebeam elsewhere names only what the command line knows."""

import pathlib
import re
import shlex

import pytest

from pipelines.cli import build_parser, config_from_args

INFRA = pathlib.Path(__file__).resolve().parents[2] / "infra"


@pytest.mark.parametrize("name", ["stylebeam.cron", "stylebeam.service"])
def test_scheduled_command_parses(name):
    text = (INFRA / "schedule" / name).read_text("utf-8")
    assert "UNTESTED" in text
    (command,) = re.findall(r"stylebeam (stylize --.*)", text)
    args, rest = build_parser().parse_known_args(shlex.split(command))
    assert rest == []
    config_from_args(args)
