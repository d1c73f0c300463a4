"""Strange inputs end in a value or in a failure with a name, within 10 s and 1 GB.

New inputs in each run; the header of pytest's report says which `FAULTS_SEED` brings
them again. What was found is in `build/findings`, and `fuzz.py` replays it.
"""

import hashlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest
from fuzz_targets import TARGETS
from workplace import ROOT, WIDTHS, Workplace, chosen, pick

SEED = int(os.environ.get("FAULTS_SEED", "0"))
LONG = os.environ.get("FAULTS") == "long"

# By way: inputs a target.
COUNTS = {"hypothesis": 3000, "plain": 3000} if LONG else {"hypothesis": 250}
ATHERIS = 3000 if LONG else 250

# Each takes seconds to begin, so CI has two of them, others in each run.
LED = sorted(TARGETS)
if not LONG:
    LED = sorted({chosen(SEED, LED, "atheris", i) for i in range(2)})

FINDINGS = ROOT / "build" / "findings"


def told(name: str, report: pathlib.Path, seed: int) -> dict[str, str]:
    """Return what a report says was found, and keep the inputs."""
    found = {}
    for signature, about in json.loads(report.read_text())["found"].items():
        data = bytes.fromhex(about["input"])
        FINDINGS.mkdir(parents=True, exist_ok=True)
        kept = FINDINGS / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}"
        kept.write_bytes(data)
        found[signature] = f"{kept.relative_to(ROOT)} (seed {seed})\n{about['text']}"
    return found


def none_of(found: dict[str, str], workplace: Workplace) -> None:
    """Fail where something was found, and say all of it."""
    if found:
        lines = [f"whole: {workplace.whole_folder}"]
        lines += [f"FOUND {signature}: {text}" for signature, text in found.items()]
        pytest.fail("\n".join(lines), pytrace=False)


@pytest.mark.parametrize("way", COUNTS)
@pytest.mark.parametrize("name", TARGETS)
def test_strange_input_ends_in_a_value_or_a_failure(
    workplace: Workplace, name: str, way: str, tmp_path: pathlib.Path
) -> None:
    for work in ("ingest", "stylize"):
        workplace.whole(work)
    wanted, found, deaths = COUNTS[way], {}, 0
    seed = pick(SEED, name, way) % 2**32
    while wanted > 0 and deaths < 5:
        report = tmp_path / f"{deaths}.json"
        arguments = {
            "name": name,
            "whole": str(workplace.whole_folder),
            "report": str(report),
            "way": way,
            "count": wanted,
            "seed": seed + deaths,
        }
        ended = workplace.warm.run("", tmp_path, limit=3600, fuzz=arguments)
        found |= told(name, report, seed + deaths)
        if ended.status == 0:
            break
        # A death of the process or a hang in native code: go on behind it.
        current = report.with_suffix(".current").read_bytes()
        FINDINGS.mkdir(parents=True, exist_ok=True)
        kept = FINDINGS / f"{name}-{hashlib.sha256(current).hexdigest()[:8]}"
        kept.write_bytes(current)
        found[f"the process died: {kept.relative_to(ROOT)}"] = ended.about()
        deaths += 1
        wanted -= json.loads(report.read_text())["count"] + 1
    none_of(found, workplace)


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed"
)
@pytest.mark.parametrize("name", TARGETS)
def test_what_coverage_leads_to_ends_in_a_value_or_a_failure(
    workplace: Workplace, name: str, tmp_path: pathlib.Path
) -> None:
    if name not in LED:
        pytest.skip("not of this run")
    for work in ("ingest", "stylize"):
        workplace.whole(work)
    report = tmp_path / "report.json"
    seed = pick(SEED, name, "atheris") % 2**31
    bundle = workplace.root / "bundle"
    command = [sys.executable, str(pathlib.Path(__file__).with_name("fuzz.py"))]
    command += ["--atheris", name, str(workplace.whole_folder), str(report)]
    command += [str(bundle), ",".join(map(str, WIDTHS)), str(ATHERIS), str(seed)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, "FAULTS_BUNDLE": str(bundle)}
    environment |= {"ARROW_DEFAULT_MEMORY_POOL": "system"}
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, check=False
    )
    said = ended.stderr[-2000:].decode(errors="replace")
    none_of(told(name, report, seed), workplace)
    assert ended.returncode == 0, said
