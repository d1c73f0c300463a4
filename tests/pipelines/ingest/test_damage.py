"""A damaged data set is made again where it is damaged; nothing wrong is kept."""

import random
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines import cli
from transforms.storage.schemas import INGEST_MANIFEST


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("ingested")
    rng = np.random.default_rng(3)
    (root / "pictures").mkdir()
    for number in range(9):
        pixels = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "pictures" / f"{number}.png")
    assert cli.main(command(root)) == 0
    return root


def command(root):
    flags = ["--name", "d", "--shards", "2", "--val-fraction", "0.3"]
    flags += ["--output", str(root / "out")]
    return ["ingest", "--input", str(root / "pictures"), *flags]


@pytest.fixture
def root(template, tmp_path):
    return shutil.copytree(template, tmp_path / "root")


@pytest.fixture
def again(root, files_of, capfd, caplog):
    """Return a check that the next run mends everything; it returns what was said."""
    before = files_of(root / "out")

    def check():
        capfd.readouterr()
        assert cli.main(command(root)) == 0
        err = capfd.readouterr().err
        assert "Traceback" not in err
        assert files_of(root / "out") == before
        return err + caplog.text

    return check


def flip(path, place):
    data = path.read_bytes()
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


@pytest.mark.parametrize("where", ["length", "picture", "checksum", "huge"])
def test_flipped_shard_is_made_again(root, again, where):
    shard = sorted((root / "out").glob("d-train.tfrecord-*"))[0]
    data = shard.read_bytes()
    length = int.from_bytes(data[:8], "little")
    place = {"length": 0, "picture": 12 + length // 2, "checksum": 12 + length}
    flip(shard, place.get(where, 7))
    assert f"{shard} is damaged at byte 0; it is made again" in again()


@pytest.mark.parametrize("place", [100, -20, -1])
def test_damaged_part_makes_the_data_set_again(root, again, place):
    (part,) = (root / "out" / "manifest").glob("part-*")
    flip(part, place % part.stat().st_size)
    assert "; the data set is made again" in again()


def test_no_flipped_byte_of_a_part_is_believed(root, again):
    (part,) = (root / "out" / "manifest").glob("part-*")
    data = part.read_bytes()
    for place in random.Random(2).sample(range(len(data)), 3):
        flip(part, place)
        again()


def test_damaged_commit_makes_its_shard_again(root, again):
    out = root / "out"
    shard = sorted(out.glob("d-train.tfrecord-*"))[0]
    (part,) = (out / "manifest").glob("part-*")
    journal = out / "manifest" / ".journal"
    journal.mkdir()
    shutil.copy(part, journal / f"{shard.name}.parquet")
    flip(journal / f"{shard.name}.parquet", 300)
    assert "is damaged; its shard is made again" in again()


@pytest.mark.parametrize(
    "change",
    [{"key": None}, {"split": "../x"}, {"shard": None}, {"byte_length": None}],
)
def test_hostile_rows_end_in_no_traceback(root, again, change):
    (part,) = (root / "out" / "manifest").glob("part-*")
    table = pq.read_table(part)
    rows = table.to_pylist()
    rows[0] |= change
    schema = INGEST_MANIFEST.with_metadata(table.schema.metadata)
    pq.write_table(pa.Table.from_pylist(rows, schema), part)
    again()


def test_data_set_of_an_earlier_version_is_kept(root, caplog):
    (part,) = (root / "out" / "manifest").glob("part-*")
    sealed = part.read_bytes()
    pq.write_table(pq.read_table(part), part)
    assert cli.main(command(root)) == 0
    assert "damaged" not in caplog.text
    # Its part is written anew, with a seal.
    assert part.read_bytes() == sealed
