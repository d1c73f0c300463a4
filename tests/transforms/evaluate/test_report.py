"""The page of an evaluation: what it shows of a grid too large to be shown."""

import itertools

import numpy as np

from model.adain.grid import Cell, Means
from model.adain.ruler import Measurement
from transforms.evaluate.report import EvaluationPage, Square

SIDE = 8


def square(key, level):
    return Square(key, lambda: np.full((SIDE, SIDE, 3), level, np.float32))


def cell(content, style, total):
    measured = Measurement(total, {"block1_conv1": 0.0}, 0.5, 10.0)
    return Cell(content, style, np.zeros((SIDE, SIDE, 3), np.float32), measured)


def shown(monkeypatch, totals):
    """Return what the template gets for totals [contents, styles]."""
    seen = {}

    def render(_, **values):
        seen.update(values)
        return b""

    monkeypatch.setattr("transforms.evaluate.report.render", render)
    page = EvaluationPage([square(f"s{i}", 0.1) for i in range(len(totals[0]))])
    for content, row in enumerate(totals):
        cells = [cell(content, style, float(t)) for style, t in enumerate(row)]
        page.add(square(f"c{content}", 0.9), [*cells, cell(content, None, 0.0)])
    page.html({})
    return seen


def test_extremes_are_those_of_a_sort_over_everything(monkeypatch):
    totals = np.random.default_rng(3).permutation(12 * 20).reshape(12, 20)
    seen = shown(monkeypatch, totals)
    for name, pick, order in (("best", np.argmin, 1), ("worst", np.argmax, -1)):
        contents = pick(totals, axis=0)
        values = totals[contents, np.arange(20)]
        expected = [
            (f"c{contents[style]}", f"s{style}")
            for style in np.argsort(order * values)[:6]
        ]
        found = [(f["content_key"], f["style_key"]) for f in seen[name]]
        assert found == expected


def test_page_holds_a_bounded_number_of_pictures(monkeypatch):
    seen = shown(monkeypatch, np.arange(40 * 30).reshape(40, 30))
    assert [len(row["results"]) for row in seen["rows"]] == [8] * 8
    assert len(seen["styles"]) == 8
    assert {len(seen[name]) for name in ("best", "worst", "identity")} == {6}


def test_means_are_those_of_all_cells():
    means = Means()
    cells = list(itertools.starmap(cell, [(0, 0, 1.0), (0, 1, 2.0), (1, 0, 6.0)]))
    for made in [*cells, cell(0, None, 100.0)]:
        means.add(made)
    result = means.result()
    assert result["total"] == 3.0
    assert result["identity_rmse"] == 10.0
    assert result["ssim"] == 0.5
