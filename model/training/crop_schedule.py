"""Crops that grow while a training goes on; imports no TensorFlow."""

import bisect
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Final

from model.config import STRIDE
from model.options import Range, words

# At the deepest layer reflection takes a cell from beyond the border cell.
LEAST_CROP: Final = 2 * STRIDE

CROP: Final = Range(
    lambda side: side >= LEAST_CROP and side % STRIDE == 0,
    f"a multiple of {STRIDE}, at least {LEAST_CROP}",
)


@dataclasses.dataclass(frozen=True, slots=True)
class CropSchedule:
    """Which side the crops of each step have.

    Attributes:
        crops: Sides in pixels, ascending.
        ends: Before which step each of them ends, the first step being 0; one fewer
            than crops, since the last one has no end.
    """

    crops: tuple[int, ...]
    ends: tuple[int, ...] = ()

    @classmethod
    def read(cls, text: str) -> "CropSchedule":
        """Return the schedule that `str` wrote.

        Raises:
            ValueError: It is none; the message is what was expected.

        >>> CropSchedule.read("96:4000, 128:12000, 192")
        CropSchedule(crops=(96, 128, 192), ends=(4000, 12000))
        """
        form = "such as 96:4000,128:12000,192"
        pairs = [part.partition(":") for part in words(text)]
        try:
            crops = tuple(int(crop) for crop, _, _ in pairs)
            ends = tuple(int(end) for _, _, end in pairs[:-1])
        except ValueError as error:
            raise ValueError(
                f"a crop and the step before which it ends for each stage, {form}"
            ) from error
        if not crops or pairs[-1][1]:
            raise ValueError(f"a last crop without a step, {form}")
        for crop in crops:
            if not CROP.holds(crop):
                raise ValueError(f"crops that are each {CROP.text}, found {crop}")
        for what, values in (("crops", crops), ("steps", (0, *ends))):
            if any(after <= before for before, after in itertools.pairwise(values)):
                raise ValueError(f"ascending {what}, {form}")
        return cls(crops, ends)

    def __str__(self) -> str:
        """Return it as it is typed."""
        parts = [f"{c}:{end}" for c, end in zip(self.crops, self.ends, strict=False)]
        return ",".join([*parts, str(self.crops[-1])])

    def crop(self, step: int) -> int:
        """Return the side of the crops of a step, the first being 0.

        >>> schedule = CropSchedule.read("96:4000,128")
        >>> schedule.crop(3999), schedule.crop(4000)
        (96, 128)
        """
        return self.crops[bisect.bisect_right(self.ends, step)]

    def stages(self, first: int) -> Iterator[tuple[int, int, int | None]]:
        """Yield the stages from a step on: the crop, its first step, and its end.

        >>> list(CropSchedule.read("96:4000,128:12000,192").stages(4000))
        [(128, 4000, 12000), (192, 12000, None)]
        """
        for crop, end in itertools.zip_longest(self.crops, self.ends):
            if end is None or end > first:
                yield crop, first, end
                first = end or first
