"""The report of `optimize`, opened from disk in a browser."""

import pathlib
import shutil

import pytest

from transforms.output import OutputFolder
from transforms.run_report import write_index, write_pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER), reason="chromium or chromedriver not found"
    ),
]

SETTINGS = [{}, {"tv_weight": 10.0}, {"style_weight": 10.0}, {"style_weight": 100.0}]
KEYS = ["a.jpg", "quote\"apos'amp&<script>alert(1)<!--.jpg", "ü/名前 100%.jpg"]


@pytest.fixture(scope="module")
def reports(tmp_path_factory, write_study):
    """Write the report of a pair and that of many; returns their addresses."""
    found = {}
    for name, keys in (("one", KEYS[1:2]), ("many", KEYS)):
        output = OutputFolder(str(tmp_path_factory.mktemp(name)))
        parts = write_study(output, keys, ["s.jpg"], SETTINGS, ["<i>", "", "", ""])
        entries = [entry for part in parts for entry in write_pages(part, output)]
        path = pathlib.Path(output.path(write_index(entries, output)))
        found[name] = path.as_uri()
    return found


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in [
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "no-first-run",
        "disable-background-networking",
        "disable-dev-shm-usage",
        "window-size=1300,900",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ]:
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(CHROMEDRIVER)
    )
    yield driver
    driver.quit()


@pytest.fixture
def page(driver):
    """Yield the browser; no test may leave a complaint in its console."""
    driver.get_log("browser")
    yield driver
    assert driver.get_log("browser") == []


def ask(page, expression):
    return page.execute_script(f"return {expression}")


def texts(page, selector):
    found = f"[...document.querySelectorAll('{selector}')]"
    return ask(page, f"{found}.map(element => element.textContent.trim())")


def until(page, expression):
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(page, 20, poll_frequency=0.05).until(lambda _: ask(page, expression))


def pictures_are_there(page):
    # Pictures far below wait until they are near the window.
    page.execute_script("for (const i of document.images) i.loading = 'eager'")
    until(page, "[...document.images].every(i => i.complete)")
    return ask(page, "[...document.images].every(i => i.naturalWidth > 0)")


def test_a_pair_shows_its_pictures_and_fits_the_window(page, reports):
    page.get(reports["one"])
    assert ask(page, "document.querySelector('h1').textContent") == f"{KEYS[1]} × s.jpg"
    assert pictures_are_there(page)
    assert ask(page, "document.documentElement.scrollWidth <= innerWidth")
    lines = ask(page, "document.querySelectorAll('polyline').length")
    assert lines == 4 * len(SETTINGS)
    inside = """[...document.querySelectorAll('svg')].every(svg => {
      const box = svg.getBoundingClientRect();
      return [...svg.querySelectorAll('polyline, text')].every(e => {
        const r = e.getBoundingClientRect();
        return r.left >= box.left - 1 && r.right <= box.right + 1;
      });
    })"""
    assert ask(page, inside)


def test_pointing_at_a_name_or_a_line_shows_the_run(page, reports):
    from selenium.webdriver import ActionChains

    page.get(reports["one"])
    name = page.find_elements("css selector", ".legend button")[1]
    ActionChains(page).move_to_element(name).perform()
    until(page, "document.querySelectorAll('polyline.on').length === 4")
    svg = page.find_element("css selector", "svg")
    ActionChains(page).move_to_element(svg).perform()
    place = """(() => {
      const svg = document.querySelector('svg'), line = svg.querySelectorAll('polyline')[2];
      const point = line.points.getItem(9), box = svg.getBoundingClientRect();
      svg.dispatchEvent(new PointerEvent('pointermove', {
        clientX: box.left + point.x * box.width / svg.viewBox.baseVal.width,
        clientY: box.top + point.y * box.height / svg.viewBox.baseVal.height,
      }));
      return true;
    })()"""  # noqa: E501
    assert ask(page, place)
    assert ask(page, "!document.getElementById('tip').hidden")
    names = texts(page, ".legend button")
    assert ask(page, "document.getElementById('tip').textContent") in names


def test_an_overview_leads_to_a_page_and_back(page, reports):
    page.get(reports["many"])
    assert pictures_are_there(page)
    assert set(KEYS) <= set(texts(page, ".pair figcaption"))
    page.find_elements("css selector", ".pair")[2].click()
    until(page, "document.querySelector('#conclusions')")
    assert ask(page, "document.querySelector('h1').textContent") == f"{KEYS[2]} × s.jpg"
    assert pictures_are_there(page)
    page.find_element("link text", "all pairs").click()
    until(page, "document.querySelectorAll('.pair').length === 3")


def test_a_narrow_window_needs_no_sideways_scrolling(page, reports):
    page.set_window_size(500, 900)
    for address in reports.values():
        page.get(address)
        assert ask(page, "document.documentElement.scrollWidth <= innerWidth")
    page.set_window_size(1300, 900)
