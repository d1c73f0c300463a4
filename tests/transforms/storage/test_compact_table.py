"""The journal becomes parts when all is committed, and is removed last."""

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.storage.committed_table import CommittedTable
from transforms.storage.compact_table import (
    CompactTable,
    Packer,
    _clean,
    _merge_part,
    merged_journal,
)
from transforms.storage.folder import OutputFolder
from transforms.storage.stored_file import rows_digest

SCHEMA = pa.schema([("image", pa.string()), ("place", pa.string())])
TABLE = CommittedTable("table", SCHEMA, owner=("image",), order=("image",))


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path))


def commit(image, output):
    TABLE.commit(output, [{"image": image, "place": None}], image)


def compact(output, parts, packer=None, barrier=("x", "y")):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        names = (
            pipeline | beam.Create(barrier) | CompactTable(TABLE, output, parts, packer)
        )
        expected = [TABLE.part_name(part, parts) for part in range(parts)]
        assert_that(names, equal_to(expected))


def rows(output):
    return [
        (row["image"], row["place"])
        for name in output.names("table")
        for row in TABLE.rows(output, name)
    ]


@pytest.mark.parametrize("barrier", [(), ("x",)])
def test_journal_becomes_parts_and_is_removed(output, barrier):
    for image in ("b", "a"):
        commit(image, output)
    compact(output, 1, barrier=barrier)
    assert rows(output) == [("a", None), ("b", None)]
    assert not output.exists(TABLE.journal)


def test_nothing_committed_is_empty_parts(output):
    compact(output, 2)
    assert len(output.names("table")) == 2
    assert rows(output) == []


def test_a_part_without_news_is_not_written_again(output):
    commit("a", output)
    compact(output, 1)
    before = output.read(TABLE.part_name(0, 1))
    output.write(TABLE.part_name(0, 1), before + b"mark")
    compact(output, 1)
    assert output.read(TABLE.part_name(0, 1)) == before + b"mark"


def test_parts_of_another_count_are_removed(output):
    for image in "abcdefgh":
        commit(image, output)
    compact(output, 1)
    compact(output, 4)
    assert output.names("table") == [TABLE.part_name(part, 4) for part in range(4)]
    assert sorted(image for image, _ in rows(output)) == list("abcdefgh")


def test_merge_begins_when_all_is_committed(output):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        done = pipeline | beam.Create(list("abcde")) | beam.Map(commit, output)
        _ = done | CompactTable(TABLE, output, 2)
    assert sorted(image for image, _ in rows(output)) == list("abcde")
    assert not output.exists(TABLE.journal)


class PackIntoOne(Packer):
    """Writes a file a part."""

    def pack(self, output, part, rows):
        name = f"packed/{part}"
        rows = list(rows)
        output.write(name, b"".join(row["image"].encode() for row in rows))
        yield from ({**row, "place": name} for row in rows)


def test_files_are_packed_with_their_part_and_others_stay(output):
    output.write("packed/new", b"of a merge that is not committed yet")
    for image in ("b", "a"):
        commit(image, output)
    compact(output, 1, PackIntoOne())
    assert rows(output) == [("a", "packed/0"), ("b", "packed/0")]
    assert output.names("packed") == ["packed/0", "packed/new"]
    assert output.read("packed/0") == b"ab"


def digest_commit(image, place, output):
    row = {"image": image, "place": place}
    TABLE.commit(output, [row], image, rows_digest([row]))


def test_late_clean_deletes_nothing_that_was_committed_since(output):
    digest_commit("a", "before", output)
    compact(output, 1)
    (name,) = output.names("table")
    merged = [(name, [TABLE.journal_name("a", rows_digest([{"image": "a"}]))])]
    digest_commit("a", "since", output)
    digest_commit("b", "since", output)
    there = output.names(TABLE.journal)

    _clean(output, TABLE, 1, merged)

    assert output.names(TABLE.journal) == there
    compact(output, 1)
    assert rows(output) == [("a", "since"), ("b", "since")]


def test_late_clean_of_a_smaller_table_leaves_the_parts_of_a_larger(output):
    for image in "abcdefgh":
        commit(image, output)
    compact(output, 1)
    merged = [(output.names("table")[0], [])]
    compact(output, 4)
    before = output.names("table")

    _clean(output, TABLE, 1, merged)

    assert output.names("table") == before


def test_late_merge_writes_nothing(output):
    digest_commit("a", "x", output)
    journal = output.names(TABLE.journal)
    compact(output, 1)
    output.write(TABLE.part_name(0, 1), b"of a later merge")

    _merge_part((0, journal), TABLE, output, 1, None)

    assert output.read(TABLE.part_name(0, 1)) == b"of a later merge"


def test_journal_that_says_what_the_parts_say_is_merged(output):
    digest_commit("a", "x", output)
    compact(output, 1)
    for image, place in (("a", "x"), ("a", "y"), ("b", "x")):
        digest_commit(image, place, output)

    found = list(merged_journal(TABLE, output))

    same = [{"image": "a", "place": "x"}]
    other = [{"image": "a", "place": "y"}]
    assert found == [TABLE.journal_name("a", rows_digest(same))]
    ignoring = set(merged_journal(TABLE, output, but=("place",)))
    assert ignoring == {*found, TABLE.journal_name("a", rows_digest(other))}
