"""Contents become pictures: committed once, kept afterwards, failures told."""

import dataclasses

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Count
from transforms.images.decoder import decode_image
from transforms.storage.compact_table import CompactTable
from transforms.storage.parquet import read_rows
from transforms.stylize.earlier_failures import Retry
from transforms.stylize.handler import StylizerModelHandler
from transforms.stylize.manifest import MANIFEST_TABLE
from transforms.stylize.pairing import SamplePairing
from transforms.stylize.style_bank import WriteStyleBank
from transforms.stylize.stylize_images import StylizeImages


@pytest.fixture
def run(output, any_network, bank_settings, encoded):
    """Return a runner of the transform that checks its counts and failures."""

    def run_once(plan, contents, sums, failures=(), retry=None):
        compact = CompactTable(MANIFEST_TABLE, output, 1)
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            bank = (
                pipeline
                | "Styles" >> beam.Create(encoded)
                | WriteStyleBank(output, bank_settings)
            )
            manifest = pipeline | "Begin" >> beam.Create([None]) | "Recover" >> compact
            stylized = (
                pipeline
                | "Contents" >> beam.Create(contents)
                | StylizeImages(
                    plan=plan,
                    handler=StylizerModelHandler(any_network, output),
                    bank=bank,
                    style_refs=pipeline | "NoRefs" >> beam.Create([]),
                    retry=retry,
                    manifest=manifest,
                )
            )
            counts = stylized.counts | "Sum" >> beam.CombinePerKey(sum)
            told = stylized.failures | "Name" >> beam.Map(
                lambda f: (f.key, f.stage, str(f.reason))
            )
            nonzero = counts | beam.Filter(lambda count: count[1])
            assert_that(nonzero, equal_to(list(sums.items())), "counts")
            assert_that(told, equal_to(list(failures)), "failures")
            _ = stylized.counts | "Compact" >> compact
        return read_rows(output.path(MANIFEST_TABLE.part_name(0, 1)))

    return run_once


def test_every_content_meets_every_style_once(output, plan, run, mixing, listed):
    contents = [listed("a.png", 33, 47), listed("b.png", 40, 64, seed=1)]
    sums = {
        Count.CONTENTS_DECODED: 2,
        Count.CELLS_PLANNED: 4,
        Count.CELLS_DONE: 4,
    }
    rows = run(plan, contents, sums)
    assert [(r["content_key"], r["styles"][0]["key"]) for r in rows] == [
        ("a.png", "s.png"),
        ("a.png", "t.png"),
        ("b.png", "s.png"),
        ("b.png", "t.png"),
    ]
    for row, grey in zip(rows, (60, 200) * 2, strict=True):
        assert (decode_image(output.read(row["path"])).pixels == grey).all()
    # A content is encoded once, not once a cell.
    assert (mixing.contents, mixing.painted) == (2, 4)
    assert len(output.names("gallery/content")) == 2
    # Again: nothing is done, all is kept.
    kept = {k: v for k, v in sums.items() if k != Count.CELLS_DONE}
    assert run(plan, contents, {**kept, Count.CELLS_KEPT: 4}) == rows
    assert mixing.contents == 2


def test_contents_of_equal_bytes_are_computed_once(plan, run, mixing, listed):
    contents = [listed(key, 33, 47) for key in ("a.png", "b.png")]
    rows = run(
        plan,
        contents,
        {Count.CONTENTS_DECODED: 2, Count.CELLS_PLANNED: 4, Count.CELLS_DONE: 4},
    )
    assert len({row["path"] for row in rows}) == 4
    assert len({row["sha256"] for row in rows}) == mixing.painted == 2
    # One that comes later is copied.
    contents.append(listed("c.png", 33, 47))
    sums = {Count.CONTENTS_DECODED: 3, Count.CELLS_PLANNED: 6, Count.CELLS_KEPT: 4}
    assert len(run(plan, contents, {**sums, Count.CELLS_DONE: 2})) == 6
    assert mixing.painted == 2


def test_failures_are_told_and_the_others_go_on(plan, run, mixing, listed):
    contents = [listed("a.png", 33, 47), listed("gone.png")]
    contents.append(listed("text.png", data=b"no picture"))
    run(
        plan,
        contents,
        {
            Count.CONTENTS_DECODED: 1,
            Count.CONTENTS_FAILED: 2,
            Count.CELLS_PLANNED: 2,
            Count.CELLS_DONE: 2,
        },
        [
            ("gone.png", "ReadContent", "not_found"),
            ("text.png", "DecodeContent", "not_an_image"),
        ],
    )


def test_a_cell_that_the_network_fails_on_fails_alone(
    plan, run, mixing, listed, encoded
):
    encoded[1].mean[:] = 255
    rows = run(
        plan,
        [listed("a.png", 33, 47)],
        {
            Count.CONTENTS_DECODED: 1,
            Count.CELLS_PLANNED: 2,
            Count.CELLS_DONE: 1,
            Count.CELLS_FAILED: 1,
        },
        [(_path(listed, "t-0"), "Stylize", "model_error")],
    )
    assert [row["status"] for row in rows] == ["done", "failed"]


def _path(listed, style):
    return f"images/{listed('a.png').id}/{style}.png"


def test_a_cell_that_could_not_be_written_is_made_next(
    output, plan, run, mixing, listed
):
    content, victim = listed("a.png", 33, 47), _path(listed, "t-0")
    output.write(f"{victim}/in-the-way", b"")
    sums = {Count.CONTENTS_DECODED: 1, Count.CELLS_PLANNED: 2, Count.CELLS_DONE: 1}
    failed = [(victim, "Write", "write_error")]
    rows = run(plan, [content], {**sums, Count.CELLS_FAILED: 1}, failed)
    assert [(row["status"], bool(row["sha256"])) for row in rows] == [
        ("done", True),
        ("failed", False),
    ]
    output.delete(victim)
    rows = run(plan, [content], {**sums, Count.CELLS_KEPT: 1})
    assert [row["status"] for row in rows] == ["done", "done"]


def test_a_content_that_cannot_be_paired_is_a_failed_cell(plan, run, mixing, listed):
    sample = dataclasses.replace(plan, pairing=SamplePairing((1.0,), 3, 0))
    run(
        sample,
        [listed("a.png", 33, 47)],
        {Count.CONTENTS_DECODED: 1, Count.CELLS_PLANNED: 1, Count.CELLS_FAILED: 1},
        [("a.png", "Pair", "bad_pair")],
    )


def test_only_failed_styles_are_looked_at_again(plan, run, mixing, listed):
    retry = Retry(frozenset(), frozenset({"t.png"}))
    sums = {Count.CONTENTS_DECODED: 1, Count.CELLS_PLANNED: 1, Count.CELLS_DONE: 1}
    (row,) = run(plan, [listed("a.png", 33, 47)], sums, retry=retry)
    assert row["styles"][0]["key"] == "t.png"


def test_large_contents_are_shrunk_and_counted(plan, run, mixing, listed):
    settings = dataclasses.replace(plan.settings, content_size=40)
    smaller = dataclasses.replace(plan, settings=settings)
    rows = run(
        smaller,
        [listed("a.png", 80, 120), listed("b.png", 40, 44, seed=1)],
        {
            Count.CONTENTS_DECODED: 2,
            Count.CONTENTS_RESIZED: 1,
            Count.CELLS_PLANNED: 4,
            Count.CELLS_DONE: 4,
        },
    )
    sizes = {(r["content_key"], r["width"], r["original_width"]) for r in rows}
    assert sizes == {("a.png", 60, 120), ("b.png", 44, 44)}
