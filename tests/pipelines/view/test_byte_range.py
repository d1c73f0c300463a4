"""Which bytes of ten a request asks for."""

import pytest

from pipelines.view.byte_range import OutOfRangeError, byte_range


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-", (0, 10)),
        ("bytes=0-0", (0, 1)),
        ("bytes=9-", (9, 10)),
        ("bytes=2-99", (2, 10)),
        ("bytes=-1", (9, 10)),
        ("bytes=-99", (0, 10)),
        # What may be ignored, and is: all bytes are sent.
        (None, None),
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("bytes=\u0661-\u0662", None),
        ("items=0-1", None),
        (f"bytes={'9' * 5000}-", None),
    ],
)
def test_range(header, found):
    assert byte_range(header, 10) == found


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_no_byte_of_a_range_is_there(header):
    with pytest.raises(OutOfRangeError):
        byte_range(header, 10)


def test_nothing_has_no_bytes():
    with pytest.raises(OutOfRangeError):
        byte_range("bytes=0-", 0)
    assert byte_range(None, 0) is None
