"""The pictures that training sees: crops out of ingested data sets.

Every draw (which picture, how large, which window, whether mirrored) is a function of
the seed, the step and the place in the batch, and a picture is read by its offset in
the shard. So training goes on at step n without reading anything of the steps before,
and nothing of this pipeline is ever saved. Pictures are decoded as
`transforms.images.decoder` does, which wrote them: the tests compare the two.
"""

import dataclasses
import fnmatch
import hashlib
import io
from collections.abc import Sequence, Set
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from model.checksums import DamagedFileError, check_parquet, is_intact_record
from model.config import read_json
from model.training.data_files import LOCAL_FILES, DataFiles

# Version 2 has labels and objects, which training does not read.
FORMAT_VERSIONS: Final = (1, 2)

_COLUMNS: Final = [
    "key",
    "shard",
    "format",
    "height",
    "width",
    "image_offset",
    "image_length",
    "byte_offset",
    "byte_length",
]

_PREFETCHED_BATCHES: Final = 2


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PictureIndex:
    """Where the pictures of one split are; row i of each array is picture i.

    Attributes:
        files: Paths of the shards, local or remote.
        file: int32 [pictures], position in `files`.
        offset: int64 [pictures], first byte of the encoded picture in its file.
        length: int64 [pictures], bytes of the encoded picture.
        height: int32 [pictures], in pixels.
        width: int32 [pictures], in pixels.
        is_jpeg: bool [pictures]; the others are PNG.
        fingerprints: Fingerprints of the data sets, in order.
        keys: Keys of the pictures.
        record: int64 [pictures, 2], first byte of the framed record that holds the
            picture, and its bytes; none where the files are not of records.
        reader: Reads `files`.
    """

    files: tuple[str, ...]
    file: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    height: npt.NDArray[np.int32]
    width: npt.NDArray[np.int32]
    is_jpeg: npt.NDArray[np.bool_]
    fingerprints: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    record: npt.NDArray[np.int64] | None = None
    reader: DataFiles = LOCAL_FILES

    def __len__(self) -> int:
        return len(self.file)

    def count_smaller(self, crop: int) -> int:
        """Return how many pictures must be enlarged for crops of that side."""
        return int((np.minimum(self.height, self.width) < crop).sum())

    def without(self, keys: Set[str]) -> "PictureIndex":
        """Return the pictures whose keys are not among some."""
        kept = np.array([key not in keys for key in self.keys], np.bool_)
        columns = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        arrays: dict[str, Any] = {
            name: column[kept]
            for name, column in columns.items()
            if isinstance(column, np.ndarray)
        }
        return dataclasses.replace(
            self,
            **arrays,
            keys=tuple(key for key in self.keys if key not in keys),
        )

    def some(self, count: int) -> list[int]:
        """Return the positions of pictures that their keys alone choose."""
        digests = [hashlib.sha256(key.encode()).digest() for key in self.keys]
        return sorted(range(len(self)), key=digests.__getitem__)[:count]

    def read(self, picture: int) -> bytes:
        """Return the encoded bytes of a picture, JPEG or PNG.

        Raises:
            DamagedFileError: The record that holds it is not as it was written.
            OSError: It cannot be read.
        """
        path = self.files[self.file[picture]]
        offset, length = int(self.offset[picture]), int(self.length[picture])
        if self.record is None:
            return self._read_range(path, offset, length)
        start, size = map(int, self.record[picture])
        frame = self._read_range(path, start, size)
        if not is_intact_record(frame):
            raise DamagedFileError(
                f"{path} is damaged: the record at byte {start} is not as it "
                "was written. Give the command of `stylebeam ingest` again, which "
                "makes damaged shards anew"
            )
        return frame[offset - start :][:length]

    def _read_range(self, path: str, offset: int, length: int) -> bytes:
        data = self.reader.read_range(path, offset, length)
        if len(data) != length:
            raise OSError(
                f"{path} ends within a picture, at byte {offset + len(data)}: it was "
                "changed since it was ingested. Run `stylebeam ingest` again"
            )
        return data


