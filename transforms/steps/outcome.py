"""What became of the elements of a step that writes what it makes."""

from typing import NamedTuple

from apache_beam.pvalue import PCollection

from transforms.elements import Failure


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
