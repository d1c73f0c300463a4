"""The graph of a job, with the step that ends it, does not grow with its inputs."""

import pathlib
import shutil
from collections.abc import Callable

import apache_beam as beam
import pytest
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState
from PIL import Image

from pipelines.cli import main
from pipelines.command import run_job
from pipelines.ingest import job as ingest
from pipelines.stylize import plan as stylize
from transforms.ingest.whole_shards import Committed
from transforms.storage import parts
from transforms.stylize.earlier_failures import Retry

# What numbers of more digits take; a key or a name of each input would be more.
SLACK = 400

COMMANDS = {
    "stylize": "stylize --content {inputs} --style {styles}",
    "sample": "stylize --content {inputs} --style {styles} --pairing sample --metrics",
    "zip": "stylize --content {inputs} --style {inputs} --pairing zip",
    "retry": "stylize --content {inputs} --style {styles} --retry-failed",
    "ingest": "ingest --input {inputs} --name tiny --shards {count}",
    "visualize": "visualize --input {inputs} --layers block1_conv1",
    "optimize": "optimize --content {inputs} --style {styles} --size 32 --steps 2 "
    "--max-runs 1000000",
}


class Scales(PipelineRunner):
    """Weighs a pipeline in place of running it."""

    size = 0

    def run_pipeline(self, pipeline: beam.Pipeline, options: object) -> PipelineResult:
        self.size = pipeline.to_runner_api().ByteSize()
        return PipelineResult(PipelineState.DONE)


@pytest.fixture
def weigh(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, int], int]:
    # So that few rows are many parts, as millions are.
    monkeypatch.setattr(parts, "ROWS_A_PART", 8)
    monkeypatch.setenv("FLEX_TEMPLATE_PYTHON_PY_FILE", "launch.py")
    picture = tmp_path / "picture.png"
    Image.new("RGB", (40, 40)).save(picture)

    def graph(command: str, count: int) -> int:
        names = frozenset(f"a-name-of-some-length-{n:05d}" for n in range(count))
        monkeypatch.setattr(stylize, "_retry", lambda _: Retry(names, names))
        committed = Committed(names, names)
        monkeypatch.setattr(ingest, "find_committed", lambda *_: committed)
        folder = tmp_path / f"{count:05d}"
        for role, pictures in (("inputs", count), ("styles", max(1, count // 4))):
            (folder / role).mkdir(parents=True)
            for number in range(pictures):
                shutil.copy(picture, folder / role / f"{number:05d}.png")
        scales = Scales()
        monkeypatch.setattr(
            run_job, "make_pipeline", lambda _: beam.Pipeline(runner=scales)
        )
        words = COMMANDS[command].format(
            inputs=folder / "inputs", styles=folder / "styles", count=count
        )
        output = ["--output", str(folder / "out")]
        assert main([*words.split(), *output, "--template_location=gs://b/job"]) == 0
        return scales.size

    return graph


@pytest.mark.parametrize("command", COMMANDS)
def test_graph_does_not_grow(command: str, weigh: Callable[[str, int], int]) -> None:
    few, many = weigh(command, 4), weigh(command, 200)

    assert few > 50_000  # It is the graph of a whole job.
    assert many - few < SLACK
    assert many < 1_000_000
