"""The records of a shard are its file: sorted, each picture once."""

import dataclasses

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.ingest.shards import WriteShards, _WriteShardDoFn, write_shard
from transforms.ingest.whole_shards import find_committed, manifest_table
from transforms.storage.files import read_file
from transforms.storage.parts import stable_part
from transforms.storage.segments import merged_rows


def told(part_and_segment):
    part, segment = part_and_segment
    for row in merged_rows([segment]):
        assert stable_part(row["key"], 2) == part
        yield row["key"], row["status"], row.get("duplicate_of")


@pytest.fixture
def write(output, settings):
    """Return a writer of shards that checks what it gives back."""

    def run(records, expected):
        committed = find_committed(output, settings)
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            rows = (
                pipeline
                | beam.Create(records)
                | WriteShards(output, settings, committed, parts=2)
                | beam.FlatMap(told)
            )
            assert_that(rows, equal_to(expected))
        return pipeline

    return run


def test_pictures_are_written_once_and_empty_shards_too(
    output, settings, spill, segments, write, counters
):
    records = spill(("b.png", 1), ("a.png", 1), ("c.png", 2))
    expected = [
        ("a.png", "accepted", None),
        ("b.png", "duplicate", "a.png"),
        ("c.png", "accepted", None),
    ]
    waiting = [(shard, dataclasses.asdict(record)) for shard, record in records]
    pipeline = write(segments(waiting), expected)
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
    output, settings, spilled, write, counters
):
    first = spilled(("b.png", 1), ("c.png", 2))
    rows = [("b.png", "accepted", None), ("c.png", "accepted", None)]
    write(first, rows)
    before = {name: output.read(name) for name in settings.shard_names()}
    # Their rows are in the journal alone, so they are given back again.
    kept = write([], rows)
    assert counters(kept) == {"WriteShards.shards_kept": len(before)}
    assert {name: output.read(name) for name in before} == before
    # A smaller key of the same bytes: what was accepted becomes its duplicate.
    ((shard, _),) = late = spilled(("a.png", 1))
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


def test_a_bundle_that_ran_twice_is_written_once(output, settings, spilled):
    first, again = (spilled(("a.png", 1), ("b.png", 1)) for _ in range(2))
    ((shard, _),) = first
    write_shard(output, settings, shard, [segment for _, segment in first])
    before = output.read(shard)
    write_shard(output, settings, shard, [segment for _, segment in (*first, *again)])
    assert output.read(shard) == before
    table = manifest_table(settings)
    rows = list(table.rows(output, table.journal_name(shard)))
    assert [(row["key"], row["status"]) for row in rows] == [
        ("a.png", "accepted"),
        ("b.png", "duplicate"),
    ]


def rows_of(written):
    return sorted(row for pair in written for row in told(pair))


def test_merge_that_was_committed_gives_the_same_shard_again(
    output, settings, spilled, write
):
    write(spilled(("b.png", 1)), [("b.png", "accepted", None)])
    committed = find_committed(output, settings)
    ((shard, segment),) = spilled(("a.png", 1))
    writer = _WriteShardDoFn(output, settings, committed, 2)

    first = rows_of(writer.process((shard, [segment])))
    written = output.read(shard)
    again = rows_of(writer.process((shard, [segment])))

    assert (
        again
        == first
        == [
            ("a.png", "accepted", None),
            ("b.png", "duplicate", "a.png"),
        ]
    )
    assert output.read(shard) == written


def test_merge_that_was_cut_off_before_its_commit_is_not_taken_for_the_old_shard(
    output, settings, spilled, write
):
    write(spilled(("b.png", 1)), [("b.png", "accepted", None)])
    committed = find_committed(output, settings)
    ((shard, segment),) = spilled(("c.png", 1))
    output.write(shard, output.read(shard) + b"more")
    writer = _WriteShardDoFn(output, settings, committed, 2)

    with pytest.raises(RuntimeError, match="Run the same command again"):
        list(writer.process((shard, [segment])))

    assert shard not in find_committed(output, settings).shards
