"""The size of the job graph, which Dataflow limits: bytes of the pipeline of `stylize`.

    python benchmarks/job_graph.py --contents 1000000 --styles 1000

The pictures are listed, not there: nothing is read. What is measured is the pipeline as
a flex template submits it, with the last step that ends the job.
"""

import argparse
import dataclasses
import logging
import os
import pathlib
import sys
import tempfile
import time
from unittest import mock

import apache_beam as beam
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState
from PIL import Image

from pipelines.cli import build_parser, config_from_args
from pipelines.command import run_job
from pipelines.stylize import job
from pipelines.stylize.config import StylizeConfig
from pipelines.stylize.plan import StylizePlan
from pipelines.stylize.plan import plan as plan_of_one
from transforms.elements import ImageRef
from transforms.inputs.listed import Listing


class Scales(PipelineRunner):
    """Weighs a pipeline in place of running it."""

    size = 0

    def run_pipeline(self, pipeline: beam.Pipeline, options: object) -> PipelineResult:
        """Note the size of the graph."""
        self.size = pipeline.to_runner_api().ByteSize()
        return PipelineResult(PipelineState.DONE)


def listing(role: str, count: int) -> Listing:
    """Return a listing of pictures in a bucket."""
    listed = Listing()
    for number in range(count):
        key = f"2026/{number % 1000:03d}/{role}-{number:08d}.jpg"
        listed.add(ImageRef(key, role, f"gs://bucket/{role}/{key}", size=500_000))
    return listed


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--contents", type=int, default=1_000_000)
    parser.add_argument("--styles", type=int, default=1000)
    args = parser.parse_args()
    print(f"command: python benchmarks/job_graph.py {' '.join(sys.argv[1:])}")
    logging.disable(logging.WARNING)  # Beam's, of its own type hints
    started = time.monotonic()

    def plan(config: StylizeConfig) -> StylizePlan:
        small = plan_of_one(config)
        return dataclasses.replace(
            small,
            contents=listing("contents", args.contents),
            styles=listing("styles", args.styles),
            style_count=args.styles,
        )

    with tempfile.TemporaryDirectory() as folder:
        picture = pathlib.Path(folder, "picture.png")
        Image.new("RGB", (64, 64)).save(picture)
        words = ["stylize", "--content", str(picture), "--style", str(picture)]
        words += ["--output", str(pathlib.Path(folder, "output"))]
        config = config_from_args(build_parser().parse_args(words))
        scales = Scales()
        pipeline = beam.Pipeline(runner=scales)
        with (
            mock.patch.dict(os.environ, FLEX_TEMPLATE_PYTHON_PY_FILE="launch.py"),
            mock.patch.object(job, "plan", plan),
            mock.patch.object(run_job, "make_pipeline", return_value=pipeline),
        ):
            job.run(config, ["--template_location=gs://bucket/job"])
    seconds = time.monotonic() - started
    cells = args.contents * args.styles
    print(f"{cells:.0e} cells: {scales.size} bytes, composed in {seconds:.0f} s")


if __name__ == "__main__":
    main()
