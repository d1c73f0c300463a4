"""The Java program of examples/ paints what we paint."""

import pathlib
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from model.adain.stylizer import Stylizer
from model.interchange.saved_model import save_saved_model

ROOT = pathlib.Path(__file__).parents[2]
JAR = ROOT / "build/java/target/stylize.jar"

pytestmark = pytest.mark.slow


@pytest.fixture
def java(tmp_path):
    """Return what runs the program and returns its status and errors."""
    if shutil.which("java") is None or not JAR.exists():
        pytest.skip("needs Java, and the program: make interchange")

    def run(*arguments):
        # Its libraries are unpacked there and not into the home folder.
        cache = f"-Dorg.bytedeco.javacpp.cachedir={ROOT / 'build/java/cache'}"
        done = subprocess.run(
            ["java", cache, "-jar", JAR, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.returncode, done.stderr

    return run


def test_java_paints_what_we_paint(java, tiny_bundle, picture, photograph, tmp_path):
    save_saved_model(tiny_bundle, str(tmp_path / "model"))
    photograph(tmp_path / "content.png", 45, 61, seed=1)
    photograph(tmp_path / "style.png", 50, 40, seed=2)
    status, said = java("model", "content.png", "style.png", "painted.png", "0.5")
    assert status == 0, said
    content, style = (
        np.asarray(Image.open(tmp_path / name).convert("RGB"))[None]
        for name in ("content.png", "style.png")
    )
    stylizer = Stylizer(tiny_bundle)
    encoded = stylizer.encode_content(content)
    ((expected,), _) = stylizer.paint(encoded, *stylizer.encode_style(style), 0.5)
    painted = np.asarray(Image.open(tmp_path / "painted.png"))
    assert painted.shape == expected.shape
    assert np.abs(painted.astype(int) - expected.astype(int)).max() <= 1


def test_java_says_what_is_wrong(java, photograph, tmp_path):
    status, said = java()
    assert status == 2
    assert said.startswith("usage: ")
    photograph(tmp_path / "content.png", 45, 61, seed=1)
    status, said = java("nowhere", "content.png", "content.png", "painted.png")
    assert status == 1
    assert "nowhere" in said
    assert not (tmp_path / "painted.png").exists()
