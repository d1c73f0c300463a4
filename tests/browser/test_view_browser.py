"""The gallery of an output in shards, as `stylebeam view` shows it."""

import numpy as np
import pytest
from PIL import Image
from view_client import serving

from pipelines import cli

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def url(tmp_path_factory, picture, tiny_bundle):
    """The URL of a server of two photographs in two styles, in tar shards."""
    root = tmp_path_factory.mktemp("view")
    for seed, name in enumerate(("photos/a", "photos/b", "styles/s", "styles/t")):
        path = root / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        # Higher than what stands in the grid itself: they have thumbnails.
        pixels = np.rint(picture(296, 400, seed=seed) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    tiny_bundle.save(root / "bundle")
    command = ["stylize", "--content", f"{root}/photos", "--style", f"{root}/styles"]
    command += ["--bundle", f"{root}/bundle", "--output", f"{root}/out"]
    assert cli.main([*command, "--output-format", "webdataset"]) == 0
    with serving(f"{root}/out") as client:
        yield f"http://127.0.0.1:{client.port}/"


def shown(browser):
    """Wait until every picture that is to be seen is there."""
    seen = "[...document.querySelectorAll('main img')].filter(i => i.offsetParent)"
    browser.until(f"{seen}.length && {seen}.every(i => i.complete && i.naturalWidth)")
    return browser.ask(f"{seen}.map(i => [i.naturalWidth, i.src])")


@pytest.mark.parametrize("window", [(1300, 900), (390, 800)])
def test_a_gallery_and_a_full_picture_out_of_a_shard(browser, url, window):
    browser.driver.set_window_size(*window)
    browser.open(url)
    assert browser.ask("location.pathname") == "/gallery/index.html"
    # The grid has thumbnails, and no holes where previews of originals would be.
    found = shown(browser)
    assert len(found) == 4
    assert all(width < 400 and "/gallery/thumbs/" in source for width, source in found)
    assert browser.texts("main .missing") == []
    browser.click("a.cell")
    browser.until("document.querySelector('#full.ready')")
    assert browser.ask("document.querySelector('#full').naturalWidth") == 400
    # Pages are kept and asked for again: their policy holds all the same.
    browser.driver.refresh()
    browser.until("document.querySelector('#full.ready')")
    browser.press("ArrowRight")
    browser.until("document.querySelector('#full.ready')")
    alone = browser.ask("document.querySelector('#file').href")
    browser.driver.get(alone)
    browser.until("document.images[0]?.complete")
    assert browser.ask("document.images[0].naturalWidth") == 400


def test_another_site_neither_frames_nor_reads_it(browser, url, tmp_path):
    # Blocked requests are told in the console, where the fixture wants nothing.
    page = tmp_path / "evil.html"
    page.write_text(
        "<script>window.stylebeam = {page: (...data) => { window.stolen = data }}"
        f"</script><script src='{url}gallery/pages/00000-000.js' "
        "onerror='this.failed = true'></script>"
        f"<iframe src='{url}gallery/index.html'></iframe><h1>done</h1>"
    )
    browser.driver.get(page.as_uri())
    browser.until("document.querySelector('h1')")
    browser.until("document.scripts[1].failed")
    assert browser.ask("typeof window.stolen") == "undefined"
    assert browser.ask("document.querySelector('iframe').contentDocument") is None
    assert len(browser.driver.get_log("browser")) >= 2
