"""The report of `optimize`: made from rows, bounded, the same bytes each time."""

import html
import re

import pytest
from apache_beam import Create
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.optimize import report as run_report
from transforms.optimize.report import (
    REPORT,
    WriteRunReport,
    index_html,
    write_index,
    write_pages,
)
from transforms.storage.folder import OutputFolder

SETTINGS = [{}, {"tv_weight": 10.0}, {"style_weight": 10.0}, {"style_weight": 100.0}]
ODD = "quote\"apos'amp&<script>alert(1)<!--.jpg"


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path))


@pytest.fixture
def report(output, write_study):
    """Return a writer of studies and their reports; it returns the overview."""

    def write(*study, **about):
        parts = write_study(output, *study, **about)
        entries = [entry for part in parts for entry in write_pages(part, output)]
        assert write_index(entries, output) == REPORT
        return output.read(REPORT).decode()

    return write


def texts(pattern, page):
    return [html.unescape(text) for text in re.findall(pattern, page, re.DOTALL)]


HEADING = '<h2 id="[^"]+"><a href="#[^"]+">(.*?)</a></h2>'


def test_a_single_pair_is_the_whole_report(report, output):
    page = report(["a.jpg"], ["s.jpg"], SETTINGS)
    assert texts(HEADING, page) == [
        "What the numbers say",
        "Along style-weight",
        "Along tv-weight",
        "How each term moved",
        "Loss curves",
        "All runs",
        "Again",
    ]
    assert "the baseline" not in texts("<td>(.*?)</td>", page)
    assert page.count("<polyline") == 4 * len(SETTINGS)
    (commands) = texts("<pre>(.*?)</pre>", page)
    assert commands[0] == (
        "stylebeam optimize --content a.jpg --style s.jpg --output again "
        "--style-weight=1000 --tv-weight=0 --steps=40"
    )
    assert any(c.endswith("--tv-weight=10 --steps=40") for c in commands)
    # Its own page is the same, one folder down.
    (own,) = [n for n in output.names("report") if n.endswith(".html")]
    assert output.read(own).decode().count("../runs/") == page.count('="runs/')


def test_pictures_stand_by_the_values_of_a_setting(report):
    page = report(["a.jpg"], ["s.jpg"], SETTINGS)
    section = page.partition(">Along style-weight</a></h2>")[2].partition("<h2")[0]
    assert texts("<b>(.*?)</b>", section) == [
        "style-weight 10",
        "style-weight 100",
        "style-weight 1000",
    ]
    assert section.count('class="base"') == 1


def test_names_of_the_sweep_are_used(report):
    names = ["plain", "smooth", "", ""]
    page = report(["a.jpg"], ["s.jpg"], SETTINGS, names)
    assert "<b>plain</b>: the run that most others differ from" in page
    assert "smooth" in texts("</i>(.*?)</button>", page)


def test_a_single_run_has_nothing_to_compare(report):
    page = report(["a.jpg"], ["s.jpg"], [{}])
    assert "The picture" in texts(HEADING, page)
    assert "What the numbers say" not in page


def test_many_pairs_have_an_overview_of_what_they_share(report, output):
    page = report(["a.jpg", ODD], ["s.jpg", "t.jpg"], SETTINGS)
    assert "4 pairs of content and style" in page
    assert "Medians over the pairs" in page
    assert " of the pairs." not in page
    assert "With tv-weight 10 instead of 0, " in page
    assert ODD in texts("<figcaption>(.*?)</figcaption>", page)
    for link in texts('(?:href|src)="([^"#:]+)"', page):
        assert output.exists(link), link


def test_markup_in_names_is_text(report):
    page = report([ODD], ["s.jpg"], SETTINGS, ["<b>", "&amp;", "'", '"'])
    assert "<script>alert" not in page
    assert "&lt;b&gt;" in page


def test_equal_runs_give_equal_bytes_and_old_pages_go(report, output):
    first = report(["a.jpg", "b.jpg"], ["s.jpg"], SETTINGS)
    assert report(["a.jpg", "b.jpg"], ["s.jpg"], SETTINGS) == first
    report(["a.jpg"], ["s.jpg"], SETTINGS)
    assert len([n for n in output.names("report") if n.endswith(".html")]) == 1


def test_write_run_report_is_the_pages_and_the_overview(report, write_study, output):
    expected = report(["a.jpg", "b.jpg"], ["s.jpg"], SETTINGS)
    pages = {name: output.read(name) for name in output.names("report")}
    parts = write_study(output, ["a.jpg", "b.jpg"], ["s.jpg"], SETTINGS)
    for name in [REPORT, *pages]:
        output.delete(name)

    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        index = pipeline | Create(parts, reshuffle=False) | WriteRunReport(output)
        assert_that(index, equal_to([REPORT]))

    assert output.read(REPORT).decode() == expected
    assert {name: output.read(name) for name in output.names("report")} == pages


def test_nothing_done_is_said(output):
    assert b"No run gave a picture" in index_html([])


def test_a_large_sweep_does_not_make_a_large_page(report, monkeypatch):
    monkeypatch.setattr(run_report, "_STRIPS_A_SETTING", 2)
    monkeypatch.setattr(run_report, "_PICTURES_A_STRIP", 3)
    monkeypatch.setattr(run_report, "_CURVES", 5)
    monkeypatch.setattr(run_report, "_DETAILS", 7)
    settings = [
        {"seed": seed, "tv_weight": float(tv), "init": init}
        for seed in range(4)
        for tv in range(4)
        for init in ("content", "noise")
    ]
    page = report(["a.jpg"], ["s.jpg"], settings)
    assert page.count("<polyline") == 4 * 5
    assert page.count("<details>") == 7
    assert "25 more runs are in <code>runs.parquet</code>" in page
    assert page.count("1 more values are in the table below") == 4
    assert "6 more combinations" in page


def test_a_name_that_begins_with_a_dash_is_no_flag(report):
    page = report(["-dash.jpg"], ["s.png"], [{}])
    (command,) = texts("<pre>(.*?)</pre>", page)
    assert command.startswith("stylebeam optimize --content ./-dash.jpg --style s.png")
