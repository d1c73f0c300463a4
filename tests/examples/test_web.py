"""The web page of examples/ paints what we paint, in Chromium."""

import contextlib
import functools
import http.server
import pathlib
import shutil
import threading

import numpy as np
import pytest
from chromium import chromium
from PIL import Image

from model.adain.stylizer import Stylizer

ROOT = pathlib.Path(__file__).parents[2]
PACKAGES = ROOT / "build/web/node_modules"

pytestmark = [pytest.mark.slow, pytest.mark.browser]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def served(folder):
    """Serve a folder on this machine, as `python -m http.server` does."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def pixels_of(driver, canvas):
    """Return what a canvas shows, uint8 `[height, width, 3]`."""
    height, width, values = driver.execute_script(
        "const c = document.getElementById(arguments[0]);"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return [c.height, c.width, Array.from(d)]",
        canvas,
    )
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


def test_page_paints_what_we_paint(level_bundles, photograph, tmp_path):
    pytest.importorskip("onnx", reason="the extra interchange is not installed")
    if not PACKAGES.exists():
        pytest.skip("needs onnxruntime-web: make interchange")
    from selenium.webdriver.support.wait import WebDriverWait

    from model.interchange.onnx_model import onnx_model

    site = tmp_path / "site"
    shutil.copytree(
        ROOT / "examples/web", site, ignore=shutil.ignore_patterns("node_modules")
    )
    (site / "node_modules").symlink_to(PACKAGES)
    bundle = level_bundles("linear")
    (site / "mine.onnx").write_bytes(onnx_model(bundle))
    photograph(tmp_path / "content.png", 45, 61, seed=1)
    photograph(tmp_path / "style.png", 50, 40, seed=2)
    with served(site) as url, chromium(tmp_path / "profile") as driver:
        wait = WebDriverWait(driver, 60, poll_frequency=0.1)

        def says(text):
            wait.until(
                lambda _: text in driver.find_element("id", "message").text, text
            )

        driver.get(f"{url}/index.html?model=mine.onnx")
        says("Choose a photograph")
        for name in ("content", "style"):
            path = str(tmp_path / f"{name}.png")
            driver.find_element("id", name).send_keys(path)
        driver.execute_script(
            "const a = document.getElementById('alpha'); a.value = '0.5';"
            "a.dispatchEvent(new Event('input'))"
        )
        driver.find_element("id", "paint").click()
        says("Painted in")
        painted = pixels_of(driver, "result")
        complaints = [
            entry
            for entry in driver.get_log("browser")
            if entry["level"] == "SEVERE" and "favicon" not in entry["message"]
        ]
        # A model that is not there is said, with the command that writes it.
        driver.get(f"{url}/index.html?model=other.onnx")
        says("other.onnx could not be loaded")
        says("stylebeam export --bundle default --format onnx --output other.onnx")
    assert complaints == []
    content, style = (
        np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"))[None]
        for name in ("content", "style")
    )
    stylizer = Stylizer(bundle)
    encoded = stylizer.encode_content(content)
    ((expected,), _) = stylizer.paint(encoded, *stylizer.encode_style(style), 0.5)
    assert painted.shape == expected.shape
    assert np.abs(painted.astype(int) - expected.astype(int)).max() <= 1
