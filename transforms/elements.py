"""What flows between the transforms, and the closed sets of statuses and reasons.

Imports neither TensorFlow nor Beam, so that a reader of the outputs needs neither.
"""

import dataclasses
import enum
import functools
import hashlib
import re
import unicodedata
from typing import Final, Literal

PreserveColor = Literal["none", "luminance", "histogram"]


class Reason(enum.StrEnum):
    """Why an image or a cell failed, or was left out: a closed set, written as is."""

    NOT_FOUND = "not_found"
    UNREADABLE = "unreadable"
    EMPTY_FILE = "empty_file"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED = "unsupported"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    BAD_ARCHIVE_MEMBER = "bad_archive_member"
    BAD_PAIR = "bad_pair"
    BAD_ANNOTATION = "bad_annotation"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    MODEL_ERROR = "model_error"
    WRITE_ERROR = "write_error"
    FILTERED = "filtered"
    NEAR_DUPLICATE = "near_duplicate"


# Reasons of what was asked for: images are left out, and none of them failed.
LEFT_OUT_REASONS: Final = (Reason.FILTERED, Reason.NEAR_DUPLICATE)


class ImageStatus(enum.StrEnum):
    """What became of an input of `ingest`."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    LEFT_OUT = "left_out"


class CellStatus(enum.StrEnum):
    """What became of a cell of the content × style grid."""

    DONE = "done"
    FAILED = "failed"


class Count:
    """The names of what steps count and `job.json` adds up: a closed set.

    Plain strings, since Beam's coders tell a member of an enum from its string, and
    the sums of one name would come apart. Beside them stand the names that
    `failure_count` gives.
    """

    IMAGES_DECODED: Final = "images_decoded"
    IMAGES_FAILED: Final = "images_failed"
    IMAGES_ACCEPTED: Final = "images_accepted"
    IMAGES_REJECTED: Final = "images_rejected"
    IMAGES_DUPLICATE: Final = "images_duplicate"
    IMAGES_LEFT_OUT: Final = "images_left_out"
    ANNOTATIONS_KEPT: Final = "annotations_kept"
    ANNOTATIONS_LEFT: Final = "annotations_left"
    ANNOTATIONS_FAILED: Final = "annotations_failed"
    RECORDS_WRITTEN: Final = "records_written"
    CONTENTS_DECODED: Final = "contents_decoded"
    CONTENTS_FAILED: Final = "contents_failed"
    CONTENTS_RESIZED: Final = "contents_resized"
    CONTENTS_SKIPPED: Final = "contents_skipped"
    STYLES_DECODED: Final = "styles_decoded"
    STYLES_FAILED: Final = "styles_failed"
    CELLS_PLANNED: Final = "cells_planned"
    CELLS_DONE: Final = "cells_done"
    CELLS_KEPT: Final = "cells_kept"
    CELLS_FAILED: Final = "cells_failed"
    CELLS_EXTRA: Final = "cells_extra"
    SHEETS_PLANNED: Final = "sheets_planned"
    SHEETS_DONE: Final = "sheets_done"
    SHEETS_KEPT: Final = "sheets_kept"
    SHEETS_FAILED: Final = "sheets_failed"
    RUNS_PLANNED: Final = "runs_planned"
    RUNS_DONE: Final = "runs_done"
    RUNS_KEPT: Final = "runs_kept"
    RUNS_FAILED: Final = "runs_failed"


def failure_count(reason: str) -> str:
    """Return the name by which failures of one reason are counted in `job.json`.

    >>> failure_count(Reason.NOT_FOUND)
    'failures_not_found'
    """
    return f"failures_{reason}"


class ImageError(Exception):
    """One image or cell cannot be processed; the job goes on without it.

    The functions on one image raise it, the transforms turn it into a `Failure`.
    Any other exception is a programming error and stops the job.

    Attributes:
        reason: The closed-set cause.
        message: What was found and what was expected, for a person.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """One image or cell that could not be processed; a row of `failures/`.

    Attributes:
        key: Key of the image, or the path of the cell inside the output.
        source: Name of the input root that the image was listed from.
        stage: Label of the step that failed, such as `DecodeContent`.
        reason: The closed-set cause.
        message: What was found and what was expected.
        about: Where it stands what is known of the image; not in the row.
    """

    key: str
    source: str
    stage: str
    reason: Reason
    message: str
    about: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRef:
    """Where the bytes of one image are: what crosses a shuffle instead of the bytes.

    A folder that cannot be listed stands in for the images below it, and fails.

    Attributes:
        key: Path relative to the input root, `/` between its parts; with several
            roots `<root name>/<path>`. Unique in a job. That of a folder ends in `/`.
        source: Name of the input root (never a path of this machine).
        path: Local path or `gs://` URL of the file, or of the archive that holds it.
        member: Name inside the archive; empty for a plain file.
        offset: First byte inside `path` where the bytes can be read in place (tar
            members, pictures in shards); -1 elsewhere.
        size: Bytes of the image as listed (the uncompressed size of a zip member).
        about: Where in an index it stands what is known of the image; empty where
            nothing is.
        frame: First byte inside `path` of the TFRecord that the image is in, which
            tells by its checksum whether it is as it was written; -1 elsewhere.
    """

    key: str
    source: str
    path: str
    member: str = ""
    offset: int = -1
    size: int = 0
    about: str = ""
    frame: int = -1

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder that could not be listed."""
        return self.key.endswith("/")

    @property
    def id(self) -> str:
        """The name of this image in every output."""
        return image_id(self.key)

    def failure(self, stage: str, error: ImageError) -> Failure:
        """Return the failure row for this image."""
        return Failure(
            self.key, self.source, stage, error.reason, error.message, self.about
        )


@functools.lru_cache(maxsize=1024)
def image_id(key: str) -> str:
    r"""Return a readable file name for a key that no other key shares.

    An ASCII slug of at most 80 characters, `-`, and 12 hexadecimal digits of the
    key's sha256: `a.jpg`, `a.png` and `d/a.jpg` stay apart, and no key can name a
    place outside the output folder.

    >>> image_id("d/Caf\u00e9 n\u00ba 1.jpg")
    'd-cafe-no-1-jpg-44be5812df14'
    """
    ascii_key = unicodedata.normalize("NFKD", key).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_key.lower()).strip("-")[:80].strip("-")
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{slug}-{digest}" if slug else digest
