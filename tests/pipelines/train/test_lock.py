"""One training a workdir: who holds the lock, and what is said where it is lost."""

import json
import shutil

import pytest

from pipelines import cli
from pipelines.command.lock import only_run
from pipelines.train import job
from pipelines.train.cluster import TF_CONFIG, local_tf_config

ADDRESSES = ("localhost:1", "localhost:2")


@pytest.fixture
def workdir(tmp_path):
    """A workdir in which somebody else has half a file."""
    folder = tmp_path / "workdir"
    (folder / ".tmp").mkdir(parents=True)
    (folder / ".tmp" / "half").touch()
    return folder


@pytest.fixture
def trained(monkeypatch):
    """Train nothing; returns the clusters that would have been trained with."""
    clusters = []

    def note(config, plan, cluster):
        clusters.append(cluster)
        return 0

    monkeypatch.setattr(job, "_train", note)
    return clusters


def cluster(kind, index):
    return json.dumps(
        {"cluster": {"worker": ADDRESSES}, "task": {"type": kind, "index": index}}
    )


def test_second_training_is_refused_and_deletes_nothing(
    train_command, workdir, trained, capfd
):
    with only_run("--workdir", str(workdir)):
        assert cli.main(train_command(workdir)) == 2

    error = capfd.readouterr().err
    assert f"--workdir {workdir}: another run is writing it" in error
    assert (workdir / ".tmp" / "half").exists()
    assert trained == []
    assert cli.main(train_command(workdir)) == 0
    assert not (workdir / ".lock").exists()


@pytest.mark.parametrize(
    ("config", "status"),
    [
        (cluster("worker", 0), 2),
        (cluster("worker", 1), 0),
        (local_tf_config(ADDRESSES, 0), 0),
        (local_tf_config(ADDRESSES, 1), 0),
    ],
)
def test_chief_or_the_parent_of_local_workers_holds_it(
    train_command, workdir, trained, monkeypatch, config, status
):
    monkeypatch.setenv(TF_CONFIG, config)

    with only_run("--workdir", str(workdir)):
        assert cli.main(train_command(workdir)) == status
    assert len(trained) == (status == 0)


def test_parent_of_local_workers_hands_it_on(train_command, workdir, monkeypatch):
    handed = []

    def run_workers(command, count, progress, inherited):
        assert cli.main(train_command(workdir, "--local-workers", "2")) == 2
        handed.extend(inherited)
        return 0

    monkeypatch.setattr(job, "run_workers", run_workers)

    assert cli.main(train_command(workdir, "--local-workers", "2")) == 0
    assert len(handed) == 1


def test_lock_that_is_a_folder_is_one_line(train_command, workdir, trained, capfd):
    (workdir / ".lock").mkdir()

    assert cli.main(train_command(workdir)) == 2

    assert f"{workdir}/.lock is a folder" in capfd.readouterr().err
    assert trained == []


@pytest.mark.parametrize("ends", ["with 1", "with an error"])
def test_workdir_that_vanishes_is_one_line(
    train_command, workdir, monkeypatch, capfd, ends
):
    def train(config, plan, cluster):
        shutil.rmtree(workdir)
        if ends == "with 1":
            return 1
        raise RuntimeError("no such file")

    monkeypatch.setattr(job, "_train", train)

    assert cli.main(train_command(workdir)) == 1

    last = capfd.readouterr().err.splitlines()[-1]
    assert f"--workdir {workdir}: was removed or replaced" in last


@pytest.mark.slow
def test_bundle_is_written_by_one_export(train_command, workdir, capfd):
    flags = ("--steps", "1", "--crop", "32", "--batch-size", "4")
    shutil.rmtree(workdir)
    assert cli.main(train_command(workdir, *flags)) == 0
    output = workdir.parent / "bundle"
    command = ["export", "--workdir", str(workdir), "--output", str(output)]

    with only_run("--output", str(output)):
        assert cli.main(command) == 2
    assert "another run is writing it" in capfd.readouterr().err
    assert cli.main(command) == 0
    assert not (output / ".lock").exists()
