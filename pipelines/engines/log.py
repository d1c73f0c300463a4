"""What of the logs of Beam and of engines a person sees."""

import logging
from typing import Final

_OURS: Final = ("model", "transforms", "pipelines")
_BEAM: Final = "apache_beam"

# Loggers and modules that tell of every start and end of a server, or repeat what the
# job ends with.
_CHATTER: Final = (
    "apache_beam.utils.subprocess_server",
    "PrismJobServer",
    "PrismRunner",
    "FlinkJarJobServer",
    "SparkJarJobServer",
)
# What is tried again and comes through concerns nobody; what does not is an error.
_RETRIES: Final = "transforms.buckets.patience"
_REPEATING: Final = ("portable_runner", "local_job_service")


class QuietFilter(logging.Filter):
    """Lets through what is ours, warnings of Beam, and errors of others.

    What an engine sends of its job's errors is left out: the job ends with the last one
    of them, in a line of ours.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is shown."""
        room = record.name.partition(".")[0]
        if room in _OURS:
            return record.levelno >= logging.WARNING or record.name != _RETRIES
        if record.name.partition("@")[0] in _CHATTER or record.module in _REPEATING:
            return False
        least = logging.WARNING if room == _BEAM else logging.ERROR
        return record.levelno >= least
