"""Data sets are read alike from a disk and from buckets, and never two mixed."""

import time

import numpy as np
import pytest

from model.training.dataset import crop_dataset, load_index
from pipelines import cli
from transforms.inputs.data_files import StoredDataFiles
from transforms.storage.folder import OutputFolder


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """A data set of six pictures, as files by name."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("ingested")
    rng = np.random.default_rng(3)
    (folder / "in").mkdir()
    for number in range(6):
        pixels = rng.integers(0, 256, (40 + number, 44, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "in" / f"{number}.png")
    command = ["ingest", "--input", str(folder / "in"), "--name", "some", "--size"]
    command += ["36", "--min-side", "32", "--shards", "2", "--val-fraction", "0.5"]
    assert cli.main([*command, "--output", str(folder / "out")]) == 0
    return OutputFolder(str(folder / "out"))


@pytest.fixture(params=["gs", "s3"])
def bucket(request):
    return request.getfixturevalue(f"{request.param}_bucket")


@pytest.fixture
def stored(data_set, bucket):
    """The data set in a bucket."""
    output = OutputFolder(f"{bucket.url}/sets/some")
    for name in data_set.below(""):
        output.write(name.lstrip("/"), data_set.read(name))
    bucket.proxy.reset()
    return output


@pytest.mark.parametrize("split", ["train", "val"])
def test_index_and_pictures_are_those_of_the_disk(data_set, stored, split):
    local = load_index([data_set.root], split, StoredDataFiles())
    remote = load_index([stored.root], split, StoredDataFiles())
    assert remote.keys == local.keys
    assert remote.fingerprints == local.fingerprints
    assert len(remote) > 1
    for number in range(len(remote)):
        assert remote.read(number) == local.read(number)


def test_crops_are_those_of_the_disk(data_set, stored):
    def crops(root):
        index = load_index([root], "train", StoredDataFiles())
        batches = crop_dataset(index, crop=32, batch_size=2, seed=1, stream=0)
        return np.concatenate(list(batches.take(3).as_numpy_iterator()))

    np.testing.assert_array_equal(crops(stored.root), crops(data_set.root))


def test_a_picture_is_one_request(stored, bucket):
    index = load_index([stored.root], "train", StoredDataFiles())
    index.read(0)
    bucket.proxy.reset()
    index.read(0)
    # The proxy takes note of a request once it has answered it.
    end = time.monotonic() + 60
    while not bucket.proxy.count() and time.monotonic() < end:
        time.sleep(0.01)
    assert bucket.proxy.count() == 1


def test_shard_that_is_replaced_is_noticed(stored):
    index = load_index([stored.root], "train", StoredDataFiles())
    index.read(0)
    name = index.files[index.file[0]].removeprefix(f"{stored.root}/")
    # An ETag of S3 is of the bytes: equal ones are no other file.
    stored.write(name, stored.read(name)[::-1])
    with pytest.raises(OSError, match="was replaced or deleted while it was read"):
        index.read(0)


def test_shard_that_is_cut_off_is_told(stored):
    index = load_index([stored.root], "train", StoredDataFiles())
    last = int(np.argmax(index.offset * (index.file == index.file[0])))
    name = index.files[index.file[0]].removeprefix(f"{stored.root}/")
    stored.write(name, stored.read(name)[: int(index.offset[last]) + 1])
    with pytest.raises(OSError, match="ends within a picture"):
        index.read(last)


def test_what_is_no_data_set_is_told(bucket):
    with pytest.raises(FileNotFoundError, match=r"there is no ingest\.json"):
        load_index([f"{bucket.url}/no"], "train", StoredDataFiles())
