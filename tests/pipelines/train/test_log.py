"""What a training logs: the row of an evaluation says that all of it is there."""

import pathlib

import pytest
from PIL import Image

from pipelines.train.log import TrainingLog
from pipelines.train.workdir import Workdir
from transforms.storage.folder import OutputFolder


def test_evaluation_that_was_cut_short_is_done_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workdir = Workdir(tmp_path)
    summary = {"total": 3.0, "content": 1.0, "style": 0.2}
    sheet = Image.new("RGB", (8, 8))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    log = TrainingLog(workdir, 0, 4, 2)
    with monkeypatch.context() as patch:
        patch.setattr(OutputFolder, "write", full)
        with pytest.raises(OSError, match="No space left"):
            log.evaluation(0, summary, False, sheet)
    log.close()

    again = TrainingLog(workdir, 0, 4, 2)
    assert not again.evaluated(0)
    again.evaluation(0, summary, False, sheet)
    again.close()
    assert (tmp_path / "samples" / "step-000000.jpg").exists()
    assert workdir.evaluated_steps() == {0}
