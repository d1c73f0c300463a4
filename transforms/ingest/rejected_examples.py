"""What a rejected file looks like, for people who want to see why."""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import ToList, Top

from transforms.elements import ImageError, Reason
from transforms.images.decoder import decode_image
from transforms.images.thumbnails import thumbnail

EXAMPLES_A_REASON: Final = 12

_HEAD: Final = 48
_THUMBNAIL_HEIGHT: Final = 128

# An end of image for a JPEG that was cut: its decoder then shows what is there.
_JPEG_END: Final = b"\xff\xd9" * 32


@functools.total_ordering
@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RejectedExample:
    """A rejected image as the report shows it; ordered by key.

    Attributes:
        reason: Why it was rejected.
        key: Key of the image.
        message: What was found and what was expected.
        size: Bytes of the file; -1 where it could not be read.
        head: First bytes of the file.
        thumbnail: A small JPEG of what can be seen of it; empty when nothing.
    """

    reason: str
    key: str
    message: str
    size: int
    head: bytes
    thumbnail: bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RejectedExample) and self.key == other.key

    def __lt__(self, other: "RejectedExample") -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(self.key)


def rejected_example(row: dict[str, Any], data: bytes | None) -> RejectedExample:
    """Return what the report shows of a rejected image.

    Args:
        row: Row of the manifest.
        data: Bytes of the image; None where it could not be read.
    """
    return RejectedExample(
        reason=str(row["reason"]),
        key=row["key"],
        message=row["message"],
        size=-1 if data is None else len(data),
        head=(data or b"")[:_HEAD],
        thumbnail=b"" if row["reason"] == Reason.CRASHED else _thumbnail(data or b""),
    )


def _thumbnail(data: bytes) -> bytes:
    """Return what can be seen of a file, also of a half one; empty when nothing."""
    attempts = [data]
    if data.startswith(b"\xff\xd8"):
        attempts.append(data + _JPEG_END)
    for attempt in attempts:
        try:
            image = decode_image(attempt, min_side=1, size=2 * _THUMBNAIL_HEIGHT)
        except ImageError:
            continue
        return thumbnail(image.pixels, _THUMBNAIL_HEIGHT)
    return b""


@dataclasses.dataclass
class ChooseExamples(
    beam.PTransform[PCollection[RejectedExample], PCollection[list[RejectedExample]]]
):
    """The first few examples of each reason, by key.

    Input: `RejectedExample`. Output: one list, empty when nothing was rejected. The
    choice is made before anything is shuffled, so few pictures ever are.
    """

    def expand(
        self, examples: PCollection[RejectedExample]
    ) -> PCollection[list[RejectedExample]]:
        """Take the first examples of each reason, and make one list of them."""
        return (
            examples
            | "KeyByReason" >> beam.Map(_by_reason)
            | "FirstOfEach" >> Top.SmallestPerKey(EXAMPLES_A_REASON)
            | "Values" >> beam.Values()
            | "Collect" >> ToList()
            | "Join" >> beam.Map(_join)
        )


def _by_reason(example: RejectedExample) -> tuple[str, RejectedExample]:
    return example.reason, example


def _join(lists: Iterable[list[RejectedExample]]) -> list[RejectedExample]:
    return sorted(
        (example for some in lists for example in some),
        key=lambda example: (example.reason, example.key),
    )
