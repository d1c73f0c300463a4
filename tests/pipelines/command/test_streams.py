"""Streams that are closed, cut off or full: what a command says never ends it."""

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(60)

ROOT = pathlib.Path(__file__).parents[3]
HELP = f"{sys.executable} -m pipelines stylize --help"
WRONG = f"{sys.executable} -m pipelines stylize --bad"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (f"{HELP} >&-", 0),
        (f"{HELP} 2>&-", 0),
        (f"{HELP} <&- >&- 2>&-", 0),
        (f"{HELP} 2>/dev/full", 0),
        (f"{WRONG} >&-", 2),
        (f"{WRONG} 2>&-", 2),
        (f"{WRONG} 2>/dev/full", 2),
        (f"{HELP} | head -1", 0),
        (f"{HELP} | true", 0),
        (f"{WRONG} 2>&1 | true", 2),
    ],
)
def test_the_status_is_that_of_the_command(command: str, status: int) -> None:
    done = shell(command)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_stdout_on_a_full_disk_is_one_line_and_status_1() -> None:
    done = shell(f"{HELP} >/dev/full")
    assert done.returncode == 1
    assert done.stderr == "stylebeam: error: stdout: No space left on device\n"


def test_a_name_that_a_stream_cannot_hold_is_escaped(tmp_path: pathlib.Path) -> None:
    done = shell(
        f"{sys.executable} -m pipelines stylize --content {tmp_path}/é --style x "
        f"--output {tmp_path}/out",
        PYTHONIOENCODING="ascii",
    )
    assert done.returncode == 2
    assert r"\xe9': no such file or folder" in done.stderr


def test_no_file_takes_the_number_of_a_closed_stream() -> None:
    code = (
        "import os, sys\n"
        "from pipelines.command.streams import Streams\n"
        "Streams()\n"
        "number = os.open(os.devnull, os.O_WRONLY)\n"
        "print('said', file=sys.stderr)\n"
        "sys.exit(number < 3)\n"
    )
    for closed in ("2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        assert shell(f'{sys.executable} -c "{code}" {closed}').returncode == 0


def test_streams_of_somebody_else_are_left_alone() -> None:
    code = (
        "import io, sys\n"
        "from pipelines import cli\n"
        "sys.stdout = mine = io.StringIO()\n"
        "try:\n    cli.main(['--version'])\n"
        "except SystemExit:\n    pass\n"
        "sys.exit(sys.stdout is not mine or 'stylebeam' not in mine.getvalue())\n"
    )
    assert shell(f'{sys.executable} -c "{code}"').returncode == 0
