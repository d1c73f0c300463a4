"""Something is done when its rows are committed and its files are intact."""

import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.storage.committed_table import CommittedTable
from transforms.storage.folder import OutputFolder
from transforms.storage.merged_part import merged_part
from transforms.storage.parts import stable_part
from transforms.storage.stored_file import StoredFile, sha256

SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("setting", pa.string()),
        ("version", pa.string()),
        ("path", pa.string()),
        ("sha256", pa.string()),
    ]
)


def file_of(row):
    return (StoredFile(row["path"], row["sha256"]),)


TABLE = CommittedTable(
    "table", SCHEMA, owner=("image", "setting"), order=("setting",), files=file_of
)


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path))


def made(output, image, setting="s", version="1", data=b"data"):
    """Write a file and return its row."""
    path = f"files/{image}-{setting}-{version}"
    output.write(path, data)
    return {
        "image": image,
        "setting": setting,
        "version": version,
        "path": path,
        "sha256": sha256(data),
    }


def merge(output, parts=1, table=TABLE):
    """Merge the journal into parts, which are there from then on."""
    for part in range(parts):
        names = [
            name
            for name, image in table.journal_names(output).items()
            if stable_part(image, parts) == part
        ]
        merged = merged_part(table, output, part, parts, names)
        table.write_table(output, table.part_name(part, parts), merged)
    output.delete(table.journal)


class TestStoredFile:
    def test_is_a_whole_file_or_a_place_in_one(self, output):
        output.write("f", b"before-data-after")
        assert StoredFile("f", None).read(output) == b"before-data-after"
        assert StoredFile("f", None, 7, 4).read(output) == b"data"
        assert StoredFile("f", None, 12).read(output) == b"after"
        assert StoredFile("gone", None).read(output) is None

    def test_is_intact_with_its_sha256_alone(self, output):
        output.write("f", b"data")
        assert StoredFile("f", sha256(b"data")).read_intact(output) == b"data"
        assert StoredFile("f", sha256(b"data"), 0, 3).read_intact(output) is None
        assert StoredFile("f", sha256(b"else")).read_intact(output) is None
        assert StoredFile("f", None).read_intact(output) is None
        assert StoredFile("gone", sha256(b"data")).read_intact(output) is None


class TestJournal:
    def test_has_a_file_a_commit_named_as_its_owner(self, output):
        row = made(output, "a", "s")
        TABLE.commit(output, [row], "a", "s")
        assert TABLE.journal_names(output) == {"table/.journal/a@s.parquet": "a"}
        assert list(TABLE.rows(output, TABLE.journal_name("a", "s"))) == [row]

    def test_names_may_be_joined_by_what_ids_contain(self, output):
        table = CommittedTable("t", SCHEMA, ("image",), ("image",), joint="-")
        table.commit(output, [], "a-jpg-01", "ff")
        output.write("t/.journal/0123.pictures", b"")
        assert table.journal_names(output) == {
            "t/.journal/a-jpg-01-ff.parquet": "a-jpg-01"
        }

    def test_a_retry_writes_the_same_file(self, output):
        row = made(output, "a")
        for _ in range(2):
            TABLE.commit(output, [row], "a", "s")
        assert len(TABLE.journal_names(output)) == 1

    def test_is_not_there_before_the_first_commit(self, output):
        assert TABLE.journal_names(output) == {}


class TestMerge:
    def test_sorts_owners_and_keeps_the_order_of_their_rows(self, output):
        rows = [made(output, "a", "z", v) for v in ("2", "1")]
        TABLE.commit(output, rows, "a", "z")
        TABLE.commit(output, [made(output, "b", "y")], "b", "y")
        found = merged_part(
            TABLE, output, 0, 1, TABLE.journal_names(output)
        ).to_pylist()
        assert [(r["setting"], r["version"]) for r in found] == [
            ("y", "1"),
            ("z", "2"),
            ("z", "1"),
        ]

    def test_new_rows_of_an_owner_replace_all_its_old_ones(self, output):
        TABLE.commit(output, [made(output, "a", version=v) for v in "123"], "a", "s")
        TABLE.commit(output, [made(output, "a", "t")], "a", "t")
        merge(output)
        TABLE.commit(output, [made(output, "a", version="9")], "a", "s")
        merge(output)
        found = TABLE.rows(output, TABLE.part_name(0, 1))
        assert [(r["setting"], r["version"]) for r in found] == [("s", "9"), ("t", "1")]

    def test_of_two_commits_of_an_owner_the_true_one_counts(self, output):
        table = CommittedTable("t", SCHEMA, ("image", "path"), ("path",), file_of)
        output.write("files/x", b"new")
        for number, data in enumerate((b"old", b"new", b"older")):
            row = {**made(output, "a"), "path": "files/x", "sha256": sha256(data)}
            table.commit(output, [row], "a", str(number))
        found = merged_part(
            table, output, 0, 1, table.journal_names(output)
        ).to_pylist()
        assert [row["sha256"] for row in found] == [sha256(b"new")]

    def test_committed_rows_replace_merged_ones_also_where_files_are_gone(self, output):
        # A row that says "failed" tells of no file.
        TABLE.commit(output, [made(output, "a")], "a", "s")
        merge(output)
        row = {**made(output, "a", version="2"), "sha256": None}
        TABLE.commit(output, [row], "a", "s")
        merge(output)
        assert [r["version"] for r in TABLE.rows_of(output, 1, "a", "s")] == ["2"]

    @pytest.mark.parametrize("parts", [1, 2, 8])
    def test_rows_move_to_finer_parts(self, output, parts):
        images = [f"image-{number}" for number in range(16)]
        for image in images:
            TABLE.commit(output, [made(output, image)], image, "s")
        merge(output)
        merge(output, parts)
        assert TABLE.parts_on_disk(output) == parts
        for image in images:
            (row,) = TABLE.rows_of(output, parts, image)
            assert row["image"] == image
        for part in range(parts):
            for row in TABLE.rows(output, TABLE.part_name(part, parts)):
                assert stable_part(row["image"], parts) == part

    def test_finer_parts_win_over_the_coarser_that_a_killed_merge_left(self, output):
        TABLE.commit(output, [made(output, "a", version="old")], "a", "s")
        merge(output)
        coarse = output.read(TABLE.part_name(0, 1))
        TABLE.commit(output, [made(output, "a", version="new")], "a", "s")
        merge(output, 2)
        output.write(TABLE.part_name(0, 1), coarse)
        (row,) = merged_part(TABLE, output, stable_part("a", 2), 2, []).to_pylist()
        assert row["version"] == "new"


