"""Tables of metadata: a row a picture, of whatever columns."""

import csv
import io
import json

import pytest

from transforms.annotations.kinds.metadata_tables import metadata_line, metadata_rows

ODD = 'a "b", c\r\nd\u2028 אב'


def test_columns_of_both_kinds_keep_their_values():
    lines = [
        {"file_name": "a.png", "text": ODD, "list": [1, {"b": None}], "n": 7.5},
        {"file_name": "b/c.png"},
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    found = list(metadata_rows(text.encode(), "metadata.jsonl"))
    assert [(name, wrong) for name, _, wrong in found] == [
        ("a.png", ""),
        ("b/c.png", ""),
    ]
    assert json.loads(found[0][1]) == {k: lines[0][k] for k in ("text", "list", "n")}
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([["n", "file_name", "text"], ["007", "a.png", ODD]])
    data = b"\xef\xbb\xbf" + buffer.getvalue().encode()
    ((name, columns, _),) = metadata_rows(data, "x/metadata.csv")
    assert (name, json.loads(columns)) == ("a.png", {"n": "007", "text": ODD})
    again = metadata_line("new.jpg", columns, ["n", "other", "text"])
    assert json.loads(again) == {
        "file_name": "new.jpg",
        "n": "007",
        "other": None,
        "text": ODD,
    }
    assert again.count(b"\n") == 1


def test_rows_that_cannot_be_used_stop_no_others():
    lines = [
        "{",
        "[1]",
        '{"text": 1}',
        '{"file_name": 5}',
        '{"file_name": "a", "n": NaN}',
        r'{"file_name": "a", "n": "\ud800"}',
        '{"file_name": "a", "n": 1, "n": 2}',
        '{"file_name": "b"}',
    ]
    found = list(metadata_rows("\n".join(lines).encode(), "m.jsonl"))
    assert [bool(wrong) for *_, wrong in found] == [True] * 7 + [False]
    found = list(metadata_rows(b"file_name,a\nx,1\ny\n,2\n", "m.csv"))
    assert [(name, bool(wrong)) for name, _, wrong in found] == [
        ("x", False),
        ("", True),
        ("", True),
    ]


@pytest.mark.parametrize(
    ("data", "path", "problem"),
    [
        (b"a,b\n1,2\n", "m.csv", "expected one `file_name`"),
        (b"", "m.csv", "expected one `file_name`"),
        (b"file_name,a,a\n", "m.csv", "no column twice"),
        ('{"file_name": "a"}'.encode("utf-16"), "m.jsonl", "UTF-16"),
        (b"", "m.txt", "ends in .jsonl or .csv"),
    ],
)
def test_what_is_no_table_is_told(data, path, problem):
    with pytest.raises(ValueError, match=problem):
        list(metadata_rows(data, path))
