"""Cron, systemd, Airflow and Cloud Scheduler run one command, and it is incremental."""

import ast
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
import terraform_check

from pipelines.cli import build_parser, config_from_args

INFRA = pathlib.Path(__file__).resolve().parents[2] / "infra"
UNITS = ("stylebeam.service", "stylebeam.timer")


def text_of(path):
    return (INFRA / path).read_text("utf-8")


def command_of_the_dag():
    tree = ast.parse(text_of("airflow/stylebeam_nightly.py"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "COMMAND"
    )
    return ast.literal_eval(value)


def scheduled():
    """Return each schedule's command, as words."""
    (cron,) = re.findall(
        r"^[^#\n]*\* stylebeam (.+)$", text_of("schedule/stylebeam.cron"), re.M
    )
    (unit,) = re.findall(
        r"^ExecStart=/usr/bin/env (.+)$", text_of("schedule/stylebeam.service"), re.M
    )
    texts = {"cron": cron, "systemd": unit, "airflow": command_of_the_dag()}
    return {name: shlex.split(text) for name, text in texts.items()}


def test_all_run_one_command():
    commands = scheduled()
    assert len({tuple(words) for words in commands.values()}) == 1, commands


def test_the_command_is_one_that_only_adds():
    for program, *words in scheduled().values():
        assert program == "stylebeam"
        args, rest = build_parser().parse_known_args(words)
        assert rest == []
        assert not config_from_args(args).overwrite


def test_cloud_scheduler_gives_the_same_flags():
    (local,) = terraform_check.read(text_of("terraform/schedule.tf"))["locals"]
    _, command, *words = scheduled()["cron"]
    assert command == "stylize"
    flags = dict(zip(words[::2], words[1::2], strict=True))
    parameters = {f"--{name}": value for name, value in local["parameters"].items()}
    assert set(flags) <= set(parameters)
    assert set(parameters) - set(flags) == {"--sdk_container_image"}
    for flag, value in flags.items():
        # Places are in buckets there; their last names are the same.
        assert parameters[flag].rpartition("/")[2] == value.rpartition("/")[2]


def test_all_begin_at_one_hour():
    assert "\n30 2 * * * " in text_of("schedule/stylebeam.cron")
    assert "OnCalendar=*-*-* 02:30:00" in text_of("schedule/stylebeam.timer")
    assert 'schedule="30 2 * * *"' in text_of("airflow/stylebeam_nightly.py")
    assert 'default     = "30 2 * * *"' in text_of("terraform/variables.tf")


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="there is no systemd-analyze here"
)
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_has_nothing_to_say(unit, tmp_path):
    for name in UNITS:
        shutil.copy(INFRA / "schedule" / name, tmp_path)

    def said():
        # It ends with 0 also where it does not know a key.
        result = subprocess.run(
            ["systemd-analyze", "verify", tmp_path / unit],
            capture_output=True,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout + result.stderr

    assert said() == (0, "")
    with (tmp_path / unit).open("a") as file:
        file.write("Wantedby=nobody\n")
    assert "Unknown key" in said()[1]
