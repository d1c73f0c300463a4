"""The replay of measured stage times: its arithmetic, and whether it foretells."""

import importlib.util
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def scaling():
    path = ROOT / "benchmarks" / "scaling.py"
    spec = importlib.util.spec_from_file_location("scaling", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["scaling"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runs(scaling):
    return json.loads(scaling.MEASURED.read_text())


@pytest.fixture
def stages(scaling):
    return scaling.Stages(
        alone=8.0, launch=4.0, start=6.0, picture=0.5, cell=1.0, told=0.0
    )


def test_one_process_does_all_one_after_the_other(scaling, stages):
    result = scaling.replay(stages, 3, 4, 1)
    work = 4 * 0.5 + 3 * 0.5 + 12 * 1.0
    assert result.seconds == pytest.approx(8.0 + work)
    assert result.worked == pytest.approx(8.0 + work)


def test_two_workers_share_styles_and_contents(scaling, stages):
    result = scaling.replay(stages, 4, 4, 2)
    each = 6.0 + 2 * 0.5 + 2 * (0.5 + 4 * 1.0)
    assert result.busiest == pytest.approx(each)
    assert result.seconds == pytest.approx(4.0 + each)
    assert result.worked == pytest.approx(4.0 + 2 * each)


def test_odd_content_is_waited_for(scaling, stages):
    result = scaling.replay(stages, 3, 4, 2)
    assert result.limits["last bundles"] == pytest.approx(0.5 * (0.5 + 4))
    assert sum(result.limits.values()) == pytest.approx(result.seconds)


def test_workers_without_a_content_only_start(scaling, stages):
    few, many = (scaling.replay(stages, 4, 1, workers) for workers in (4, 64))
    assert many.seconds == pytest.approx(few.seconds)
    assert many.worked > few.worked


def test_more_workers_are_never_slower(scaling, stages):
    seconds = [
        scaling.replay(stages, 1000, 3, workers).seconds
        for workers in (2, 4, 8, 16, 64, 256)
    ]
    assert seconds == sorted(seconds, reverse=True)


def test_bucket_grows_while_it_is_written(scaling):
    assert scaling._seconds_of_writes(500_000) == pytest.approx(500)
    # 1,000 a second for twenty minutes, then 2,000.
    assert scaling._seconds_of_writes(1_200_000 + 2_000) == pytest.approx(1201)


def test_replay_is_within_15_percent_of_every_run(scaling, runs):
    stages = scaling.stages_of(runs)
    rows = list(scaling.foretold(runs, stages))
    assert {row["run"][0] for row in rows if not row["used for"]} == {"1", "2"}
    for row in rows:
        assert row["replayed"] == pytest.approx(row["measured"], rel=0.15), row


def test_page_has_what_the_script_prints(scaling, capsys, monkeypatch):
    page = (ROOT / "docs" / "running-at-scale.md").read_text("utf-8")
    begin, end = "<!-- scaling -->\n", "<!-- /scaling -->"
    told = page.partition(begin)[2].partition(end)[0]
    monkeypatch.setattr(sys, "argv", ["scaling.py", "--bucket"])
    scaling.main()
    assert told.strip() == capsys.readouterr().out.strip(), (
        "paste what `python benchmarks/scaling.py --bucket` prints"
    )
