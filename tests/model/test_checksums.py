"""A flipped bit is seen wherever it is, and what has no seal is read as it is."""

import hashlib
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.checksums import (
    DamagedFileError,
    check_parquet,
    is_intact_record,
    masked_crc,
    read_line,
    seal_parquet,
    sealed_line,
)

TABLE = pa.table({"key": [f"k{i}" for i in range(40)], "number": list(range(40))})


def plain() -> bytes:
    file = io.BytesIO()
    pq.write_table(TABLE, file)
    return file.getvalue()


@pytest.fixture(scope="module")
def sealed() -> bytes:
    return seal_parquet(hashlib.sha256(), plain())


def test_readers_that_know_no_seal_read_a_sealed_file(sealed):
    assert pq.read_table(io.BytesIO(sealed)).equals(TABLE)
    assert check_parquet(io.BytesIO(sealed), "t")
    assert len(sealed) == len(plain()) + 40


def test_every_flipped_bit_is_seen(sealed):
    for place in range(len(sealed)):
        for bit in range(8):
            damaged = bytearray(sealed)
            damaged[place] ^= 1 << bit
            try:
                assert not check_parquet(io.BytesIO(bytes(damaged)), "t")
            except DamagedFileError:
                continue
            # A footer of another length: nothing says where a seal would be. Then it
            # is no Parquet at all.
            with pytest.raises((OSError, pa.ArrowException)):
                pq.read_table(io.BytesIO(bytes(damaged)))


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 100, -1])
def test_cut_file_is_damaged(sealed, cut):
    with pytest.raises(DamagedFileError, match="t is damaged: it does not end as a"):
        check_parquet(io.BytesIO(sealed[:cut]), "t")


def test_file_without_a_seal_is_taken_as_it_is():
    assert not check_parquet(io.BytesIO(plain()), "t")


def test_record_is_intact_as_it_was_written_alone():
    length = (5).to_bytes(8, "little")
    frame = length + masked_crc(length) + b"hello" + masked_crc(b"hello")
    assert is_intact_record(frame)
    for place in range(len(frame)):
        damaged = bytearray(frame)
        damaged[place] ^= 4
        assert not is_intact_record(bytes(damaged))
    assert not is_intact_record(frame[:-1])
    assert not is_intact_record(b"")


ROW = {"step": 7, "kind": "train", "total": 0.25, "best": False}


def test_a_line_is_read_without_its_checksum():
    line = sealed_line(ROW)
    assert line.startswith(b'{"step": 7, "kind": "train", "total": 0.25, "best": false')
    assert read_line(line) == ROW


def test_each_flipped_bit_of_a_line_is_seen():
    line = sealed_line(ROW)
    for bit in range(8 * len(line)):
        damaged = bytearray(line)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamagedFileError):
            read_line(bytes(damaged))
    for length in range(len(line)):
        with pytest.raises(DamagedFileError):
            read_line(line[:length])


def test_a_line_without_a_checksum_is_read_as_it_is():
    assert read_line(b'{"step": 7}\n') == {"step": 7}


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"[1]\n", b"7\n", b'{"step": 7}', b"\xff\n", b"[" * 9999]
)
def test_what_is_no_line_with_an_object_is_damaged(line):
    with pytest.raises(DamagedFileError):
        read_line(line)
