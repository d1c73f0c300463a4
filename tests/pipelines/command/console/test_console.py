"""What is said on stderr: as text or JSON, at once or only when a command fails."""

import io
import json
import logging
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipelines.command.console import console as consoles
from pipelines.command.console.console import (
    MOST_LINES,
    Console,
    ConsoleHandler,
    close_console,
    console,
    open_console,
)

ROOT = pathlib.Path(__file__).parents[4]
SECRET = "https://me:token@host/x"


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


class TestText:
    def test_plain_console_passes_everything_on_at_once(
        self, stream: io.StringIO
    ) -> None:
        plain = Console(stream, "stylize")
        plain.write("half a li")
        assert stream.getvalue() == "half a li"
        plain.event("progress", done=1)
        plain.end(1)
        assert stream.getvalue() == "half a li"

    def test_quiet_command_that_does_well_says_nothing(
        self, stream: io.StringIO
    ) -> None:
        quiet = Console(stream, "stylize", quiet=True)
        print("a note", file=quiet)
        quiet.end(0)
        assert stream.getvalue() == ""

    @pytest.mark.parametrize("status", [1, 2, 42, 130])
    def test_quiet_command_that_fails_says_all(
        self, status: int, stream: io.StringIO
    ) -> None:
        quiet = Console(stream, "stylize", quiet=True)
        print("a note\nanother", file=quiet)
        quiet.write("half a line")
        assert stream.getvalue() == ""
        quiet.end(status)
        quiet.end(status)
        assert stream.getvalue() == "a note\nanother\nhalf a line\n"

    def test_what_is_held_back_is_bounded(self, stream: io.StringIO) -> None:
        quiet = Console(stream, quiet=True)
        for number in range(MOST_LINES + 5):
            print(number, file=quiet)
        quiet.end(1)
        assert stream.getvalue().splitlines()[0] == "5"
        assert stream.getvalue().count("\n") == MOST_LINES


class TestJson:
    def test_each_line_is_an_object(self, stream: io.StringIO) -> None:
        spoken = Console(stream, "stylize", log_format="json")
        spoken.write(f"a note of {SECRET}\n\nstylebeam stylize: error: x")
        print(" \udcff", file=spoken)

        first, second = events(stream.getvalue())
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:]+\.\d{3}\+00:00", first["time"])
        del first["time"], second["time"]
        note = "a note of https://…@host/x"
        about = {"event": "log", "command": "stylize"}
        assert first == {**about, "level": "INFO", "message": note}
        error = "stylebeam stylize: error: x \udcff"
        assert second == {**about, "level": "ERROR", "message": error}

    def test_records_have_their_level_and_their_traceback(
        self, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log = logging.Logger("model.x")
        log.addHandler(ConsoleHandler())
        spoken = Console(stream, "train", log_format="json")
        monkeypatch.setattr(consoles, "_current", spoken)
        log.warning("%s is %d", SECRET, 1)
        try:
            raise ValueError(SECRET)
        except ValueError:
            log.exception("failed")

        warned, failed = events(stream.getvalue())
        assert (warned["level"], warned["logger"]) == ("WARNING", "model.x")
        assert warned["message"] == "https://…@host/x is 1"
        assert failed["traceback"].endswith("ValueError: https://…@host/x\n")

    def test_defect_is_one_object(self, stream: io.StringIO) -> None:
        assert not Console(stream).defect(ValueError("x"))
        assert Console(stream, log_format="json").defect(ValueError(SECRET))
        (told,) = events(stream.getvalue())
        assert told["level"] == "CRITICAL"
        assert told["message"] == "ValueError: https://…@host/x"

    def test_events_are_written_whatever_is_held_back(
        self, stream: io.StringIO
    ) -> None:
        spoken = Console(stream, "stylize", quiet=True, progress="json")
        print("a note", file=spoken)
        spoken.event("progress", done=1, doing=[SECRET])
        spoken.result(counts={"a": 1})
        spoken.end(1)

        progress, note, end = stream.getvalue().splitlines()
        assert note == "a note"
        assert json.loads(progress)["doing"] == ["https://…@host/x"]
        assert json.loads(end)["event"] == "end"
        assert json.loads(end)["exit_status"] == 1
        assert json.loads(end)["counts"] == {"a": 1}

    def test_nobody_draws_a_bar_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda: True)
        assert Console(stream).isatty()
        assert not Console(stream, quiet=True).isatty()
        assert not Console(stream, log_format="json").isatty()
        assert not Console(stream, progress="json").isatty()
        assert not Console(stream, quiet=True).shows_progress


