"""What became of the elements of a step that writes what it makes."""

from typing import Final, NamedTuple

from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection

from transforms.elements import Failure, Reason, failure_count

# Namespace of the engine's counters, one a reason.
_NAMESPACE: Final = "Failures"


class Outcome(NamedTuple):
    """What a transform gives back whose results are written.

    Attributes:
        counts: (name, amount) pairs to be added up; the names are those of `Count`.
        failures: What could not be made, and why.
    """

    counts: PCollection[tuple[str, int]]
    failures: PCollection[Failure]


def count_one(_element: object, name: str) -> tuple[str, int]:
    """Return the count of one element, whatever it is.

    >>> count_one("cat.jpg", "images_decoded")
    ('images_decoded', 1)
    """
    return name, 1


def count_failure(failure: Failure) -> tuple[str, int]:
    """Return the count of one failure by its reason, and tell it to the engine.

    >>> count_failure(Failure("a.jpg", "in", "Read", Reason.NOT_FOUND, "gone"))
    ('failures_not_found', 1)
    """
    tell_failure(failure.reason)
    return failure_count(failure.reason), 1


def tell_failure(reason: Reason) -> None:
    """Add one to the engine's counter of a reason: what its pages and alarms show."""
    Metrics.counter(_NAMESPACE, str(reason)).inc()
