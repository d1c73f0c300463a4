"""Rows become the parts of the manifest, and the folder a data set."""

import apache_beam as beam
import pytest
import tensorflow_datasets as tfds
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.descriptions.tfds_files import DATASET_INFO
from transforms.elements import Count, ImageError, Reason
from transforms.ingest.dataset_manifest import FinishDataset, WriteDatasetManifest
from transforms.ingest.finish import INGEST, PREVIEW, REPORT
from transforms.ingest.prepare import rejected_row
from transforms.ingest.rejected_examples import rejected_example
from transforms.ingest.shards import write_shard
from transforms.ingest.whole_shards import find_committed, manifest_table
from transforms.storage.parts import stable_part

KEYS = ("b.png", "a.png", "twin.png", "c.png")


@pytest.fixture
def rows(output, settings, spilled, listed):
    """Write the shards of three pictures and a copy; their rows, and one of a bad."""
    records = spilled(*zip(KEYS, (1, 2, 1, 3), strict=True))
    table = manifest_table(settings)
    rows = []
    for shard in settings.shard_names():
        own = [segment for name, segment in records if name == shard]
        write_shard(output, settings, shard, own)
        rows += table.rows(output, table.journal_name(shard))
    error = ImageError(Reason.CORRUPT, "no picture")
    return [*rows, rejected_row(listed("bad.png"), b"x", error)]


@pytest.fixture
def write(output, settings, segments):
    """Return a writer of the manifest in two parts that checks what it gives back."""

    def run(rows, keys, status_of):
        table = manifest_table(settings)
        expected = []
        for part in range(2):
            statuses = {}
            for key in keys:
                if stable_part(key, 2) == part:
                    status = status_of.get(key, "accepted")
                    statuses[status] = statuses.get(status, 0) + 1
                    if status == "rejected":
                        statuses["failures_corrupt"] = 1
            expected.append((table.part_name(part, 2), statuses))
        committed = find_committed(output, settings)
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            parts = (
                pipeline
                | beam.Create(segments([(stable_part(r["key"], 2), r) for r in rows]))
                | WriteDatasetManifest(output, settings, committed, 2)
            )
            assert_that(parts, equal_to(expected))
        found = [
            [row["key"] for row in table.rows(output, table.part_name(part, 2))]
            for part in range(2)
        ]
        assert [sorted(own) for own in found] == found
        return expected

    return run


STATUSES = {"twin.png": "duplicate", "bad.png": "rejected"}


def test_parts_hold_every_row_once_and_keep_those_of_whole_shards(
    output, settings, rows, write
):
    keys = [*KEYS, "bad.png"]
    write(rows, keys, STATUSES)
    # As at the end of a job: what is in the parts needs no journal.
    output.delete(manifest_table(settings).journal)
    # Nothing new: the rows of whole shards stay, a rejected one is of each run.
    write([], KEYS, STATUSES)
    write([rows[-1]], keys, STATUSES)


def test_no_rows_are_empty_parts(write):
    write([], (), {})


@pytest.fixture
def finish(output, settings):
    """Return a runner of the last step; it returns its pipeline."""

    def build(parts, row):
        pipeline = test_pipeline.TestPipeline("FnApiRunner")
        example = rejected_example(row, b"x")
        examples = pipeline | "Examples" >> beam.Create([[example]])
        counts = (
            pipeline
            | beam.Create(parts)
            | FinishDataset(output, settings, {"name": "tiny"}, examples)
        )
        return pipeline, counts

    return build


def test_finished_data_set_is_read_by_tfds(output, settings, rows, write, finish):
    parts = write(rows, [*KEYS, "bad.png"], STATUSES)
    pipeline, counts = finish(parts, rows[-1])
    with pipeline:
        expected = [
            (Count.IMAGES_ACCEPTED, 3),
            (Count.IMAGES_REJECTED, 1),
            ("failures_corrupt", 1),
            (Count.IMAGES_DUPLICATE, 1),
            (Count.RECORDS_WRITTEN, 3),
        ]
        assert_that(counts, equal_to(expected))
    assert output.read_json(INGEST)["identity"] == {"name": "tiny"}
    assert output.exists(PREVIEW)
    assert b"no picture" in output.read(REPORT)
    assert output.exists(manifest_table(settings).journal)  # The launcher deletes.
    builder = tfds.builder_from_directory(output.root)
    read = [
        example["key"].decode()
        for split in builder.info.splits
        for example in tfds.as_numpy(builder.as_dataset(split))
    ]
    assert sorted(read) == ["a.png", "b.png", "c.png"]


def test_shard_that_is_not_what_the_manifest_says_stops_the_job(
    output, rows, write, finish
):
    parts = write(rows, [*KEYS, "bad.png"], STATUSES)
    full = rows[0]
    shards = [n for n in output.names("") if n.startswith(f"tiny-{full['split']}.")]
    output.write(shards[full["shard"]], b"short")
    pipeline, _ = finish(parts, rows[-1])
    with pytest.raises(RuntimeError, match="has 5 bytes, the manifest says"):
        pipeline.run().wait_until_finish()
    assert not output.exists(DATASET_INFO)
