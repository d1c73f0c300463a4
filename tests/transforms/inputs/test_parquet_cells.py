"""Pictures in the cells of Parquet files, whole ones and damaged ones."""

import contextlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.annotations.records.parquet import ParquetPictures
from transforms.annotations.records.record_set import Found
from transforms.elements import ImageError, ImageRef, Reason
from transforms.inputs.parquet_cells import cell_name, read_cell
from transforms.inputs.reading import read_image


@pytest.fixture
def path(tmp_path):
    data = [np.random.default_rng(n).bytes(3000) for n in range(40)]
    table = pa.table({"image": data})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=20)
    return tmp_path / "x.parquet"


def ref(path, row, group=0):
    return ImageRef("k", "s", str(path), cell_name("image", group, row), size=3000)


def test_any_order_gives_each_its_own(path):
    for group, row in ((1, 19), (0, 3), (0, 4), (1, 0), (0, 3), (0, 0), (1, 19)):
        expected = np.random.default_rng(20 * group + row).bytes(3000)
        assert read_image(ref(path, row, group)) == expected


def test_a_damaged_page_is_that_of_its_pictures_alone(path):
    data = bytearray(path.read_bytes())
    place = data.index(np.random.default_rng(25).bytes(3000)[:16]) - 4
    data[place : place + 4] = b"\xff\xff\xff\x7f"  # the length of a picture
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="is damaged there") as caught:
        read_cell(ref(path, 5, 1))
    assert caught.value.reason == Reason.UNREADABLE
    assert len(read_cell(ref(path, 5))) == 3000
    with pytest.raises(FileNotFoundError):
        read_cell(ref(path.with_name("gone.parquet"), 0))


@pytest.mark.parametrize("seed", range(60))
def test_damage_anywhere_is_told_and_never_a_crash(path, seed):
    draw = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for place in draw.integers(len(data) - 600, len(data), 3):
        data[place] = int(draw.integers(256))
    path.write_bytes(bytes(data))
    found = ParquetPictures(str(path)).records("s", Found())
    refs, told = [], "x.parquet"
    try:
        refs = [ref for ref, _ in found]
    except ValueError as error:
        told = str(error)
    assert "x.parquet" in told
    for one in refs[::10]:
        with contextlib.suppress(ImageError):
            read_image(one)
