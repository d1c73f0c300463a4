"""Every bundle runs twice, and once more whenever a later one begins: no difference.

So it is with a worker that was given up too early, or whose answer was lost. Beam's
local runner is made to do it, so each DoFn of a job is repeated, and a new one too.
"""

import shutil

import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from PIL import Image

from pipelines import cli

_STYLIZE = "stylize --content {0}/contents --style {0}/styles --bundle {0}/bundle"

# Command line, and flags of the run before, which is killed; None where there is none.
CASES = {
    "stylize": f"{_STYLIZE} --alpha 0.5,1",
    "stylize-corners": f"{_STYLIZE} --pairing corners --layout tree",
    "stylize-webdataset": f"{_STYLIZE} --output-format webdataset",
    "stylize-metrics": f"{_STYLIZE} --metrics --pairing sample",
    "ingest": "ingest --input {0}/contents --name set --shards 2 --val-fraction 0.5",
    "visualize": "visualize --input {0}/contents --layers block1_conv1 --size 32 "
    "--channels top:2 --no-randomization-check",
    "optimize": "optimize --content {0}/contents --style {0}/styles --size 32 --steps 2"
    " --pyramid 1 --content-layers block1_conv2 --style-layers block1_conv1",
}


class Repeater:
    """Makes Beam's local runner run each bundle again and again."""

    def __init__(self, monkeypatch):
        self.ran = 0
        self._earlier = []
        self._process = fn_runner.BundleManager.process_bundle
        self._close = worker_handlers.WorkerHandlerManager.close_all
        repeater = self

        def process_bundle(manager, inputs, *others, dry_run=False):
            return repeater.process(manager, inputs, *others, dry_run=dry_run)

        def close_all(manager):
            repeater.late()
            repeater._earlier.clear()
            repeater._close(manager)

        monkeypatch.setattr(fn_runner.BundleManager, "process_bundle", process_bundle)
        monkeypatch.setattr(
            worker_handlers.WorkerHandlerManager, "close_all", close_all
        )

    def process(self, manager, inputs, *others, dry_run):
        if dry_run:
            return self._process(manager, inputs, *others, dry_run=True)
        self.late()
        kept = {name: list(buffer) for name, buffer in inputs.items()}
        result = self._process(manager, kept, *others)
        self._earlier.append((manager, kept, *others))
        self._again(self._earlier[-1])
        return result

    def late(self):
        """Run every bundle again that has run in this job."""
        for bundle in self._earlier:
            self._again(bundle)

    def _again(self, bundle):
        # Its output is thrown away, as that of a worker that nobody waits for.
        self._process(*bundle, dry_run=True)
        self.ran += 1


@pytest.fixture
def folder(tmp_path, tiny_bundle):
    rng = np.random.default_rng(7)
    for name in (
        "contents/a.png",
        "contents/b.png",
        "contents/d/c.png",
        "styles/s.png",
    ):
        _draw(tmp_path / name, rng)
    _draw(tmp_path / "styles/t.png", rng)
    shutil.copy(tmp_path / "contents/a.png", tmp_path / "contents/copy-of-a.png")
    (tmp_path / "contents" / "bad.png").write_bytes(b"no picture")
    tiny_bundle.save(tmp_path / "bundle")
    return tmp_path


def _draw(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (44, 36, 3), np.uint8)).save(path)


@pytest.fixture
def run(folder):
    def run_command(name, output):
        words = f"{CASES[name]} --output {folder / output} --max-failure-rate 1"
        assert cli.main(words.format(folder).split()) == 0

    return run_command


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.slow
def test_repeated_bundles_change_nothing(
    name, run, folder, killer, monkeypatch, files_of
):
    run(name, "whole")
    # A journal to be recovered is there, and work that is done.
    killer.after_name(r"/\.journal/.*\.parquet$", 2)
    with pytest.raises((killer.Killed, RuntimeError)):
        run(name, "out")
    killer.stop()
    with monkeypatch.context() as patched:
        repeater = Repeater(patched)
        run(name, "out")

    assert repeater.ran > 20
    assert files_of(folder / "out") == files_of(folder / "whole")
    # What was committed late is there for nobody.
    run(name, "out")
    assert files_of(folder / "out") == files_of(folder / "whole")


def test_repeated_merge_of_a_shard_writes_a_record_once(
    run, folder, monkeypatch, files_of
):
    run("ingest", "out")
    # An input that failed before is taken into shards that are whole.
    _draw(folder / "contents" / "new.png", np.random.default_rng(3))
    data = (folder / "contents" / "new.png").read_bytes()
    (folder / "contents" / "new.png").unlink()
    size = len(data)
    (folder / "contents" / "bad.png").write_bytes(b"\0" * size)
    shutil.rmtree(folder / "out")
    run("ingest", "out")
    (folder / "contents" / "bad.png").write_bytes(data)
    run("ingest", "whole")
    with monkeypatch.context() as patched:
        Repeater(patched)
        run("ingest", "out")

    assert files_of(folder / "out") == files_of(folder / "whole")
