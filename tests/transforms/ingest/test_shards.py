"""The records of a shard are its file: sorted, each picture once."""

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.ingest.shards import WriteShards, _WriteShardDoFn
from transforms.ingest.whole_shards import find_committed
from transforms.storage.files import read_file


@pytest.fixture
def write(output, settings):
    """Return a writer of shards that checks what it gives back."""

    def run(records, expected):
        committed = find_committed(output, settings)
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            rows = (
                pipeline
                | beam.Create(records)
                | WriteShards(output, settings, committed)
                | beam.FlatMap(
                    lambda rows: [
                        (row["key"], row["status"], row.get("duplicate_of"))
                        for row in rows
                    ]
                )
            )
            assert_that(rows, equal_to(expected))
        return pipeline

    return run


def test_pictures_are_written_once_and_empty_shards_too(
    output, settings, spill, write, counters
):
    records = spill(("b.png", 1), ("a.png", 1), ("c.png", 2))
    expected = [
        ("a.png", "accepted", None),
        ("b.png", "duplicate", "a.png"),
        ("c.png", "accepted", None),
    ]
    pipeline = write(records, expected)
    assert set(settings.shard_names()) <= set(output.names(""))
    by_key = {record.key: (shard, record) for shard, record in records}
    # One frame each, as it was spilled.
    for shard in settings.shard_names():
        frames = b"".join(
            read_file(r.path)[r.offset + r.row_length :][: r.frame_length]
            for s, r in (by_key["a.png"], by_key["c.png"])
            if s == shard
        )
        assert output.read(shard) == frames
    written = len(settings.shard_names())
    assert counters(pipeline)["WriteShards.shards_written"] == written


def test_whole_shards_stay_and_take_in_what_is_new(
    output, settings, spill, write, counters
):
    first = spill(("b.png", 1), ("c.png", 2))
    rows = [("b.png", "accepted", None), ("c.png", "accepted", None)]
    write(first, rows)
    before = {name: output.read(name) for name in settings.shard_names()}
    # Their rows are in the journal alone, so they are given back again.
    kept = write([], rows)
    assert counters(kept) == {"WriteShards.shards_kept": len(before)}
    assert {name: output.read(name) for name in before} == before
    # A smaller key of the same bytes: what was accepted becomes its duplicate.
    ((shard, _),) = late = spill(("a.png", 1))
    write(
        late,
        [
            ("a.png", "accepted", None),
            ("b.png", "duplicate", "a.png"),
            ("c.png", "accepted", None),
        ],
    )
    assert output.read(shard) != before.pop(shard)
    assert {name: output.read(name) for name in before} == before


def test_merge_that_was_committed_gives_the_same_shard_again(
    output, settings, spill, write
):
    write(spill(("b.png", 1)), [("b.png", "accepted", None)])
    committed = find_committed(output, settings)
    late = spill(("a.png", 1))
    writer = _WriteShardDoFn(output, settings, committed)
    ((shard, record),) = late

    first = list(writer.process((shard, [record])))
    written = output.read(shard)
    again = list(writer.process((shard, [record])))

    assert again == first
    assert output.read(shard) == written


def test_merge_that_was_cut_off_before_its_commit_is_not_taken_for_the_old_shard(
    output, settings, spill, write
):
    write(spill(("b.png", 1)), [("b.png", "accepted", None)])
    committed = find_committed(output, settings)
    ((shard, record),) = spill(("c.png", 1))
    output.write(shard, output.read(shard) + b"more")

    with pytest.raises(RuntimeError, match="Run the same command again"):
        list(_WriteShardDoFn(output, settings, committed).process((shard, [record])))

    assert shard not in find_committed(output, settings).shards
