import shutil
import subprocess

import pytest

from pipelines.cli import main
from pipelines.settings.completion import script

ASK = """
source /dev/stdin <<< "$SCRIPT"
COMP_WORDS=(stylebeam "$@"); COMP_CWORD=$#
_shtab_stylebeam 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(*words: str) -> set[str]:
    """Return what bash offers for the last of the words."""
    process = subprocess.run(
        [str(shutil.which("bash")), "-c", ASK, "bash", *words],
        env={"SCRIPT": script("bash"), "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    return set(process.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_flags_and_values() -> None:
    assert completed("sty") == {"stylize"}
    assert completed("stylize", "--content-s") == {"--content-size"}
    assert completed("stylize", "--format", "p") == {"png"}


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_a_script(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    assert "stylize" in capsys.readouterr().out
