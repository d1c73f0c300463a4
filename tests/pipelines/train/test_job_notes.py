"""The job.json of a training: what it was asked, so that it can be asked again."""

import json

import pytest

from pipelines import cli
from pipelines.train import job
from pipelines.verify.job import find


def told(workdir):
    return json.loads((workdir / "job.json").read_text("utf-8"))


def test_it_says_what_was_asked_and_what_came_of_it(trained, train_command):
    found = told(trained)
    assert (found["command"], found["status"], found["steps_done"]) == (
        "train",
        "done",
        3,
    )
    assert found["config"]["settings"]["steps"] == 3
    assert found["config"]["workdir"] == str(trained)
    assert found["versions"]["stylebeam"]
    assert found["seconds"] > 0
    assert not list(find(str(trained), repair=False))


def test_it_repeats_the_training(trained, copied, monkeypatch):
    asked = []
    monkeypatch.setattr(job, "run", lambda config, flags: asked.append(config) or 0)
    path = str(trained / "job.json")
    assert cli.main(["train", "--config", path, "--workdir", str(copied)]) == 0
    assert cli.main(["train", "--config", path]) == 0
    assert asked[1].workdir == str(trained)
    assert asked[1].settings == asked[0].settings
    assert asked[1].settings.batch_size == 4


@pytest.mark.parametrize(
    ("raised", "status", "ends"),
    [
        (SystemExit(42), 42, "interrupted"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError("gone https://a:b@c"), 1, "failed"),
    ],
)
def test_what_did_not_come_to_its_end_says_so(
    raised, status, ends, copied, train_command, monkeypatch
):
    def work(*_):
        raise raised

    monkeypatch.setattr(job, "_train", work)
    command = train_command(copied, "--steps", "4", "--eval-every", "2")
    try:
        found = cli.main([*command, "--checkpoint-every", "2"])
    except SystemExit as end:
        found = end.code
    assert found == status
    assert told(copied)["status"] == ends
    assert told(copied)["steps_done"] == 3
    if ends == "failed":
        assert told(copied)["error"] == "OSError: gone https://…@c"
    # A training that stands is nothing wrong.
    assert not list(find(str(copied), repair=False))


def test_folder_of_another_command_is_refused(tmp_path, train_command, capsys):
    (tmp_path / "job.json").write_text('{"command": "stylize"}')
    before = {path.name for path in tmp_path.iterdir()}
    assert cli.main(train_command(tmp_path)) == 2
    assert "belongs to `stylebeam stylize`" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} - {".lock"} == before


@pytest.mark.parametrize("text", ["{", "[]", '{"command": 1}'])
def test_damaged_one_is_named_and_written_anew(
    text, copied, monkeypatch, train_command
):
    (copied / "job.json").write_text(text)
    (finding,) = find(str(copied), repair=False)
    assert finding.name == "job.json"
    monkeypatch.setattr(job, "_train", lambda *_: 0)
    assert cli.main(train_command(copied, "--steps", "3")) == 0
    assert told(copied)["status"] == "done"
