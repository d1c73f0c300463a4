"""`job.json`: what may stand in it, since the next run goes by it."""

from collections.abc import Mapping
from typing import Any, Final

from model.checksums import CRC, is_intact_object, sealed_object
from transforms.storage.folder import OutputFolder

JOB: Final = "job.json"


def write_job(output: OutputFolder, job: Mapping[str, Any]) -> None:
    """Write job.json, with its checksum.

    Raises:
        OutputError: It cannot be written.
    """
    output.write_json(JOB, sealed_object(job))


def wrong_job(job: Any) -> str | None:
    """Return what is wrong with the value of a job.json; None where nothing is.

    What a killed job had not come to may be missing.
    """
    if not isinstance(job, dict):
        return f"found {short(job)}, expected an object"
    if not is_intact_object(job):
        return (
            "it is not as it was written; if you changed it by hand, delete its line "
            f'"{CRC}"'
        )
    if not isinstance(job.get("command"), str):
        return f"command is {short(job.get('command'))}, expected text"
    for name in ("identity", "counts", "timings", "versions", "config"):
        if not isinstance(job.get(name, {}), dict):
            return f"{name} is {short(job[name])}, expected an object"
    lease = job.get("lease", {})
    if not isinstance(lease, dict) or not all(
        type(lease.get(name, 0)) is int and lease.get(name, 0) >= 0
        for name in ("number", "since")
    ):
        return f"lease is {short(lease)}, expected two numbers"
    for name in ("counts", "timings"):
        for key, value in job.get(name, {}).items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                return f"{name}.{short(key)} is {short(value)}, expected a number"
    return None


def no_job(wrong: object) -> str:
    """Return the end of an error for a job.json that cannot be used."""
    return (
        f"its {JOB} cannot be used ({short(str(wrong))}), so nobody knows what it "
        "belongs to. Put back a copy of that file, or choose another folder."
    )


def short(value: Any) -> str:
    """Return a value for a message, cut to a readable length."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
