"""A pipe in place of a table or sweep is refused at once: nobody writes into it."""

import os
import signal

import pytest

from model.bundle import BundleError, load_bundle
from pipelines.errors import UsageError
from pipelines.optimize.sweep import read_sweep
from transforms.annotations.coco import read_coco
from transforms.annotations.sources import read_wikiart_list
from transforms.optimize.settings import RunSettings
from transforms.storage.files import read_file
from transforms.stylize.style_bank import bank_file, load_bank


@pytest.fixture
def pipe(tmp_path):
    def stop(*_):
        raise TimeoutError("it waits")

    os.mkfifo(tmp_path / "bundle.json")
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(30)
    yield str(tmp_path / "bundle.json")
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("read", [read_coco, read_wikiart_list, bank_file, load_bank])
def test_pipe_as_a_table(pipe, read):
    with pytest.raises(OSError, match="not a regular file"):
        read(pipe)


def test_pipe_as_a_sweep(pipe):
    with pytest.raises(UsageError, match="not a regular file"):
        read_sweep(pipe, RunSettings.from_values({}))


def test_pipe_as_a_bundle(pipe):
    with pytest.raises(BundleError, match="not a regular file"):
        load_bundle(os.path.dirname(pipe), read_file)
