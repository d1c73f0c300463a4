"""Headless Chromium, and the questions that the tests ask of a page."""

import pathlib

import pytest
from chromium import chromium

WINDOW = (1300, 900)

PAGES = {
    "stylize": "gallery/index.html",
    "visualize": "gallery/index.html",
    "compare": "gallery/index.html",
    "optimize": "report.html",
    "optimize many": "report.html",
    "evaluate": "index.html",
    "ingest": "report.html",
}


class Browser:
    """Opens pages from disk, as a person does, and asks what is on them."""

    def __init__(self, driver):
        from selenium.webdriver.support.wait import WebDriverWait

        self.driver = driver
        self._wait = WebDriverWait(driver, 20, poll_frequency=0.05)

    def open(self, url):
        # A page of its own between two visits: a new hash alone would not load again.
        self.driver.get("about:blank")
        self.driver.get(url)
        self.until("document.querySelector('main :is(.cell, .map), .message')")

    def ask(self, expression):
        return self.driver.execute_script(f"return {expression}")

    def until(self, expression):
        self._wait.until(lambda _: self.ask(expression), expression)

    def wait_for(self, condition):
        self._wait.until(lambda _: condition())

    def texts(self, selector):
        return self.ask(
            f"[...document.querySelectorAll(`{selector}`)].map(e => e.textContent)"
        )

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def click(self, selector):
        self.find(selector).click()

    def hover(self, selector):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_to_element(self.find(selector)).perform()

    def press(self, *keys):
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def browser(driver):
    """Yield the browser; no test may leave a complaint in its console."""
    driver.set_window_size(*WINDOW)
    driver.get_log("browser")
    yield Browser(driver)
    assert driver.get_log("browser") == []


@pytest.fixture(scope="session")
def pages(
    tmp_path_factory, picture, tiny_bundle, random_arrays
) -> dict[str, pathlib.Path]:
    """The pages of one small run of each command."""
    import numpy as np
    from PIL import Image

    from model.networks import vgg, weights
    from pipelines import cli

    root = tmp_path_factory.mktemp("pages")
    for name in ("photos/a", "photos/b", "styles/s", "photos/c"):
        path = root / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = np.rint(picture(48, 64, seed=ord(name[-1])) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    (root / "photos/bad.png").write_bytes(b"no picture")
    tiny_bundle.save(root / "bundle")
    both = ["--content", f"{root}/photos", "--style", f"{root}/styles"]
    one = ["--content", f"{root}/photos/a.png", "--style", f"{root}/styles"]
    layers = ["--layers", "block1_conv1,block2_conv1", "--size", "48"]
    gatys = ["--size", "32", "--steps", "3", "--pyramid", "1"]
    (root / "sweep.toml").write_text("[sweep]\nstyle-weight = [1, 10, 1000]\n")
    commands = {
        "stylize": ["stylize", *both, "--bundle", f"{root}/bundle"],
        "visualize": ["visualize", "--input", f"{root}/photos", *layers],
        "compare": [
            *("visualize", "--input", f"{root}/photos", f"{root}/styles", *layers),
            *("--compare", f"{root}/stylize", f"{root}/bundle"),
        ],
        "optimize": ["optimize", *one, *gatys, "--sweep", f"{root}/sweep.toml"],
        "optimize many": ["optimize", *both, *gatys],
        "evaluate": ["evaluate", *both, "--bundle", f"{root}/bundle", "--size", "32"],
        "ingest": ["ingest", "--input", f"{root}/photos", "--name", "d"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgg, "_CHANNELS", (4, 6, 8, 8, 8))
        arrays = random_arrays(vgg.vgg_layers("vgg16"))
        patch.setattr(weights, "_packaged_vgg16", lambda: arrays)
        for name, command in commands.items():
            output = root / name.replace(" ", "-")
            flags = ["--output", str(output), "--max-failure-rate", "1"]
            assert cli.main([*command, *flags]) == 0
    return {n: root / n.replace(" ", "-") / page for n, page in PAGES.items()}
