"""Rows wait on disk by bucket, and come back sorted, whatever their number."""

import tracemalloc

import pytest

from transforms.elements import ImageStatus
from transforms.storage import segments
from transforms.storage.files import read_file
from transforms.storage.folder import OutputFolder
from transforms.storage.segments import SegmentWriter, merged_rows, pack_row, unpack_row


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path))


def write(output, rows):
    """Return the segments of some (bucket, row)s by bucket."""
    writer = SegmentWriter(output)
    found = {}
    for bucket, row in rows:
        for name, segment in writer.add(bucket, row):
            found.setdefault(name, []).append(segment)
    for name, segment in writer.flush():
        found.setdefault(name, []).append(segment)
    return found


@pytest.mark.parametrize("size", [1, 100, 1 << 22])
def test_rows_of_a_bucket_come_back_sorted(output, monkeypatch, size):
    monkeypatch.setattr(segments, "_BYTES_A_FILE", size)
    keys = [f"{n * 7919 % 100:02}" for n in range(100)]
    rows = [
        (int(key) % 3, {"key": key, "text": "é\udcff\n", "n": None}) for key in keys
    ]
    found = write(output, rows)
    assert sorted(found) == [0, 1, 2]
    for bucket, own in found.items():
        expected = [row for name, row in sorted(rows, key=str) if name == bucket]
        expected.sort(key=lambda row: row["key"])
        assert list(merged_rows(own)) == expected


@pytest.mark.parametrize("block", [1, 7, 1 << 16])
def test_rows_are_read_in_blocks_of_any_size(output, monkeypatch, block):
    monkeypatch.setattr(segments, "_BYTES_A_READ", block)
    rows = [("a", {"key": str(n)}) for n in range(10)]
    (own,) = write(output, rows).values()
    assert list(merged_rows(own)) == [row for _, row in rows]


def test_a_file_holds_several_buckets_and_each_knows_its_place(output):
    found = write(output, [("a", {"key": "1"}), ("b", {"key": "2"})])
    ((first,), (second,)) = found.values()
    assert first.path == second.path
    data = read_file(first.path)
    assert unpack_row(data[second.start + 4 : second.stop]) == {"key": "2"}


def test_rows_keep_their_types_and_numbers_their_bits():
    row = {
        "key": "é\udcff",
        "numbers": [0.1 + 0.2, 5e-324, -0.0, 2**63, -1],
        "known": [True, False, None],
        "inside": [{"map": b"\0\xff", "none": []}],
    }
    assert repr(unpack_row(pack_row(row))) == repr(row)


def test_a_value_of_another_type_is_refused():
    with pytest.raises(ValueError, match="unmarshallable"):
        pack_row({"key": "a", "status": ImageStatus.ACCEPTED})


def test_no_row_is_no_file(output):
    assert write(output, []) == {}
    assert list(merged_rows([])) == []
    assert output.names("") == []


def test_a_file_that_ends_early_is_an_error(output):
    ((segment,),) = write(output, [("a", {"key": "1"})]).values()
    with pytest.raises(OSError, match="expected 99"):
        list(merged_rows([segment._replace(stop=99)]))


def test_memory_does_not_grow_with_the_rows(output):
    def peak(count):
        tracemalloc.start()
        writer = SegmentWriter(output)
        places = []
        for number in range(count):
            row = {"key": f"{number * 7919 % count:07}", "text": "x" * 500}
            places += [place for _, place in writer.add("one", row)]
        places += [place for _, place in writer.flush()]
        assert sum(1 for _ in merged_rows(places)) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)
    assert peak(60_000) < 1.1 * peak(20_000)
