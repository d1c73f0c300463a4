"""What holds for every page: its look, a phone, the keyboard, and who cannot see it."""

import importlib
import importlib.resources
import pathlib
import sys
import types

import pytest

from model.networks.vgg import vgg_layers

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"

# What is looked at: a page, and what is clicked on it first.
VIEWS = {
    "stylize": ("stylize", ""),
    "visualize": ("visualize", ""),
    "compare": ("compare", ""),
    "optimize": ("optimize", ""),
    "optimize many": ("optimize many", ""),
    "evaluate": ("evaluate", ""),
    "ingest": ("ingest", ""),
    "course": ("course", ""),
    "grid": ("stylize", "[data-value=grid]"),
    "large": ("stylize", ".cell"),
    "large run": ("optimize", "a.enlarge"),
    "feature maps": ("visualize", "[data-value=features]"),
    "gradients": ("visualize", "[data-value=gradients]"),
    "channels": ("visualize", "[data-value=channel]"),
    "enlarged map": ("visualize", ".map"),
}

# Of the paper, 0 to 255.
BRIGHTNESS = "+getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"

AXE = """
const done = arguments[0];
axe.run(document, {resultTypes: ["violations"]}).then(found => done(
  found.violations
    .filter(({impact}) => ["serious", "critical"].includes(impact))
    .map(({id, nodes}) => [id, ...nodes.slice(0, 3).map(node => node.html)])
), error => done([String(error)]));
"""

# Controls that a finger cannot hit; links in a text are as high as its lines.
SMALL = """[...document.querySelectorAll("button, select, input, summary, a.step")]
  .filter(e => e.checkVisibility({opacityProperty: true, visibilityProperty: true}))
  .filter(e => !e.closest("[hidden]") && getComputedStyle(e).pointerEvents !== "none")
  .map(e => [e, e.getBoundingClientRect()])
  .filter(([e, box]) => box.height && (box.height < 31.5 || box.width < 24))
  .map(([e, box]) => `${e.outerHTML.slice(0, 90)} ${box.width} × ${box.height}`)"""

# Panes that hold more than their width, but for those that say so.
SIDEWAYS = """[...document.querySelectorAll("html, body, main, aside, dialog, .top")]
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
  .map(e => e.outerHTML.slice(0, 60))"""

# What has the focus, and whether it can be seen that it has.
FOCUS = """(() => {
  const element = document.activeElement;
  const isSeen = getComputedStyle(element).outlineStyle !== "none"
    || getComputedStyle(element).boxShadow !== "none"
    || element.matches("#cut, main, dialog");
  const place = [...document.querySelectorAll("*")].indexOf(element);
  return [`${place}: ${element.outerHTML.slice(0, 90)}`, isSeen];
})()"""


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> pathlib.Path:
    """A page of the course with the rows that need no network."""
    folder = tmp_path_factory.mktemp("course")
    sys.path.insert(0, str(EXAMPLES))
    try:
        module = importlib.import_module("course")
        rows = [row for row in module.ROWS if row.name in ("vgg", "class", "axes")]
        layers = vgg_layers("vgg16")
        room = types.SimpleNamespace(
            network="vgg16", layers=layers, arrays={}, size=48, steps=2
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "ROWS", rows)
            module.write_page(room, folder)
    finally:
        sys.path.remove(str(EXAMPLES))
    return folder / "index.html"


@pytest.fixture(scope="module")
def axe():
    pytest.importorskip("axe_playwright_python", reason="the extra `pages` is missing")
    return (
        importlib.resources.files("axe_playwright_python") / "axe.min.js"
    ).read_text("utf-8")


@pytest.fixture
def visit(browser, pages, course):
    """Return a function that opens a view as somebody has it: colours, phone."""
    driver = browser.driver

    def command(name, **values):
        driver.execute_cdp_cmd(f"Emulation.{name}", values)

    def open_view(view, scheme, is_phone):
        scheme = [{"name": "prefers-color-scheme", "value": scheme}]
        command("setEmulatedMedia", features=scheme)
        command("setTouchEmulationEnabled", enabled=is_phone)
        if is_phone:
            command("setDeviceMetricsOverride", **PHONE)
        page, clicked = VIEWS[view]
        driver.get("about:blank")
        driver.get(({**pages, "course": course})[page].as_uri())
        if clicked:
            browser.until(f"document.querySelector('{clicked}')")
            driver.execute_script(f"document.querySelector('{clicked}').click()")
        ready = "[...document.images].every(i => i.complete || i.loading === 'lazy')"
        browser.until(ready)

    yield open_view
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    command("setTouchEmulationEnabled", enabled=False)
    command("setEmulatedMedia", features=[])


def complaints(browser, axe):
    # By the driver: the page itself would not let it in.
    browser.driver.execute_script(axe)
    return browser.driver.execute_async_script(AXE)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("is_phone", [False, True])
def test_who_cannot_see_or_point_can_use_every_view(
    browser, visit, axe, scheme, is_phone
):
    found = {}
    for view in VIEWS:
        visit(view, scheme, is_phone)
        found[view] = complaints(browser, axe)
    assert {view: found[view] for view in found if found[view]} == {}


def test_a_phone_needs_no_sideways_scrolling_and_a_finger_hits(browser, visit):
    wide, small = {}, {}
    for view in VIEWS:
        visit(view, "dark", is_phone=True)
        # A grid is wider than a phone, and comes only to whom asks for it.
        if view != "grid":
            wide[view] = browser.ask(SIDEWAYS)
        small[view] = browser.ask(SMALL)
        assert browser.ask(BRIGHTNESS) < 60, view
    assert {view: wide[view] for view in wide if wide[view]} == {}
    assert {view: small[view] for view in small if small[view]} == {}


def test_every_page_by_keyboard_and_without_seeing_it(browser, visit, axe):
    from selenium.webdriver import Keys

    found = {}
    for page in [view for view, (_, clicked) in VIEWS.items() if not clicked]:
        visit(page, "light", is_phone=False)
        # Maps are always dark.
        assert (browser.ask(BRIGHTNESS) > 200) == (
            page not in ("visualize", "compare")
        ), page
        found[page] = complaints(browser, axe)
        reached = []
        for _ in range(8):
            browser.press(Keys.TAB)
            element, is_seen = browser.ask(FOCUS)
            if "<body" in element:
                break
            assert is_seen, (page, element)
            reached.append(element)
        assert len(set(reached)) == len(reached), page
        assert reached, page
    assert {page: found[page] for page in found if found[page]} == {}


def test_sections_of_a_page_to_read_have_addresses(browser, visit):
    for view in ("optimize", "ingest", "course"):
        visit(view, "light", is_phone=False)
        links = browser.ask(
            "[...document.querySelectorAll('main h2 a')].map(a => "
            "[a.hash.slice(1), a.parentElement.id || a.closest('section').id])"
        )
        assert links, view
        assert all(to == own for to, own in links)
        names = [own for _, own in links]
        assert len(names) == len(set(names))
