"""Tables that people write: every value is kept, or the file or row is refused."""

import csv
import datetime
import decimal
import io

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.inputs.tables import (
    OtherType,
    escaped,
    read_table_file,
    split_cell,
)
from transforms.storage.text import csv_rows


@pytest.fixture
def read(tmp_path):
    """Return a reader of the rows of a CSV, given as text or bytes."""

    def read_rows(text, optional=("weights", "alpha", "mask")):
        path = tmp_path / "t.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return list(read_table_file(str(path), ("content", "style"), optional))

    return read_rows


@pytest.fixture
def read_parquet(tmp_path):
    """Return a reader of the cells of one column of a Parquet file."""

    def read_cells(array, name="content"):
        path = str(tmp_path / "t.parquet")
        pq.write_table(pa.table({name: array}), path)
        return [row.values[name] for row in read_table_file(path, (name,), ())]

    return read_cells


def values(rows):
    return [{name: list(cell) for name, cell in row.values.items()} for row in rows]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_program_s_csv_is_read(read, mark, end):
    text = end.join(["content,style", "a.jpg,s.jpg", '"b, c.jpg","x;y"', ""])
    first, second = values(read(mark + text.encode()))
    assert first == {"content": ["a.jpg"], "style": ["s.jpg"]}
    assert second == {"content": ["b, c.jpg"], "style": ["x", "y"]}


def test_blank_lines_are_no_rows(read):
    rows = read("\ncontent , style\n\na.jpg,s.jpg\n , \n\t\nb.jpg,s.jpg\n\n")
    assert [row.number for row in rows] == [1, 2]
    assert [row.first_line for row in rows] == [4, 7]


def test_a_header_alone_has_no_rows(read):
    assert read("content,style\n") == read("content,style") == []


def test_a_row_of_another_length_is_a_problem(read):
    rows = read("content,style\na.jpg,s.jpg,x\nb.jpg\nc, d.jpg,s.jpg\nok.jpg,s.jpg\n")
    told = [row.problem.split(". ")[0] for row in rows]
    assert told[:3] == [f"{cells} cells for 2 columns" for cells in (3, 1, 3)]
    assert told[3] == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Received: an empty file"),
        ("\n\n", "Received: an empty file"),
        ("content;style\na;b\n", "commas between columns"),
        ("content\tstyle\na\tb\n", "commas between columns"),
        ("content,style,style\na,b,c\n", "has the column style more than once"),
        ("content,style,,\na,b,,\n", "must have the columns content and style"),
        ("content,stile\n", "Received: 'content, stile'"),
        ("x" * 100_000, r"\(100000 characters\)"),
    ],
)
def test_a_wrong_header_is_refused(read, text, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        read(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "rest",
    [
        "",  # to the end of the file
        ',s.jpg\n"x, y.jpg",s.jpg\n',  # to the next quote
        ",s.jpg\n" * 100_000,  # beyond what a cell holds
        '"b",s.jpg\n',  # text behind a closing quote
    ],
)
def test_a_quote_that_is_not_closed_is_told_with_its_line(read, rest):
    with pytest.raises(ValueError, match=r"line 3: .*quote that is not closed") as e:
        read(f'content,style\na.jpg,s.jpg\n"b.jpg{rest}')
    assert len(str(e.value)) < 300


def test_the_reported_file_with_an_open_quote_is_refused(shared):
    path = str(shared / "data" / "reports" / "quote-late.csv")
    with pytest.raises(ValueError, match="line 122: ") as caught:
        list(read_table_file(path, ("content", "style"), ("weights", "alpha")))
    assert len(str(caught.value)) < 300


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("content,style\na.jpg,s.jpg\n".encode("utf-16"))
    with pytest.raises(ValueError, match="UTF-16"):
        list(read_table_file(str(path), ("content", "style"), ()))
    with pytest.raises(ValueError, match=r"must end in \.csv or \.parquet"):
        read_table_file(str(tmp_path / "t.txt"), (), ())


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("", []),
        (" \t", []),
        ("a;b", ["a", "b"]),
        (" a ; b ", ["a", "b"]),
        (";b", [None, "b"]),
        ("a;", ["a", None]),
        (r"a\;b", ["a;b"]),
        (r"\ a", [" a"]),
        (r"a\ ", ["a "]),
        (r"a\ ; \ b ", ["a ", " b"]),
        (r"a\\;b", ["a\\", "b"]),
        (r"a\xe9\b", [r"a\xe9\b"]),
        ("a\\", ["a\\"]),
        ("\\\na", ["\na"]),
        ("a b\nc", ["a b\nc"]),
        ("\xa0a", ["\xa0a"]),
    ],
)
def test_a_backslash_keeps_what_else_would_part_or_go(cell, expected):
    assert split_cell(cell) == expected


