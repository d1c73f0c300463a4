"""Every page says what it may load, works under that, and does nothing else."""

import pathlib
import re

import pytest

pytestmark = pytest.mark.browser

POLICY = re.compile(
    r"default-src 'none'; img-src 'self' data:; style-src 'sha256-[\w+/=]{44}'; "
    r"script-src ('none'|'self' 'sha256-[\w+/=]{44}'); base-uri 'none'; "
    r"form-action 'none'"
)


NAMES = [
    *("stylize", "visualize", "compare", "optimize", "optimize many", "evaluate"),
    "ingest",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_all_it_has_under_its_policy(browser, pages, name) -> None:
    found = re.findall(r'Content-Security-Policy" content="(.*?)"', _html(pages[name]))
    assert POLICY.fullmatch(*found)
    # The browser tells in its console what a policy forbids; the fixture reads it.
    browser.driver.get(pages[name].as_uri())
    browser.driver.execute_script(
        "for (const i of document.images) i.loading = 'eager'"
    )
    browser.until("[...document.images].every(i => i.complete)")
    assert browser.ask("[...document.images].every(i => !i.src || i.naturalWidth > 0)")
    assert browser.ask("document.images.length") > 0
    assert browser.ask("document.querySelectorAll('[style]').length") == browser.ask(
        # Those that scripts set, which they may.
        "[...document.querySelectorAll('[style]')].filter(e => e.style.length).length"
    )


def test_bars_have_their_widths_and_dots_their_colours(browser, pages) -> None:
    browser.driver.get(pages["optimize"].as_uri())
    colours = browser.ask(
        "[...document.querySelectorAll('.legend .dot')].map(e => "
        "getComputedStyle(e).backgroundColor)"
    )
    assert len(set(colours)) == 3
    wide = "[...document.querySelectorAll('.bar i')].map(e => e.offsetWidth)"
    assert max(browser.ask(wide)) > 10
    browser.driver.get(pages["ingest"].as_uri())
    wide = (
        "[...document.querySelectorAll('.shares svg, .track svg')]"
        ".map(e => e.getBoundingClientRect().width)"
    )
    assert max(browser.ask(wide)) > 100


@pytest.mark.parametrize(
    "planted",
    [
        "<script>document.title = 'evil'</script>",
        "<img src='data:,' onerror=\"document.title = 'evil'\">",
        "<script src='data:text/javascript,document.title = `evil`'></script>",
        "<base href='https://example.invalid/'>",
        "<img src='https://example.invalid/x.png'>",
        "<iframe src='https://example.invalid/'></iframe>",
        "<style>h1 { display: none }</style>",
    ],
)
def test_what_gets_into_a_page_neither_runs_nor_loads(
    driver, pages, tmp_path, planted
) -> None:
    page = tmp_path / "page.html"
    page.write_text(_html(pages["evaluate"]).replace("<h1", f"{planted}<h1", 1))
    driver.get(page.as_uri())
    complaints = driver.get_log("browser")
    assert any("Content Security Policy" in c["message"] for c in complaints)
    assert driver.title != "evil"
    assert driver.find_element("css selector", "h1").is_displayed()


def _html(page: pathlib.Path) -> str:
    return page.read_text("utf-8")