class TestMemory:
    """Merging holds the values of one part, not a Python object for each of them."""

    def rows(self, count):
        row = {"setting": "s", "version": "1", "path": "p" * 60, "sha256": "f" * 64}
        return [{**row, "image": f"image-{number:06}"} for number in range(count)]

    def peak(self, merge):
        """Return the bytes that a merge takes at most, in Python and in Arrow."""
        pool = pa.default_memory_pool()
        before = pool.bytes_allocated()
        tracemalloc.start()
        result, arrow = merge(), 0
        python = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        arrow = pool.bytes_allocated() - before
        return result, python + arrow

    def test_of_a_row_is_some_hundred_bytes(self, output):
        rows = self.rows(16_384)
        for start in range(0, len(rows), 512):
            TABLE.commit(output, rows[start : start + 512], f"j{start:06}", "s")
        names = TABLE.journal_names(output)
        merged, peak = self.peak(lambda: merged_part(TABLE, output, 0, 1, names))
        assert merged.to_pylist() == rows
        assert peak < 1000 * len(rows)

    def test_of_an_older_part_that_is_far_too_large_is_what_moves(self, output):
        TABLE.write(output, TABLE.part_name(0, 1), self.rows(65_536))
        merged, peak = self.peak(lambda: merged_part(TABLE, output, 3, 64, []))
        assert 800 < len(merged) < 1250
        assert peak < 12e6


class TestDone:
    @pytest.fixture
    def committed(self, output):
        TABLE.commit(output, [made(output, "a", version=v) for v in "12"], "a", "s")
        merge(output)
        return output

    def test_is_what_is_committed_and_intact(self, committed):
        assert len(TABLE.done_rows(committed, 1, "a", "s")) == 2
        assert TABLE.done_rows(committed, 1, "a", "t") == []
        assert TABLE.done_rows(committed, 1, "b", "s") == []

    def test_is_not_what_was_made_of_something_else(self, committed):
        assert TABLE.done_rows(committed, 1, "a", "s", version="9") == []

    @pytest.mark.parametrize("data", [None, b"other", b"dat"])
    def test_is_not_what_lost_one_of_its_files(self, committed, data):
        committed.delete("files/a-s-2")
        if data is not None:
            committed.write("files/a-s-2", data)
        assert TABLE.done_rows(committed, 1, "a", "s") == []
        assert len(TABLE.rows_of(committed, 1, "a", "s")) == 2

    def test_nothing_is_done_where_there_is_no_table(self, output):
        assert TABLE.rows_of(output, 1, "a", "s") == []
        assert TABLE.done_rows(output, 4, "a", "s") == []


class TestFingerprint:
    def table(self, fingerprint):
        return CommittedTable(
            "t", SCHEMA, ("image",), ("image",), fingerprint=fingerprint
        )

    def test_rows_count_under_their_own_alone(self, output):
        table = self.table("f1")
        table.commit(output, [made(output, "a")], "a")
        name = table.journal_name("a")
        assert len(list(table.rows(output, name))) == 1
        assert list(self.table("f2").rows(output, name)) == []
        assert list(self.table("").rows(output, name)) == []
        assert len(merged_part(self.table("f2"), output, 0, 1, [name])) == 0

    def test_is_written_beside_the_schema(self, output):
        self.table("f1").write(output, "f.parquet", [])
        schema = pq.read_schema(output.path("f.parquet"))
        assert schema.metadata == {b"stylebeam.fingerprint": b"f1"}
        assert schema.remove_metadata().equals(SCHEMA)
        self.table("").write(output, "none.parquet", [])
        assert pq.read_schema(output.path("none.parquet")).metadata is None


def test_counts_of_parts_grow_and_never_shrink(output):
    heavy = CommittedTable("table", SCHEMA, ("image",), ("image",), weight=1024)
    assert [heavy.count_parts(output, n) for n in (1, 64, 65)] == [1, 1, 2]
    assert TABLE.count_parts(output, 65) == 1
    merge(output, 4)
    assert TABLE.count_parts(output, 65) == 4


def test_columns_and_values_are_chosen_while_reading(output):
    rows = [made(output, "a", version=v) for v in "12"]
    TABLE.commit(output, rows, "a", "s")
    name = TABLE.journal_name("a", "s")
    assert list(TABLE.rows(output, name, ["version"], version="2")) == [
        {"version": "2"}
    ]
    assert TABLE.read(output, TABLE.journal_name("b")) is None