def load_index(
    folders: Sequence[str], split: str, reader: DataFiles = LOCAL_FILES
) -> PictureIndex:
    """Return where the pictures of a split of some ingested data sets are.

    Args:
        folders: Outputs of `stylebeam ingest`.
        split: `train` or `val`.
        reader: Reads them; the default knows local paths alone.

    Returns:
        The pictures of the data sets one after the other, each sorted by key.

    Raises:
        FileNotFoundError: A folder is not a data set.
        OSError: A file cannot be read.
        ValueError: A data set has another format, or none has pictures in that split.
    """
    files: list[str] = []
    columns: dict[str, list[Any]] = {name: [] for name in (*_COLUMNS, "file")}
    fingerprints = []
    for folder in folders:
        root = folder.rstrip("/")
        about = _read_about(root, reader)
        fingerprints.append(about["fingerprint"])
        rows = _read_rows(root, split, reader)
        shards = _shard_names(root, about, split, rows["shard"])
        for name in _COLUMNS:
            columns[name] += rows[name]
        columns["file"] += [len(files) + shard for shard in rows["shard"]]
        files += [f"{root}/{name}" for name in shards]
    if not columns["file"]:
        raise ValueError(f"no pictures in the {split} split of {', '.join(folders)}")
    return PictureIndex(
        files=tuple(files),
        file=np.array(columns["file"], np.int32),
        offset=np.array(columns["image_offset"], np.int64),
        length=np.array(columns["image_length"], np.int64),
        height=np.array(columns["height"], np.int32),
        width=np.array(columns["width"], np.int32),
        is_jpeg=np.array(columns["format"]) == "jpeg",
        fingerprints=tuple(fingerprints),
        keys=tuple(columns["key"]),
        record=np.array(
            [columns["byte_offset"], columns["byte_length"]], np.int64
        ).T.copy(),
        reader=reader,
    )


