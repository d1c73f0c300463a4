import dataclasses
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from PIL import Image

from model.training.dataset import (
    PictureIndex,
    _read_window,
    crop_dataset,
    draw,
    load_index,
)

SIZES = [(64, 80), (90, 64), (64, 64), (70, 130), (65, 66), (40, 50), (64, 100)]


def encode(pixels, format):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, quality=90)
    return file.getvalue()


@pytest.fixture
def pictures(picture):
    """Encoded pictures of several sizes: JPEG, one grey, one PNG, one progressive."""
    made = []
    for number, size in enumerate(SIZES):
        pixels = np.rint(picture(*size, seed=number) * 255).astype(np.uint8)
        if number == 1:
            pixels = pixels[..., 0]
        made.append(encode(pixels, "PNG" if number == 2 else "JPEG"))
    return made


@pytest.fixture
def index(tmp_path, pictures):
    """Two shards with the pictures, something else between them."""
    files, rows = [bytearray(b"head"), bytearray()], []
    for number, data in enumerate(pictures):
        file = files[number % 2]
        rows.append((number % 2, len(file) + 3, len(data)))
        file += b"..." + data
    paths = []
    for number, data in enumerate(files):
        paths.append(tmp_path / f"shard-{number}")
        paths[-1].write_bytes(data)
    file, offset, length = zip(*rows, strict=True)
    return PictureIndex(
        files=tuple(map(str, paths)),
        file=np.array(file, np.int32),
        offset=np.array(offset, np.int64),
        length=np.array(length, np.int64),
        height=np.array([size[0] for size in SIZES], np.int32),
        width=np.array([size[1] for size in SIZES], np.int32),
        is_jpeg=np.array([n != 2 for n in range(len(SIZES))]),
    )


def draws(index, count, seed=5, stream=0):
    for position in range(count):
        chosen, window, mirrored = draw(
            index, tf.constant(position, tf.int64), seed, stream
        )
        yield int(chosen), window.numpy(), bool(mirrored)


def batches(index, steps, **options):
    options = {"crop": 32, "batch_size": 6, "seed": 5, "stream": 0} | options
    return [batch.numpy() for batch in crop_dataset(index, **options).take(steps)]


def test_window_has_the_pixels_that_pillow_decodes(index, pictures):
    read = tf.function(_read_window)
    # On, before and after the borders of the blocks of 8 and 16 that JPEG works in.
    windows = [(7, 11, 24, 24), (16, 16, 16, 16), (0, 0, 40, 40), (8, 15, 32, 17)]
    for number, data in enumerate(pictures):
        with Image.open(io.BytesIO(data)) as image:
            whole = np.asarray(image.convert("RGB"))
        right = (0, SIZES[number][1] - 16, 16, 16)
        for window in (*windows, right):
            top, left, height, width = window
            ours = read(index, tf.constant(number, tf.int64), tf.constant(window))
            expected = whole[top : top + height, left : left + width]
            np.testing.assert_array_equal(ours, expected, str((number, window)))


def test_crops_are_the_drawn_windows_resized_by_pillow(index, pictures):
    crops = np.concatenate(batches(index, 4))

    for crop, (chosen, (top, left, side, _), mirrored) in zip(
        crops, draws(index, 24), strict=True
    ):
        with Image.open(io.BytesIO(pictures[chosen])) as image:
            window = image.convert("RGB").crop((left, top, left + side, top + side))
        expected = np.asarray(window.resize((32, 32), Image.Resampling.BILINEAR))
        if mirrored:
            expected = expected[:, ::-1]
        assert crop.dtype == np.float32
        # Pillow rounds to levels after each of its two passes.
        assert np.abs(crop * 255 - expected).max() < 1.6


