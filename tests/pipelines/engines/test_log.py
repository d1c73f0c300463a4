"""What a person sees of the logs of Beam and of engines."""

import logging

import pytest

from pipelines.engines.log import QuietFilter


def record(name: str, level: int, module: str = "m") -> logging.LogRecord:
    made = logging.LogRecord(name, level, f"/x/{module}.py", 1, "text", (), None)
    assert made.module == module
    return made


@pytest.mark.parametrize(
    ("name", "level", "module", "shown"),
    [
        ("pipelines.engines.arrival", logging.INFO, "arrival", True),
        ("transforms.buckets.patience", logging.INFO, "patience", False),
        ("transforms.buckets.patience", logging.WARNING, "patience", True),
        ("apache_beam.runners.dataflow", logging.INFO, "dataflow_runner", False),
        ("apache_beam.runners.dataflow", logging.WARNING, "dataflow_runner", True),
        # "Really starting service at …"
        ("apache_beam.utils.subprocess_server", logging.WARNING, "x", False),
        # "with Pipeline() as p"
        (
            "apache_beam.runners.portability.portable_runner",
            logging.INFO,
            "portable_runner",
            False,
        ),
        # What the job ends with, by way of the root logger.
        ("root", logging.ERROR, "portable_runner", False),
        ("PrismRunner", logging.ERROR, "x", False),
        ("root", logging.WARNING, "decorators", False),
        ("absl", logging.ERROR, "x", True),
    ],
)
def test_what_is_shown(name: str, level: int, module: str, shown: bool) -> None:
    assert QuietFilter().filter(record(name, level, module)) is shown
