"""Every block of docs/saving-and-loading.md runs, in order."""

import pathlib
import re

import pytest

from pipelines import cli

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "saving-and-loading.md"


@pytest.fixture(scope="module")
def workdir(train_command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("workdir")
    assert cli.main(train_command(folder, "--steps", "2")) == 0
    return folder


def test_every_block_of_the_page_runs(workdir, tmp_path, picture):
    text = PAGE.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 8
    names = {
        "workdir": str(workdir),
        "folder": str(tmp_path),
        "picture": picture(48, 64, seed=1)[None],
        "painting": picture(40, 56, seed=2)[None],
    }
    for block in blocks:
        line = text[: text.index(block)].count("\n")
        # So that a failure shows the line of the page.
        exec(compile("\n" * line + block, str(PAGE), "exec"), names)
