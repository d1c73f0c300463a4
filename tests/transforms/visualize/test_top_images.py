"""Top images as a sheet: crops of what neurons see, and marks where there is none."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from model.attribution.featuremaps import ReceptiveField
from transforms.elements import Count, ImageRef, Reason
from transforms.storage.compact_table import CompactTable
from transforms.storage.parquet import read_rows
from transforms.visualize import top_images
from transforms.visualize.maps_table import MAPS_TABLE
from transforms.visualize.top_images import (
    DrawTopImages,
    RankImages,
    cut_crops,
    draw_top_images,
)
from transforms.visualize.top_scores import Excitation, Winners


def excitation(score, ref, row=0, column=0):
    return Excitation(score, ref.id, ref, row, column)


def test_crops_are_receptive_fields_and_each_image_is_read_once(
    tmp_path, rng, monkeypatch
):
    pixels = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    x = ImageRef("x.png", "in", str(tmp_path / "x.png"))
    gone = ImageRef("gone.png", "in", str(tmp_path / "gone.png"))
    read = []
    load = top_images.load_bytes
    monkeypatch.setattr(
        top_images, "load_bytes", lambda r: read.append(r.key) or load(r)
    )
    rows = [
        (4, [excitation(3.0, x, 5, 6), excitation(2.0, gone)]),
        (7, [excitation(2.5, gone), excitation(1.0, x, 0, 24)]),
    ]
    crops, failures = cut_crops(rows, ReceptiveField(size=6, stride=2, offset=-2), 0)
    assert sorted(read) == ["gone.png", "x.png"]
    assert set(crops) == {(c, ref.id) for c in (4, 7) for ref in (x, gone)}
    np.testing.assert_array_equal(crops[4, x.id], pixels[8:14, 10:16])
    np.testing.assert_array_equal(crops[7, x.id], pixels[0:4, 46:50])
    assert crops[4, gone.id] is crops[7, gone.id] is None
    (failure,) = failures
    assert (failure.key, failure.stage, failure.reason) == (
        "gone.png",
        "DrawTopImages",
        Reason.NOT_FOUND,
    )


def test_sheet_marks_what_cannot_be_read_and_says_when_nothing_fires():
    x, y = (ImageRef(key, "in", "p") for key in "xy")
    rows = [(4, [excitation(2.0, x), excitation(1.0, y)])]
    crop = np.full((10, 5, 3), 200, np.uint8)
    sheet = draw_top_images("a", rows, {(4, x.id): crop, (4, y.id): None}, 10)
    assert [(tile.channel, tile.rank) for tile in sheet.tiles] == [(4, 1), (4, 2)]
    assert [tile.source for tile in sheet.tiles] == ["x", "y"]
    assert draw_top_images("a", [], {}, 10).tiles == []


def winners(ref, *scores):
    """Return an image's strongest neurons, one a channel, in its first row."""
    score = np.float32(scores)[:, None]
    place = np.zeros(score.shape, np.int32)
    return Winners((ref,), np.zeros(score.shape, np.int64), score, place, place)


@pytest.fixture
def find(output, settings):
    """Return a runner of the transform that checks its counts and failures."""
    field = ReceptiveField(size=6, stride=2, offset=-2)

    def run(scored, sums, failures=()):
        compact = CompactTable(MAPS_TABLE, output, 1)
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            begin = pipeline | "Begin" >> beam.Create([None])
            found = (
                pipeline
                | "Scored" >> beam.Create(scored)
                | RankImages(settings.layers)
                | DrawTopImages(
                    output=output,
                    settings=settings,
                    fields=dict.fromkeys(settings.layers, field),
                    parts=1,
                    recovered=begin | "Recover" >> compact,
                )
            )
            counts = found.counts | "Sum" >> beam.CombinePerKey(sum)
            told = found.failures | "Name" >> beam.Map(
                lambda f: (f.key, f.stage, str(f.reason))
            )
            assert_that(counts, equal_to(list(sums.items())), "counts")
            assert_that(told, equal_to(list(failures)), "failures")
            _ = found.counts | "Compact" >> compact
        return read_rows(output.path(MAPS_TABLE.part_name(0, 1)))

    return run


def test_images_are_ranked_layer_by_layer():
    a, b = (ImageRef(key, "in", "p") for key in "ab")
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        ranked = (
            pipeline
            | beam.Create([("x", winners(a, 1, 5)), ("x", winners(b, 2, 4))])
            | RankImages(("x", "silent"))
            | beam.MapTuple(
                lambda layer, several: (
                    layer,
                    [[e.ref.key for e in w.excitations(1)] for w in several],
                )
            )
        )
        assert_that(ranked, equal_to([("x", [["a", "b"]]), ("silent", [])]))


def test_each_layer_gets_a_sheet_which_is_kept(output, find, settings, listed):
    first, second = settings.layers
    a, b = listed("a.png", 33, 47), listed("b.png", 40, 36, seed=1)
    # Of three channels the two with the highest scores are shown.
    scored = [(first, winners(a, 1, 5, 2)), (first, winners(b, 0, 4, 7))]
    planned = {Count.SHEETS_PLANNED: 2}
    rows = find(scored, {**planned, Count.SHEETS_DONE: 2})
    assert len(output.names("sheets/collection")) == 2
    found = [(r["layer"], r["channel"], r["rank"], r["source_key"]) for r in rows]
    assert found == [
        (first, 2, 1, "b.png"),
        (first, 2, 2, "a.png"),
        (first, 1, 1, "a.png"),
        (first, 1, 2, "b.png"),
        # A sheet of a layer that nothing excites has a row: it is told of, and kept.
        (second, None, 0, ""),
    ]
    assert find(scored[::-1], {**planned, Count.SHEETS_KEPT: 2}) == rows
    # Another winner, another sheet; also of a layer that was silent.
    late = [(first, winners(b, 9, 0, 0)), (second, winners(b, 1, 0, 0))]
    more = find([scored[0], *late], {**planned, Count.SHEETS_DONE: 2})
    assert {row["layer"] for row in more} == {first, second}


def test_a_winner_that_is_gone_is_a_failure_beside_its_sheet(find, settings, listed):
    gone = listed("gone.png")
    scored = [(settings.layers[0], winners(gone, 1, 5))]
    failed = [("gone.png", "DrawTopImages", "not_found")]
    find(scored, {Count.SHEETS_PLANNED: 2, Count.SHEETS_DONE: 2}, failed)
    # With a hole a sheet is not kept: the picture may be there the next time.
    again = {Count.SHEETS_PLANNED: 2, Count.SHEETS_DONE: 1, Count.SHEETS_KEPT: 1}
    find(scored, again, failed)


def test_a_sheet_that_cannot_be_written_fails(output, find, settings):
    output.write("sheets", b"in the way")
    paths = [f"sheets/collection/top-images-{name}.png" for name in settings.layers]
    find(
        [],
        {Count.SHEETS_PLANNED: 2, Count.SHEETS_FAILED: 2},
        [(path, "DrawTopImages", "write_error") for path in paths],
    )
