"""The commands of `stylebeam`: a line for each.

Importing this module imports neither TensorFlow nor Beam.
"""

from typing import Final, NamedTuple

from pipelines.demo.config import DemoConfig
from pipelines.doctor.config import DoctorConfig
from pipelines.evaluate.config import EvaluateConfig
from pipelines.import_weights.config import ImportWeightsConfig
from pipelines.ingest.config import IngestConfig
from pipelines.optimize.config import OptimizeConfig
from pipelines.settings.config import CompletionConfig, ExampleConfig
from pipelines.stylize.config import StylizeConfig
from pipelines.train.config import TrainConfig
from pipelines.train.export_config import ExportConfig
from pipelines.verify.config import VerifyConfig
from pipelines.view.config import ViewConfig
from pipelines.visualize.config import VisualizeConfig


class Command(NamedTuple):
    """A subcommand: its configuration, the module of its job, what it does."""

    config: type
    job: str
    summary: str


COMMANDS: Final = {
    "demo": Command(
        DemoConfig, "pipelines.demo.job", "stylize a photograph in 25 styles, to begin"
    ),
    "ingest": Command(
        IngestConfig,
        "pipelines.ingest.job",
        "make a data set of pictures that TFDS reads",
    ),
    "train": Command(
        TrainConfig, "pipelines.train.job", "train a decoder on ingested data sets"
    ),
    "export": Command(
        ExportConfig,
        "pipelines.train.export",
        "export a decoder: a bundle, SavedModel, TFLite, ONNX or weights",
    ),
    "import-weights": Command(
        ImportWeightsConfig,
        "pipelines.import_weights.job",
        "make a bundle of weights that others published",
    ),
    "evaluate": Command(
        EvaluateConfig, "pipelines.evaluate.job", "measure the quality of a bundle"
    ),
    "stylize": Command(
        StylizeConfig, "pipelines.stylize.job", "stylize every content with every style"
    ),
    "optimize": Command(
        OptimizeConfig,
        "pipelines.optimize.job",
        "optimise pictures the Gatys way, and compare",
    ),
    "visualize": Command(
        VisualizeConfig,
        "pipelines.visualize.job",
        "show what a network sees in every image",
    ),
    "view": Command(
        ViewConfig,
        "pipelines.view.job",
        "show the pages of an output in a browser, also out of buckets and shards",
    ),
    "verify": Command(
        VerifyConfig,
        "pipelines.verify.job",
        "check every file of an output against what was recorded of it",
    ),
    "config": Command(
        ExampleConfig,
        "pipelines.settings.example",
        "print a file of all options of a command, for its --config",
    ),
    "doctor": Command(
        DoctorConfig,
        "pipelines.doctor.job",
        "say what this machine can do, and what would break a run",
    ),
    "completion": Command(
        CompletionConfig,
        "pipelines.settings.completion",
        "print what completes commands and flags in a shell",
    ),
}
