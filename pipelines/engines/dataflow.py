"""What is special about Dataflow: templates, and a launcher that leaves early.

A flex template plans at each launch, in an image of ours: its launcher composes the
job, writes it to `--template_location` and has to end before the job begins. A classic
template is written to the same option, by hand and once.
"""

import os
from typing import Final

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from pipelines.errors import UsageError

# Google's launcher finds the program to start by it; our image sets it.
FLEX_TEMPLATE: Final = "FLEX_TEMPLATE_PYTHON_PY_FILE"


def check_template(options: PipelineOptions) -> None:
    """Refuse a classic template.

    Raises:
        UsageError: One is asked for.
    """
    place = options.view_as(GoogleCloudOptions).template_location
    if place and FLEX_TEMPLATE not in os.environ:
        raise UsageError(
            f"--template_location {place}: a classic template would freeze the inputs "
            "and the plan of today into every later run. Use a flex template, which "
            "lists and plans at each launch: infra/dataflow/README.md"
        )


def launcher_leaves(options: PipelineOptions) -> bool:
    """Return whether the launcher ends before the job begins, as in a flex template."""
    return bool(options.view_as(GoogleCloudOptions).template_location)
