"""What `stylebeam doctor` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses

from model.options import option


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DoctorConfig:
    """What `stylebeam doctor` was asked to do."""

    check: tuple[str, ...] = option(
        (),
        "folders and buckets that a run is to read, such as gs://BUCKET/NAME: whether "
        "they can be reached and listed from here",
        metavar="PLACE",
    )
