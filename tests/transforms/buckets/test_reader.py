"""An object is read like a file, in few requests, and always of one version."""

import os

import pytest

from transforms.buckets.bucket import ChangedError
from transforms.buckets.reader import open_object, version_of

DATA = os.urandom(10_000_000)


@pytest.fixture
def asked(memory_bucket, monkeypatch):
    """Return the ranges that are asked for."""
    memory_bucket.objects["a"] = DATA
    ranges, read = [], memory_bucket.read_range

    def read_range(name, start, end, version):
        ranges.append((start, end))
        return read(name, start, end, version)

    monkeypatch.setattr(memory_bucket, "read_range", read_range)
    return ranges


def test_all_of_it_is_one_request(memory_bucket, asked):
    with open_object(memory_bucket, "a") as file:
        assert file.read() == DATA
    assert asked == [(0, len(DATA))]


def test_small_reads_share_a_request(memory_bucket, asked):
    with open_object(memory_bucket, "a") as file:
        pieces = [file.read(1000) for _ in range(1000)]
    assert b"".join(pieces) == DATA[:1_000_000]
    assert len(asked) == 1


def test_its_end_is_asked_for_alone(memory_bucket, asked):
    with open_object(memory_bucket, "a") as file:
        file.seek(-8, os.SEEK_END)
        assert file.read(8) == DATA[-8:]
        assert file.read(8) == b""
    assert asked == [(len(DATA) - 8, len(DATA))]


def test_behind_its_end_is_nothing(memory_bucket, asked):
    with open_object(memory_bucket, "a") as file:
        file.seek(len(DATA) + 5)
        assert file.read() == b""
        with pytest.raises(ValueError, match="before the first byte"):
            file.seek(-len(DATA) - 1, os.SEEK_END)
    assert asked == []


def test_another_version_is_noticed(memory_bucket, asked):
    with open_object(memory_bucket, "a") as file:
        version = version_of(file)
        assert file.read(5) == DATA[:5]
        memory_bucket._put("a", DATA, "")
        with pytest.raises(ChangedError):
            file.read()
    with open_object(memory_bucket, "a") as file:
        assert version_of(file) != version


def test_nothing_there_is_told(memory_bucket):
    with pytest.raises(FileNotFoundError, match="no such object"):
        open_object(memory_bucket, "x")
