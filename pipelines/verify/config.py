"""What `stylebeam verify` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses

from model.options import option, positional


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VerifyConfig:
    """What `stylebeam verify` was asked to do."""

    output: str = positional(
        "output of any command, a folder or its URL in a bucket: that of a job, a data "
        "set, a training or a bundle; or a styles.parquet",
        metavar="OUT",
        path="written",
    )
    repair: bool = option(
        False,
        "make again what can be made of what stands there: thumbnails, pages, contact "
        "sheets, descriptions of data sets",
    )
