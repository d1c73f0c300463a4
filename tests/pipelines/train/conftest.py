"""A training that tests look at, or go on from."""

import shutil

import pytest

from pipelines import cli

STEPS = ("--steps", "3", "--eval-every", "2", "--checkpoint-every", "2")


@pytest.fixture(scope="session")
def trained(train_command, tmp_path_factory):
    """A finished training of three steps, not to be changed."""
    workdir = tmp_path_factory.mktemp("trained")
    assert cli.main(train_command(workdir, *STEPS)) == 0
    return workdir


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of it."""
    return shutil.copytree(trained, tmp_path / "copied")
