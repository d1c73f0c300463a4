"""Every command says how much failed for which reason."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from model.bundle import Bundle
from pipelines.cli import main

COMMANDS = {
    "stylize": "--content {many} --style {one} --bundle {bundle}",
    "ingest": "--input {many} --name n --size 0",
    "visualize": "--input {many} --layers block1_conv1 --kinds features",
    "optimize": "--content {many} --style {one} --size 64 --steps 2",
}


@pytest.mark.usefixtures("tiny_vgg")
@pytest.mark.parametrize("command", COMMANDS)
def test_reasons_are_in_job_json_and_in_a_line(
    command: str,
    tmp_path: pathlib.Path,
    tiny_bundle: Bundle,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny_bundle.save(tmp_path / "bundle")
    rng = np.random.default_rng(1)
    for folder in ("many", "one"):
        (tmp_path / folder).mkdir()
        pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")
    for name in ("b.png", "c.png"):
        (tmp_path / "many" / name).write_bytes(b"no picture")
    (tmp_path / "many" / "d.png").touch()
    places = {name: tmp_path / name for name in ("many", "one", "bundle")}
    output = tmp_path / "out"
    argv = [command, *COMMANDS[command].format(**places).split()]

    assert main([*argv, "--output", str(output), "--max-failure-rate", "1"]) == 0

    counts = json.loads((output / "job.json").read_text("utf-8"))["counts"]
    found = {n: c for n, c in counts.items() if n.startswith("failures_")}
    assert found == {"failures_not_an_image": 2, "failures_empty_file": 1}
    said = capsys.readouterr().err
    line = f"{command}: failures by reason: 2 not_an_image, 1 empty_file\n"
    assert line in said