@hypothesis.given(st.lists(st.text(alphabet=" ;\\ab\n\t\"',é", min_size=1), min_size=1))
def test_any_names_can_be_written(names):
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow([";".join(map(escaped, names))])
    ((_, _, (cell,)),) = csv_rows(buffer.getvalue())
    assert split_cell(cell) == names


TEXTS = ["a;b.jpg", " a.jpg", None, ""]
TAKEN = [["a;b.jpg"], [" a.jpg"], [], []]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_parquet_texts_are_taken_as_they_are(read_parquet, kind):
    if pa.types.is_dictionary(kind):
        array = pa.array(TEXTS).dictionary_encode()
    else:
        array = pa.array(TEXTS).cast(kind)
    assert read_parquet(array) == TAKEN
    listed = pa.ListArray.from_arrays([0, 2, 4], array)
    assert read_parquet(listed) == [["a;b.jpg", " a.jpg"], [None, None]]


def test_bytes_that_are_no_utf8_are_the_key_of_such_a_file(read_parquet):
    assert read_parquet(pa.array([b"caf\xe9.jpg"])) == [["caf\\xe9.jpg"]]
    # Some programs say text and write bytes.
    array = pa.Array.from_buffers(pa.string(), 1, pa.array([b"caf\xe9.jpg"]).buffers())
    assert read_parquet(array) == [["caf\\xe9.jpg"]]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([0.3, None], pa.float64()),
        pa.array([0.3, None], pa.float32()),
        pa.array([np.float16(0.3), None], pa.float16()),
        pa.array([decimal.Decimal("0.3"), None], pa.decimal128(5, 1)),
    ],
    ids=lambda array: str(array.type),
)
def test_a_number_is_the_shortest_that_is_meant(read_parquet, array):
    (value,), nothing = read_parquet(array)
    assert float(value) == 0.3
    assert nothing == []
    listed = pa.ListArray.from_arrays([0, 1, 1], array)
    assert [[float(v) for v in cell] for cell in read_parquet(listed)] == [[0.3], []]


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.string()),
        pa.large_list(pa.string()),
        pa.list_(pa.string(), 2),
        pa.list_view(pa.string()),
    ],
    ids=str,
)
def test_lists_of_every_kind_hold_several_values(read_parquet, kind):
    # pyarrow cannot read back a list of fixed size that is null.
    rows = [["a", "b"], ["c", None], *([] if "fixed" in str(kind) else [None, []])]
    expected = [["a", "b"], ["c", None], [], []]
    assert read_parquet(pa.array(rows, kind)) == expected[: len(rows)]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([{"a": 1}, None]),
        pa.array([datetime.datetime(2020, 1, 1), None]),
        pa.array([datetime.date(2020, 1, 1), None]),
        pa.array([2**60, None], pa.timestamp("us")),  # beyond what Python can show
        pa.array([[["a"]], None]),
        pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        pa.array([{f"field{i}": 1 for i in range(99)}, None]),
    ],
    ids=lambda array: str(array.type)[:20],
)
def test_a_value_of_another_type_is_kept_as_such(read_parquet, array):
    (value,), nothing = read_parquet(array)
    assert isinstance(value, OtherType)
    assert len(value.name) < 120
    assert nothing == []


def test_whole_numbers_truth_values_and_nothing_are_kept(read_parquet):
    assert read_parquet(pa.array([1, None])) == [[1], []]
    assert read_parquet(pa.array([True, None])) == [[True], []]
    assert read_parquet(pa.nulls(2)) == [[], []]


def test_parquet_rows_are_numbered_across_batches(tmp_path):
    path = str(tmp_path / "t.parquet")
    pq.write_table(pa.table({"a": [str(i) for i in range(9000)]}), path)
    rows = list(read_table_file(path, ("a",), ()))
    assert [row.number for row in rows] == list(range(1, 9001))
    assert [row.values["a"] for row in rows[-2:]] == [["8998"], ["8999"]]


def test_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [str(i) for i in range(9000)]}), path)
    data = path.read_bytes()
    for damaged in (data[:100], data[:-100], b"", b"PAR1", b"no"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="not a Parquet file"):
            list(read_table_file(str(path), ("a",), ()))


def test_a_column_twice_in_parquet_is_refused(tmp_path):
    path = str(tmp_path / "t.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array(["x"])] * 2, ["a", "a"]), path)
    with pytest.raises(ValueError, match="the column a more than once"):
        list(read_table_file(path, ("a",), ()))
