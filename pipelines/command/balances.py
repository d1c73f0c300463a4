"""What went into a job and what came of it: nothing may be lost."""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from transforms.elements import Count, Reason, failure_count


@dataclasses.dataclass(frozen=True, slots=True)
class Balance:
    """What went in and what came of it: nothing may be lost.

    Attributes:
        name: What the things are called, plural.
        total: How many went in.
        done: How many were done, by what happened to them.
        failed: How many failed.
    """

    name: str
    total: int
    done: Mapping[str, int]
    failed: int

    @classmethod
    def of_images(cls, listed: int, counts: Mapping[str, int]) -> "Balance":
        """Return the balance of images that were listed: decoded or failed."""
        decoded = counts.get(Count.IMAGES_DECODED, 0)
        failed = counts.get(Count.IMAGES_FAILED, 0)
        return cls("images", listed, {"decoded": decoded}, failed)

    @classmethod
    def of_work(cls, name: str, counts: Mapping[str, int]) -> "Balance":
        """Return the balance of what a job plans: done, kept of an earlier run, failed.

        Args:
            name: What the things are called, plural.
            counts: Counts, among them `<name>_planned`, `_done`, `_kept`, `_failed`.
        """
        planned, done, kept, failed = (
            counts.get(f"{name}_{what}", 0)
            for what in ("planned", "done", "kept", "failed")
        )
        return cls(name, planned, {"done": done, "kept": kept}, failed)

    @property
    def missing(self) -> int:
        """How many were lost; 0 unless stylebeam has a defect."""
        return self.total - sum(self.done.values()) - self.failed

    @property
    def failure_rate(self) -> float:
        """Share that failed, in [0, 1]."""
        return self.failed / self.total if self.total else 0.0

    def sentence(self) -> str:
        """Return the balance as one line for a person."""
        parts = [f"{amount} {what}" for what, amount in self.done.items()]
        return f"{self.total} {self.name} = {' + '.join(parts)} + {self.failed} failed"

    def to_json(self) -> dict[str, Any]:
        """Return the balance as job.json keeps it."""
        return {
            "name": self.name,
            "total": self.total,
            "done": dict(self.done),
            "failed": self.failed,
        }


def tell_reasons(command: str, counts: Mapping[str, int]) -> None:
    """Say how much failed for which reason, the most frequent first."""
    found = [(counts.get(failure_count(one), 0), str(one)) for one in Reason]
    reasons = sorted((-amount, one) for amount, one in found if amount)
    if reasons:
        told = ", ".join(f"{-amount} {one}" for amount, one in reasons)
        print(f"{command}: failures by reason: {told}", file=sys.stderr)


def tell_unlisted(command: str, folders: int) -> None:
    """Say that so many folders below the inputs could not be listed, if there are any.

    One may stand for any number of images, so no share of failures allows it.
    """
    if folders:
        what = "1 folder" if folders == 1 else f"{folders} folders"
        print(
            f"{command}: {what} below the inputs cannot be listed, and whatever is in "
            "there is missing. Make them readable and give the same command again.",
            file=sys.stderr,
        )
