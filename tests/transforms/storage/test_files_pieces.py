"""Whoever reads a few bytes of a large object carries no more than these."""

import dataclasses
import json

import pytest

from transforms.elements import ImageRef
from transforms.inputs.listing import _read_refs
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.segments import Segment, merged_rows, pack_row
from transforms.storage.stored_file import StoredFile

PACKED = pack_row({"key": "k"})
ROW = len(PACKED).to_bytes(4, "little") + PACKED


@pytest.fixture(params=["gs", "s3"])
def bucket(request):
    return request.getfixturevalue(f"{request.param}_bucket")


@pytest.fixture
def output(bucket):
    output = OutputFolder(bucket.url)
    output.write("large", b'{"key": "k"}\n\n' + ROW + bytes(1 << 20))
    bucket.proxy.reset()
    return output


def carried(bucket):
    # The last request may not be noted yet; it is no larger than the others.
    return max((one.sent for one in list(bucket.proxy.exchanges)), default=0)


@pytest.mark.parametrize("kind", ["segment", "stored", "file"])
def test_no_more_than_was_asked_for(bucket, output, kind):
    path = output.path("large")
    if kind == "segment":
        assert list(merged_rows([Segment(path, 14, 14 + len(ROW))])) == [{"key": "k"}]
    elif kind == "stored":
        assert StoredFile("large", None, 1, 5).read(output) == b'"key"'
    else:
        with open_file(path, 5) as file:
            file.seek(1)
            assert file.read(5) == b'"key"'
    with open_file(path, 5) as file:  # So that all before it is noted.
        file.read(5)
    assert carried(bucket) < 10_000


def test_slice_of_a_listing_is_read_alone(bucket, output):
    ref = ImageRef("a.jpg", "/a.jpg", "somewhere")
    line = json.dumps(dataclasses.astuple(ref)).encode() + b"\n"
    output.write("listing", line + bytes(1 << 20))
    bucket.proxy.reset()
    assert list(_read_refs((output.path("listing"), 0, len(line)))) == [ref]
    assert carried(bucket) < 10_000