def _read_about(root: str, reader: DataFiles) -> dict[str, Any]:
    path = f"{root}/ingest.json"
    try:
        about: dict[str, Any] = read_json(reader.read(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{root} is not a data set: there is no ingest.json in it. Make one with "
            "`stylebeam ingest`; if that was killed, run it again"
        ) from error
    version = about.get("format_version")
    if version not in FORMAT_VERSIONS:
        raise ValueError(
            f"{path} has format_version {version!r}, this stylebeam reads "
            f"{' and '.join(map(str, FORMAT_VERSIONS))}. Ingest the pictures again"
        )
    return about


def _shard_names(
    root: str, about: dict[str, Any], split: str, used: Sequence[int]
) -> list[str]:
    """Return the names of the shards of a split, each that is used among them."""
    shards = about["splits"].get(split, {"shards": []})["shards"]
    names = [shard["name"] for shard in shards]
    for name in names:
        if not isinstance(name, str) or not name.isprintable() or "/" in name:
            raise ValueError(
                f"{root}/ingest.json is damaged: {name!r:.80} is no name of a shard"
            )
    missing = [shard for shard in used if shard not in range(len(names))]
    if missing:
        raise ValueError(
            f"{root}/ingest.json is damaged: it names {len(names)} shards of the "
            f"{split} split, the manifest has pictures in shard {missing[0]}"
        )
    return names


def _read_rows(root: str, split: str, reader: DataFiles) -> dict[str, list[Any]]:
    """Return the columns of the accepted pictures of a split, sorted by key."""
    wanted = [("status", "==", "accepted"), ("split", "==", split)]
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for path in _manifest(root, reader):
        data = io.BytesIO(reader.read(path))
        check_parquet(data, path)
        try:
            table = pq.read_table(data, columns=_COLUMNS, filters=wanted)
        except (pa.ArrowException, OSError) as error:
            raise DamagedFileError(f"{path} is damaged: {error}") from error
        for name in _COLUMNS:
            columns[name] += table[name].to_pylist()
    order = sorted(range(len(columns["key"])), key=columns["key"].__getitem__)
    return {name: [values[i] for i in order] for name, values in columns.items()}


def kept_of_copies(
    folders: Sequence[str], reader: DataFiles = LOCAL_FILES
) -> dict[str, str]:
    """Return the key that was kept by that of each copy which ingest left out of it."""
    kept: dict[str, str] = {}
    for folder in folders:
        for path in _manifest(folder.rstrip("/"), reader):
            table = pq.read_table(
                io.BytesIO(reader.read(path)),
                columns=["key", "duplicate_of"],
                filters=[("status", "==", "duplicate")],
            )
            kept |= {row["key"]: row["duplicate_of"] for row in table.to_pylist()}
    return kept


def _manifest(root: str, reader: DataFiles) -> list[str]:
    names = reader.names(f"{root}/manifest")
    parts = fnmatch.filter(names, "part-*.parquet")
    return sorted(f"{root}/manifest/{name}" for name in parts)


def draw(
    index: PictureIndex, position: tf.Tensor, seed: int, stream: int, least: int = 0
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Draw a picture and a window of it.

    Each picture comes once an epoch, in an order of that epoch's own. The scale at
    which the shortest side is `r` × crop, r uniform in [1, 2], is drawn as the size of
    the window in the source: shortest side / r. (Huang & Belongie 2017 resize to 512
    and crop 256, which is r = 2 alone.) The window's place is uniform.

    Args:
        index: The pictures.
        position: int64 scalar, the number of this crop since step 0.
        seed: Seed of the training.
        stream: Tells the draws of one purpose from those of another, such as contents
            from styles.
        least: Side in pixels that no window falls below unless the picture does.

    Returns:
        int64 scalar, the picture; int32 [4], the window in it as (top, left, height,
        width), square; bool scalar, whether it is mirrored.
    """
    pictures = len(index)
    epoch = position // pictures
    purpose = tf.constant(seed * 2**16 + stream, tf.int64)
    chosen = tf.random.experimental.index_shuffle(
        position % pictures,
        seed=tf.stack([purpose, epoch]),
        max_index=pictures - 1,
    )
    draws = tf.random.stateless_uniform(
        [4], tf.stack([purpose, position]), alg="philox"
    )
    sides = tf.stack([tf.gather(index.height, chosen), tf.gather(index.width, chosen)])
    short = tf.reduce_min(sides)
    side = tf.cast(tf.round(tf.cast(short, tf.float32) / (1 + draws[0])), tf.int32)
    side = tf.maximum(side, tf.minimum(short, least))
    room = sides - side
    corner = tf.minimum(
        tf.cast(draws[1:3] * tf.cast(room + 1, tf.float32), tf.int32), room
    )
    return chosen, tf.concat([corner, [side, side]], 0), draws[3] < 0.5


def crop_dataset(
    index: PictureIndex,
    *,
    crop: int,
    batch_size: int,
    seed: int,
    stream: int,
    start_step: int = 0,
    first: int = 0,
    count: int | None = None,
    enlarge: bool = True,
) -> tf.data.Dataset:
    """Return batches of random crops, endlessly, from a given step on.

    Args:
        index: The pictures.
        crop: Side of the crops in pixels.
        batch_size: Crops a step, over all workers.
        seed: Seed of the training.
        stream: What the draws are for, as in `draw`.
        start_step: The step whose batch comes first.
        first: Place in the batch where this worker's share begins.
        count: Size of its share; the rest of the batch when None.
        enlarge: Whether windows may be smaller than the crop where the picture is not.

    Returns:
        Dataset of float32 [count, crop, crop, 3], RGB in [0, 1].
    """
    share = batch_size - first if count is None else count
    numbers = tf.data.Dataset.range(start_step * share, np.iinfo(np.int64).max)
    least = 0 if enlarge else crop

    def load(number: tf.Tensor) -> tf.Tensor:
        position = number // share * batch_size + first + number % share
        chosen, window, mirrored = draw(index, position, seed, stream, least)
        pixels = _read_window(index, chosen, window)
        # Antialiased, or fine texture turns into patterns that are not there.
        pixels = tf.image.resize(
            tf.cast(pixels, tf.float32), [crop, crop], antialias=True
        )
        pixels = tf.cond(mirrored, lambda: tf.reverse(pixels, [1]), lambda: pixels)
        # The weights of a resize sum to one only nearly.
        pixels = tf.clip_by_value(pixels / 255.0, 0.0, 1.0)
        return tf.ensure_shape(pixels, [crop, crop, 3])

    return (
        numbers.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(share, drop_remainder=True)
        .prefetch(_PREFETCHED_BATCHES)
    )


def _read_window(
    index: PictureIndex, chosen: tf.Tensor, window: tf.Tensor
) -> tf.Tensor:
    """Return the uint8 [height, width, 3] pixels of a window of a picture."""
    # Not `FixedLengthRecordDataset`: that took ten times as long a picture.
    read = tf.numpy_function(lambda i: index.read(int(i)), [chosen], tf.string)
    data = tf.ensure_shape(read, [])
    top, left, height, width = tf.unstack(window)
    # One column more on each side: libjpeg smooths colour across the columns that it
    # decodes, so those at the edge of a window may come out otherwise than in the
    # whole picture, and differ from what every other command sees.
    before = tf.minimum(left, 1)
    after = tf.minimum(tf.gather(index.width, chosen) - left - width, 1)
    pixels = tf.cond(
        tf.gather(index.is_jpeg, chosen),
        lambda: tf.image.decode_and_crop_jpeg(
            data,
            tf.stack([top, left - before, height, before + width + after]),
            channels=3,
            dct_method="INTEGER_ACCURATE",
        ),
        lambda: tf.image.decode_png(data, channels=3)[
            top : top + height, left - before :
        ],
    )
    return pixels[:, before : before + width]
