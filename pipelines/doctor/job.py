"""`stylebeam doctor`: looks at this machine, and says what it found, a line each."""

import itertools
import sys
from collections.abc import Sequence

from pipelines.command.flags import refuse_beam_flags
from pipelines.doctor.config import DoctorConfig
from pipelines.doctor.machine import look_at_machine
from pipelines.doctor.networks import look_at_networks
from pipelines.doctor.reach import look_at_engines, look_at_places


def run(config: DoctorConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Returns:
        0, or 1 where something would break a run.
    """
    refuse_beam_flags(beam_flags)
    wrong = 0
    for finding in itertools.chain(
        look_at_machine(),
        look_at_networks(),
        look_at_engines(),
        look_at_places(config.check),
    ):
        print(finding.line(), flush=True)
        wrong += finding.mark == "wrong"
    told = f"{wrong} wrong" if wrong else "nothing is wrong"
    print(f"doctor: {told}; a bug report should have these lines", file=sys.stderr)
    return 1 if wrong else 0