def test_each_epoch_shows_every_picture_once_in_its_own_order(index):
    chosen = [picture for picture, _, _ in draws(index, 3 * len(SIZES))]
    epochs = [chosen[i : i + len(SIZES)] for i in range(0, len(chosen), len(SIZES))]

    assert all(sorted(epoch) == list(range(len(SIZES))) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_contents_and_styles_pair_up_anew_every_epoch(index):
    pairs = [
        {
            (content, style)
            for (content, _, _), (style, _, _) in list(
                zip(draws(index, 14, stream=0), draws(index, 14, stream=1), strict=True)
            )[start : start + 7]
        }
        for start in (0, 7)
    ]

    assert pairs[0] != pairs[1]


def test_windows_are_squares_inside_at_scales_from_one_to_two(index):
    shares, flips = [], 0
    for chosen, (top, left, side, other), mirrored in draws(index, 200):
        height, width = SIZES[chosen]
        assert side == other
        assert 0 <= top <= height - side
        assert 0 <= left <= width - side
        shares.append(min(height, width) / side)
        flips += mirrored
    assert 0.97 <= min(shares) <= 1.05
    assert 1.9 <= max(shares) <= 2.06
    assert np.mean(shares) == pytest.approx(1.5, abs=0.08)
    assert 70 <= flips <= 130


def test_windows_are_not_smaller_than_a_crop_that_the_picture_has(index):
    for position in range(100):
        place = tf.constant(position, tf.int64)
        chosen, plain, _ = draw(index, place, seed=5, stream=0)
        again, window, _ = draw(index, place, seed=5, stream=0, least=56)
        assert chosen == again
        short = min(SIZES[int(chosen)])
        assert window[2] == max(int(plain[2]), min(short, 56))
        top, left, side, _ = window.numpy()
        assert 0 <= top <= SIZES[int(chosen)][0] - side
        assert 0 <= left <= SIZES[int(chosen)][1] - side


def test_starting_at_a_step_gives_the_batches_from_there(index):
    whole = batches(index, 5)

    np.testing.assert_array_equal(batches(index, 2, start_step=3), whole[3:])


def test_shares_of_two_workers_make_the_batch(index):
    whole = batches(index, 3)
    shares = [
        batches(index, 3, first=0, count=2),
        batches(index, 3, first=2, count=4),
    ]

    for step, batch in enumerate(whole):
        parts = np.concatenate([share[step] for share in shares])
        np.testing.assert_array_equal(parts, batch)


def test_seed_and_stream_change_the_draws(index):
    first = batches(index, 1)[0]

    assert not np.array_equal(batches(index, 1, seed=6)[0], first)
    assert not np.array_equal(batches(index, 1, stream=1)[0], first)
    np.testing.assert_array_equal(batches(index, 1)[0], first)


def test_smaller_pictures_are_enlarged_and_counted(index):
    assert index.count_smaller(41) == 1
    assert index.count_smaller(40) == 0
    assert batches(index, 1, crop=128)[0].shape == (6, 128, 128, 3)


def test_file_that_was_cut_says_so(index, tmp_path):
    path = tmp_path / "shard-0"
    path.write_bytes(path.read_bytes()[:100])

    with pytest.raises(tf.errors.OpError, match="ends within a picture"):
        batches(index, 3)


def write_dataset(folder, keys, version=1):
    folder.mkdir()
    rows = [
        {
            "key": key,
            "status": "accepted",
            "split": "train" if key < "m" else "val",
            "shard": 0,
            "format": "jpeg",
            "height": 40,
            "width": 50 + number,
            "image_offset": 100 * number,
            "image_length": 10,
            "byte_offset": 100 * number - 20,
            "byte_length": 40,
        }
        for number, key in enumerate(keys)
    ]
    rows.append({**rows[0], "key": "a-copy", "status": "duplicate"})
    (folder / "manifest").mkdir()
    for part in (0, 1):
        name = f"manifest/part-0000{part}-of-00002.parquet"
        pq.write_table(pa.Table.from_pylist(rows[part::2]), folder / name)
    about = {
        "format_version": version,
        "fingerprint": f"print-of-{folder.name}",
        "splits": {s: {"shards": [{"name": f"n-{s}"}]} for s in ("train", "val")},
    }
    (folder / "ingest.json").write_text(json.dumps(about))
    return str(folder)


def test_index_joins_data_sets_each_sorted_by_key(tmp_path):
    one = write_dataset(tmp_path / "one", ["c", "z", "a"])
    two = write_dataset(tmp_path / "two", ["b"])

    index = load_index([one, two], "train")

    assert index.files == (f"{one}/n-train", f"{two}/n-train")
    assert index.file.tolist() == [0, 0, 1]
    assert index.width.tolist() == [52, 50, 50]
    assert index.offset.tolist() == [200, 0, 0]
    assert index.is_jpeg.all()
    assert index.fingerprints == ("print-of-one", "print-of-two")
    assert len(dataclasses.replace(index, file=index.file[:2])) == 2


def test_wrong_data_sets_are_refused(tmp_path):
    old = write_dataset(tmp_path / "old", ["a"], version=7)
    with pytest.raises(ValueError, match="format_version 7, this stylebeam reads 1"):
        load_index([old], "train")
    with pytest.raises(FileNotFoundError, match="there is no ingest"):
        load_index([str(tmp_path)], "train")
    fine = write_dataset(tmp_path / "fine", ["a"])
    with pytest.raises(ValueError, match="no pictures in the val split"):
        load_index([fine], "val")


@pytest.mark.parametrize(
    ("shards", "said"),
    [
        ([{"name": "a\0b"}], r"'a\\x00b' is no name of a shard"),
        ([{"name": "../../secret"}], "'../../secret' is no name of a shard"),
        ([{"name": 7}], "7 is no name of a shard"),
        ([], "names 0 shards of the train split, the manifest has pictures in shard 0"),
    ],
)
def test_damaged_names_of_shards_are_refused(tmp_path, shards, said):
    folder = write_dataset(tmp_path / "set", ["a"])
    path = tmp_path / "set/ingest.json"
    about = json.loads(path.read_text())
    about["splits"]["train"]["shards"] = shards
    path.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=said):
        load_index([folder], "train")
