"""Every block of docs/export.md runs, in order, on what its commands write."""

import pathlib
import re

import pytest

from pipelines import cli

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "export.md"


@pytest.mark.slow
# The interpreter moves to a package of its own, ai-edge-litert, and says so.
@pytest.mark.filterwarnings("ignore:\\s+Warning. tf.lite.Interpreter:UserWarning")
def test_every_block_of_the_page_runs(level_bundles, photograph, tmp_path, monkeypatch):
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name, reason="the extra interchange is not installed")
    monkeypatch.chdir(tmp_path)
    level_bundles("linear").save("bundle")
    for form in ("tflite", "onnx"):
        command = ["export", "--bundle", "bundle", "--format", form]
        assert cli.main([*command, "--output", f"default.{form}"]) == 0
    photograph(tmp_path / "photo.jpg", 45, 61, seed=1)
    photograph(tmp_path / "painting.jpg", 40, 33, seed=2)
    text = PAGE.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        line = text[: text.index(block)].count("\n")
        # So that a failure shows the line of the page.
        exec(compile("\n" * line + block, str(PAGE), "exec"), names)
    assert (tmp_path / "painted.png").exists()
