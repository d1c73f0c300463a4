"""What a run commits after it was taken over does not count, whenever it comes."""

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing import test_pipeline

from transforms.storage import folder as folder_module
from transforms.storage.committed_table import CommittedTable
from transforms.storage.compact_table import CompactTable, merged_journal
from transforms.storage.folder import OutputFolder
from transforms.storage.lease import Lease

SCHEMA = pa.schema([("image", pa.string()), ("place", pa.string())])
TABLE = CommittedTable("table", SCHEMA, owner=("image",), order=("image",))


@pytest.fixture(autouse=True)
def between_look_and_write(monkeypatch):
    """Every process of these tests was stopped behind its look: it does not look."""
    monkeypatch.setattr(folder_module, "check_lease", lambda *_: None)


@pytest.fixture
def root(tmp_path):
    return str(tmp_path)


def of_run(root, number, since=None):
    since = number if since is None else since
    return OutputFolder(root, lease=Lease(f"r{number}", number, since))


def commit(output, image, place=None):
    TABLE.commit(output, [{"image": image, "place": place}], image, "0" * 16)


def compact(output, own):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        table = CompactTable(TABLE, output, 1, own=own)
        _ = pipeline | beam.Create([None]) | table


def rows(root):
    output = OutputFolder(root)
    return {row["image"]: row["place"] for row in TABLE.all_rows(output)}


def test_name_of_a_commit_has_the_number_of_the_run(root):
    commit(of_run(root, 7), "a.run8")
    name = "table/.journal/a.run8@0000000000000000.run7.parquet"
    assert OutputFolder(root).names(TABLE.journal) == [name]
    assert TABLE.journal_names(of_run(root, 7)) == {name: "a.run8"}


def test_successor_goes_on_from_what_was_committed_before(root):
    commit(of_run(root, 7), "a", "by 7")
    compact(of_run(root, 8, since=7), own=False)
    assert rows(root) == {"a": "by 7"}


def test_commit_behind_the_recovery_does_not_count(root):
    compact(of_run(root, 8, since=7), own=False)
    commit(of_run(root, 8, since=7), "a", "by 8")
    commit(of_run(root, 7), "a", "late")
    commit(of_run(root, 7), "b", "late")
    compact(of_run(root, 8, since=7), own=True)
    assert rows(root) == {"a": "by 8"}


def test_commit_of_equal_rows_does_not_take_the_place_of_ours(root):
    commit(of_run(root, 8), "a", "equal")
    commit(of_run(root, 7), "a", "equal")
    compact(of_run(root, 8), own=True)
    assert rows(root) == {"a": "equal"}


def test_late_commit_does_not_count_for_the_run_after_that(root):
    compact(of_run(root, 8, since=7), own=True)
    commit(of_run(root, 7), "b", "late")
    # 8 came to its end, so 9 goes on from nothing before itself.
    compact(of_run(root, 9, since=9), own=False)
    assert rows(root) == {}


def test_launcher_deletes_what_came_late_and_nothing_that_counts(root):
    output = of_run(root, 8, since=7)
    compact(output, own=False)
    commit(of_run(root, 7), "b", "late")
    commit(output, "a", "not merged")
    late = TABLE.journal_name("b", "0" * 16, lease=Lease("r7", 7, 7))
    assert list(merged_journal(TABLE, output)) == [late]


def test_whoever_only_looks_sees_every_run(root):
    commit(of_run(root, 7), "a")
    commit(of_run(root, 8), "a")
    assert len(TABLE.journal_names(OutputFolder(root))) == 2


def test_journal_without_a_number_counts_for_all(root):
    """It is of runs that a lock on one machine kept apart."""
    commit(OutputFolder(root), "a", "local")
    compact(of_run(root, 1), own=False)
    assert rows(root) == {"a": "local"}


def test_newest_journal_is_that_of_the_largest_number(root):
    for number in (9, 10, 8):
        commit(of_run(root, number), "a", str(number))
    found = TABLE.newest_journal(OutputFolder(root))["a"]
    assert found.endswith(".run10.parquet")
    assert TABLE.newest_journal(of_run(root, 9, since=8))["a"].endswith("run9.parquet")
