"""The command: one line with a URL, Ctrl-C, and what cannot be viewed."""

import json
import re
import socket

import pytest

from pipelines import cli
from pipelines.view.server import ViewServer


@pytest.fixture
def output(tmp_path):
    (tmp_path / "job.json").write_text(json.dumps({"command": "evaluate"}))
    (tmp_path / "index.html").write_text("<h1>A page</h1>")
    return tmp_path


@pytest.fixture
def interrupted(monkeypatch):
    """Let somebody press Ctrl-C as soon as a server serves."""

    def serve_forever(server):
        raise KeyboardInterrupt

    monkeypatch.setattr(ViewServer, "serve_forever", serve_forever)


def test_it_says_one_url_and_ends_quietly(output, interrupted, capfd):
    before = sorted(output.rglob("*"))
    assert cli.main(["view", str(output)]) == 0
    told, remarks = capfd.readouterr()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\n", told)
    assert remarks == "view: Ctrl-C ends it\n"
    assert sorted(output.rglob("*")) == before


def test_quiet_leaves_the_url(output, interrupted, capfd):
    job = {"command": "evaluate", "status": "running"}
    (output / "job.json").write_text(json.dumps(job))
    assert cli.main(["view", str(output)]) == 0
    assert "its job did not end, or still runs" in capfd.readouterr().err
    assert cli.main(["view", str(output), "--quiet"]) == 0
    told, remarks = capfd.readouterr()
    assert told.startswith("http://")
    assert remarks == ""


def test_a_port_that_is_taken_says_so(output, capfd):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert cli.main(["view", str(output), "--port", port]) == 2
    told, remarks = capfd.readouterr()
    assert told == ""
    assert f"--port {port}: cannot be used on 127.0.0.1: " in remarks


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--port", "70000"], "0 to 65535"),
        (["--runner=DirectRunner"], "unrecognized arguments"),
    ],
)
def test_wrong_words_end_with_2(output, capfd, words, found):
    assert cli.main(["view", str(output), *words]) == 2
    assert found in capfd.readouterr().err


def test_what_is_no_output_ends_with_2(tmp_path, capfd):
    assert cli.main(["view", str(tmp_path)]) == 2
    assert "is no output" in capfd.readouterr().err
    assert cli.main(["view", "http://example/out"]) == 2
    assert "is not supported" in capfd.readouterr().err
