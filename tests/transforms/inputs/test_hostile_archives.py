"""Archives whose sizes lie: named or failed in a moment, and never unpacked whole."""

import io
import pathlib
import struct
import tarfile
import tracemalloc
import zipfile

import pytest

from transforms.elements import ImageError, Reason
from transforms.inputs.listed import Listing
from transforms.inputs.reading import list_images, read_image
from transforms.inputs.roots import parse_inputs

pytestmark = pytest.mark.timeout(20)


def header(name: str, size: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a header with any twelve bytes as its size."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def octal(size: int) -> bytes:
    return b"%011o\0" % size


def base_256(size: int) -> bytes:
    if size < 0:
        return b"\xff" + (256**11 + size).to_bytes(11, "big")
    return b"\x80" + size.to_bytes(11, "big")


def padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 512) * 512, b"\0")


GOOD = header("a.jpg", octal(3)) + padded(b"abc")
LONG_NAME = header("././@LongLink", octal(2), b"L") + padded(b"a\0")

HOSTILE = {
    "a size of -512": GOOD + header("b.jpg", base_256(-512)),
    "a size of -1024": GOOD + header("b.jpg", base_256(-1024)),
    "a size far below zero": header("b.jpg", base_256(-(2**60))),
    "a long name of -512 bytes": GOOD + header("x", base_256(-512), b"L"),
    "a long name of a terabyte": GOOD + header("x", base_256(2**40), b"L"),
    "extended headers of -512 bytes": GOOD + header("x", base_256(-512), b"x"),
    "extended headers with a size of -512": GOOD
    + header("x", octal(13), b"x")
    + padded(b"13 size=-512\n")
    + header("b.jpg", octal(0)),
    "a chain of long names": GOOD + LONG_NAME * 3000,
    "a map of holes that never ends": header("x", octal(44), b"x")
    + padded(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n")
    + header("b.jpg", octal(0))
    + padded(b"99999999\n1\n"),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_tar_with_lying_headers_is_named(tmp_path: pathlib.Path, data: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(data + bytes(1024))
    with pytest.raises(ValueError, match=r"x\.tar"):
        list(list_images(parse_inputs([str(path)])))


@pytest.mark.parametrize("size", [2**35, 2**62, 2**80])
def test_member_that_claims_more_than_there_is_fails_alone(
    tmp_path: pathlib.Path, size: int
) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(GOOD + header("b.jpg", base_256(size)) + bytes(1024))
    good, bad = list_images(parse_inputs([str(path)]))
    assert read_image(good) == b"abc"
    with pytest.raises(ImageError, match=f"{size} bytes are more than any"):
        read_image(bad)
    # Shards of a data set are counted by what can be read at most.
    listing = Listing()
    listing.add(bad)
    assert listing.size == 1 << 30


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_zip_member_is_unpacked_no_further_than_its_size(
    tmp_path: pathlib.Path, compression: int
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("a.jpg", bytes(1 << 27))
        archive.writestr("b.jpg", b"fine")
    data = bytearray(buffer.getvalue())
    central = data.index(b"PK\1\2")
    for place in (22, central + 24):
        data[place : place + 4] = struct.pack("<I", 1000)
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    bad, good = list_images(parse_inputs([str(path)]))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError) as caught:
            read_image(bad)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 24
    assert caught.value.reason == Reason.BAD_ARCHIVE_MEMBER
    assert read_image(good) == b"fine"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_member_without_a_name_fails_alone(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.jpg", b"abc")
            nameless = zipfile.ZipInfo("b")
            nameless.filename = ""
            archive.writestr(nameless, b"de")
            archive.writestr(".", b"fg")
    else:
        files = [("a.jpg", b"abc"), ("", b"de"), (".", b"fg")]
        blocks = [header(n, octal(len(d))) + d.ljust(512, b"\0") for n, d in files]
        path.write_bytes(b"".join(blocks) + bytes(1024))
    good, bad, dot = list_images(parse_inputs([str(path)]))
    assert (good.key, bad.key, dot.key) == ("a.jpg", "(no name)", ".")
    assert read_image(good) == b"abc"
    assert read_image(dot) == b"fg"
    # Not the whole archive, which a reference without a member stands for.
    with pytest.raises(ImageError, match="it has no name") as caught:
        read_image(bad)
    assert caught.value.reason == Reason.BAD_ARCHIVE_MEMBER
