"""What a user reads on stderr: the job's lines, and none of TensorFlow's remarks."""

import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

REMARKS = ("oneDNN", "cuda", "cuInit", "InitializeLog", "computation_placer")

# Flags of each command beyond its inputs and its output.
COMMANDS = {
    "stylize": ("--content-size", "32"),
    "optimize": ("--size", "64", "--steps", "2"),
    "visualize": ("--layers", "block1_conv1", "--kinds", "features,saliency"),
    "evaluate": ("--size", "32"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_nothing_but_its_own_lines(
    command: str, tmp_path: pathlib.Path, photograph
) -> None:
    image = str(photograph(tmp_path / "one.png", 64, 64))
    if command == "visualize":
        inputs = ["--input", image]
    else:
        inputs = ["--content", image, "--style", image]
    argv = [sys.executable, "-m", "pipelines", command, *inputs, *COMMANDS[command]]
    argv += ["--output", str(tmp_path / "out")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[-1].startswith(f"{command}: ")
    assert not [line for line in lines if any(r in line for r in REMARKS)]
