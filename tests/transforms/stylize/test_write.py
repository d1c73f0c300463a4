"""A block's pictures are written, and each cell committed as done or failed."""

import concurrent.futures
import dataclasses

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Count, Failure, ImageError, Reason
from transforms.images.decoder import decode_image
from transforms.images.load import ImageBytes, LoadedImage
from transforms.images.thumbnails import thumbnail_name
from transforms.storage.parquet import read_rows
from transforms.stylize.blocks import Painted, StylizeBlock, StylizedBlock
from transforms.stylize.manifest import MANIFEST_TABLE, picture_file
from transforms.stylize.write import WriteBlocks


@pytest.fixture
def block(listed, encoded):
    """Return a maker of a content's finished block under a plan."""

    def make(plan, *results):
        ref = listed("a.png", 32, 40)
        data = b"content"
        # Planned without a manifest to read.
        planned = dataclasses.replace(plan, dry=True)(
            ImageBytes(ref, data, "c0"), [ref], [style.share for style in encoded]
        )
        pixels = np.zeros((32, 40, 3), np.uint8)
        content = LoadedImage(ref, "c0", pixels, 80, 64)
        nothing = np.zeros((2, 2), np.float32)
        wanted = StylizeBlock(content, planned.paintings, nothing, nothing)
        future = concurrent.futures.Future()
        future.set_result(list(results))
        return StylizedBlock(wanted, future)

    return make


def grey(level, **about):
    return Painted(np.full((32, 40, 3), level, np.uint8), **about)


def run(plan, block, sums, failures):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        written = pipeline | beam.Create([block]) | WriteBlocks(plan)
        counts = written.counts | "Sum" >> beam.CombinePerKey(sum)
        assert_that(counts, equal_to(sums), "counts")
        assert_that(written.failures, equal_to(failures), "failures")
    return pipeline


def rows_of(output):
    names = MANIFEST_TABLE.journal_names(output)
    rows = [row for name in names for row in read_rows(output.path(name))]
    return sorted(rows, key=lambda row: row["path"])


def test_pictures_are_written_and_committed(plan, block, counters):
    output = plan.output
    made = block(plan, grey(60, note="odd"), grey(200))
    sums = [(Count.CELLS_DONE, 2), (Count.CELLS_FAILED, 0)]
    pipeline = run(plan, made, sums, [])
    dark, light = rows_of(output)
    assert (dark["note"], light["note"]) == ("odd", None)
    for row, level in ((dark, 60), (light, 200)):
        assert row["status"] == "done"
        assert (row["original_height"], row["height"]) == (64, 32)
        data = output.read(row["path"])
        assert row["bytes"] == len(data)
        assert (decode_image(data).pixels == level).all()
        assert not output.exists(thumbnail_name(row["path"]))
    found = counters(pipeline)
    assert found["Write.cells_done"] == 2
    assert found["Write.cells_failed"] == 0


def test_a_cell_fails_alone_and_an_older_picture_of_it_stays_until_the_end(plan, block):
    output = plan.output
    error = ImageError(Reason.MODEL_ERROR, "NaN")
    made = block(plan, error, grey(200))
    (failed, _) = made.block.paintings
    path = failed.targets[0].cell.path
    output.write(path, b"older")
    run(
        plan,
        made,
        [(Count.CELLS_DONE, 1), (Count.CELLS_FAILED, 1)],
        [Failure(path, "in", "Stylize", Reason.MODEL_ERROR, "NaN")],
    )
    assert output.exists(path)
    assert [row["status"] for row in rows_of(output)] == ["failed", "done"]


def test_a_picture_that_cannot_be_written_fails_alone(plan, block):
    output = plan.output
    made = block(plan, grey(60), grey(200))
    path = made.block.paintings[0].targets[0].cell.path
    output.write(f"{path}/in-the-way", b"")
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        written = pipeline | beam.Create([made]) | WriteBlocks(plan)
        failures = written.failures | beam.Map(
            lambda f: (f.key, f.stage, str(f.reason))
        )
        assert_that(failures, equal_to([(path, "Write", "write_error")]))
    assert [row["status"] for row in rows_of(output)] == ["failed", "done"]


def test_shards_take_a_block_as_one_file(sharded, block):
    output = sharded.output
    made = block(sharded, grey(60), grey(200))
    run(sharded, made, [(Count.CELLS_DONE, 2), (Count.CELLS_FAILED, 0)], [])
    rows = rows_of(output)
    assert len({row["shard"] for row in rows}) == 1
    for row, level in zip(rows, (60, 200), strict=True):
        assert (decode_image(picture_file(row).read(output)).pixels == level).all()
    assert not output.exists("images")
