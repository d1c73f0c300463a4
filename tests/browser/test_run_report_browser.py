"""The report of `optimize`, opened from disk in a browser."""

import pathlib

import pytest

from transforms.optimize.report import write_index, write_pages
from transforms.storage.folder import OutputFolder

pytestmark = pytest.mark.browser

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


def pictures_are_there(browser):
    # Pictures far below wait until they are near the window.
    browser.driver.execute_script(
        "for (const i of document.images) i.loading = 'eager'"
    )
    browser.until("[...document.images].every(i => i.complete)")
    # Those of the view at full size have none until it is opened.
    return browser.ask("[...document.images].every(i => !i.src || i.naturalWidth > 0)")


def test_a_pair_shows_its_pictures_and_fits_the_window(browser, reports):
    browser.driver.get(reports["one"])
    assert (
        browser.ask("document.querySelector('h1').textContent") == f"{KEYS[1]} × s.jpg"
    )
    assert pictures_are_there(browser)
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
    lines = browser.ask("document.querySelectorAll('polyline').length")
    assert lines == 4 * len(SETTINGS)
    inside = """[...document.querySelectorAll('svg')].every(svg => {
      const box = svg.getBoundingClientRect();
      return [...svg.querySelectorAll('polyline, text')].every(e => {
        const r = e.getBoundingClientRect();
        return r.left >= box.left - 1 && r.right <= box.right + 1;
      });
    })"""
    assert browser.ask(inside)


def test_pointing_at_a_name_or_a_line_shows_the_run(browser, reports):
    from selenium.webdriver import ActionChains

    browser.driver.get(reports["one"])
    name = browser.driver.find_elements("css selector", ".legend button")[1]
    ActionChains(browser.driver).move_to_element(name).perform()
    browser.until("document.querySelectorAll('polyline.on').length === 4")
    svg = browser.driver.find_element("css selector", "svg")
    ActionChains(browser.driver).move_to_element(svg).perform()
    place = """(() => {
      const svg = document.querySelector('svg'), line = svg.querySelectorAll('polyline')[2];
      const point = line.points.getItem(9), box = svg.getBoundingClientRect();
      svg.dispatchEvent(new PointerEvent('pointermove', {
        clientX: box.left + point.x * box.width / svg.viewBox.baseVal.width,
        clientY: box.top + point.y * box.height / svg.viewBox.baseVal.height,
      }));
      return true;
    })()"""  # noqa: E501
    assert browser.ask(place)
    assert browser.ask("!document.getElementById('tip').hidden")
    names = browser.texts(".legend button")
    assert browser.ask("document.getElementById('tip').textContent") in names


def test_a_picture_is_seen_at_full_size_beside_its_content(browser, reports):
    from selenium.webdriver import Keys

    browser.driver.get(reports["one"])
    browser.click("a.enlarge")
    browser.until("document.getElementById('light').open")
    links = "[...document.querySelectorAll('a.enlarge')]"
    runs = set(browser.ask(f"{links}.map(a => a.dataset.run)"))
    assert browser.texts("#where") == [f"run 1 / {len(runs)}"]
    assert browser.texts("#name") == [browser.ask(f"{links}[0].firstChild.alt")]
    browser.until("document.getElementById('before').naturalWidth > 0")
    browser.until("document.querySelector('#full.ready')")
    assert browser.ask("document.getElementById('before').src") == browser.ask(
        "document.getElementById('content').src"
    )
    browser.find("#light").send_keys("c", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert browser.ask("+document.getElementById('cut').value") == 52
    browser.find("#next").send_keys(Keys.ENTER)
    browser.until(
        f"document.getElementById('where').textContent.includes('2 / {len(runs)}')"
    )
    browser.until("location.hash.length > 1")
    address = browser.driver.current_url
    assert browser.ask("document.getElementById('facts').textContent").startswith(
        "\ncontent loss"
    )
    # The way back closes it, and the address opens it again.
    browser.driver.back()
    browser.until("!document.getElementById('light').open && !location.hash")
    browser.driver.get("about:blank")
    browser.driver.get(address)
    browser.until("document.getElementById('light').open")
    assert browser.texts("#where") != [""]
    browser.press(Keys.ESCAPE)
    browser.until("!document.getElementById('light').open && !location.hash")


def test_an_overview_leads_to_a_page_and_back(browser, reports):
    browser.driver.get(reports["many"])
    assert pictures_are_there(browser)
    assert set(KEYS) <= set(browser.texts(".pair figcaption"))
    browser.driver.find_elements("css selector", ".pair")[2].click()
    browser.until("document.querySelector('#conclusions')")
    assert (
        browser.ask("document.querySelector('h1').textContent") == f"{KEYS[2]} × s.jpg"
    )
    assert pictures_are_there(browser)
    browser.driver.find_element("link text", "all pairs").click()
    browser.until("document.querySelectorAll('.pair').length === 3")


def test_a_narrow_window_needs_no_sideways_scrolling(browser, reports):
    browser.driver.set_window_size(500, 900)
    for address in reports.values():
        browser.driver.get(address)
        assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
    browser.driver.set_window_size(1300, 900)
