"""Text that people write: UTF-8, or refused by name and line."""

import pytest

from transforms.storage.text import decode_text, read_text, shown

TEXT = "content,style\r\nr\xe9ne.jpg,s.jpg\r\n"


@pytest.mark.parametrize("marks", [0, 1, 2])
def test_a_byte_order_mark_is_no_text(tmp_path, marks):
    path = tmp_path / "list.csv"
    path.write_bytes(b"\xef\xbb\xbf" * marks + TEXT.encode())
    assert read_text(str(path)) == TEXT


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16", r"UTF-16 \(little endian\)"),
        ("utf-16-le", r"UTF-16 \(little endian, unmarked\)"),
        ("utf-16-be", r"UTF-16 \(big endian, unmarked\)"),
        ("utf-32", r"UTF-32 \(little endian\)"),
        ("latin-1", "line 2: the byte 0xe9 is not UTF-8"),
        ("cp1252", "line 2: the byte 0xe9 is not UTF-8"),
    ],
)
def test_another_encoding_is_named(encoding, named):
    with pytest.raises(ValueError, match=f"{named}.*Save it as UTF-8"):
        decode_text(TEXT.encode(encoding))


def test_a_mark_of_utf16_big_endian_is_known():
    with pytest.raises(ValueError, match=r"UTF-16 \(big endian\)"):
        decode_text(b"\xfe\xff" + TEXT.encode("utf-16-be"))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_are_counted_whatever_ends_them(end):
    with pytest.raises(ValueError, match="line 3: the byte 0xff"):
        decode_text(end.join([b"a", b"b", b"\xff"]))


def test_a_nul_byte_is_no_text():
    with pytest.raises(ValueError, match="line 2: there is a NUL byte"):
        decode_text(b"a,b\nc\0d,e\n" + b"x" * 100)


def test_an_empty_file_is_an_empty_text():
    assert decode_text(b"") == decode_text(b"\xef\xbb\xbf") == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\nb", r"'a\nb'"),
        ("x" * 99, f"'{'x' * 80}'… (99 characters)"),
        ("\udce9\u202e", r"'\udce9\u202e'"),
        ([1] * 99, f"[{'1, ' * 26}1…"),
        pytest.param(10**5000, "a very large int", id="very large"),
        (None, "None"),
    ],
)
def test_a_value_is_quoted_short_and_on_one_line(value, expected):
    assert shown(value) == expected