class TestProcess:
    @pytest.fixture(autouse=True)
    def _closed(self) -> Iterator[None]:
        yield
        close_console(0)

    def test_stderr_is_replaced_only_where_that_is_asked(self) -> None:
        before = sys.stderr
        open_console("a", quiet=False, progress="json", log_format="text")
        assert sys.stderr is before
        close_console(0)
        open_console("a", quiet=True, progress="auto", log_format="text")
        assert sys.stderr is console()
        close_console(0)
        assert sys.stderr is before
        assert console() is consoles._PLAIN

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            ("", "\nstylize: stopped\n"),
            ("quiet=True", "a note\nstylize: stopped\n"),
            ("progress='json'", "\nstylize: stopped\n{"),
            ("log_format='json'", '{"event": "log"'),
        ],
    )
    def test_last_words_pass_all_locks(self, flags: str, said: str) -> None:
        given = "quiet=False, progress='auto', log_format='text'"
        name = flags.partition("=")[0]
        kept = [one for one in given.split(", ") if not name or name not in one]
        script = (
            "import os, sys\n"
            "from pipelines.command.console.console import console, open_console\n"
            f"open_console('stylize', {', '.join([*kept, flags])})\n"
            "if console()._quiet: print('a note', file=sys.stderr)\n"
            "console()._lock.acquire(); console().last_words('stylize: stopped', 130)\n"
            "os._exit(130)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 130
        assert done.stderr.startswith(said)


@pytest.fixture
def spoken(inputs, capsys) -> Callable[..., tuple[int, str, str]]:
    """Return a runner of `stylize` on small inputs: status, stdout, stderr."""
    from pipelines import cli

    def run(*flags: str) -> tuple[int, str, str]:
        command = ["stylize", "--content", f"{inputs}/contents"]
        command += ["--style", f"{inputs}/styles", "--bundle", f"{inputs}/bundle"]
        status = cli.main([*command, "--output", f"{inputs}/out", *flags])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_a_job_speaks_as_it_is_asked(spoken, inputs) -> None:
    status, out, err = spoken("--progress", "json", "--log-format", "json")
    told = events(err)
    assert status == 0
    assert out == f"{inputs}/out/gallery/index.html\n"
    # On a slow machine there is more than one of progress.
    named = [one["event"] for one in told if one["event"] != "log"]
    assert (named[:2], named[-2:]) == (["begin", "job"], ["progress", "end"])
    job = json.loads((inputs / "out" / "job.json").read_text())
    by_name = {one["event"]: one for one in told}
    assert by_name["begin"]["version"] == job["versions"]["stylebeam"]
    assert by_name["job"]["run_id"] == job["run_id"]
    assert (by_name["job"]["unit"], by_name["job"]["total"]) == ("cells", 6)
    last = by_name["progress"]
    assert (last["done"], last["kept"], last["failed"], last["total"]) == (6, 0, 0, 6)
    assert by_name["end"]["exit_status"] == 0
    assert by_name["end"]["counts"] == job["counts"]
    assert by_name["end"]["balances"] == job["balances"]
    assert any("6 cells = 6 done" in one.get("message", "") for one in told)

    # Again, from what it wrote down: quiet, since all is well.
    from pipelines import cli

    assert "beam_flags" not in json.dumps(job)
    assert cli.main(["stylize", "--config", f"{inputs}/out/job.json", "--quiet"]) == 0


def test_quiet_job_that_does_well_says_its_place_alone(spoken, inputs) -> None:
    assert spoken("--quiet", "--direct_num_workers=1") == (
        0,
        f"{inputs}/out/gallery/index.html\n",
        "",
    )
    job = json.loads((inputs / "out" / "job.json").read_text())
    assert job["launch"] == {"beam_flags": ["--direct_num_workers=1"]}
    # Another style in its place: the identity is another, so it fails and speaks.
    status, out, err = spoken("--quiet", "--quality", "5")
    assert (status, out) == (2, "")
    assert err.startswith("stylebeam stylize: error: --output ")


def test_quiet_and_verbose_exclude_each_other(spoken) -> None:
    status, _, err = spoken("--quiet", "--verbose")
    assert status == 2
    assert "--quiet and --verbose exclude each other" in err
