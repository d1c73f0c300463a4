import struct

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from transforms.storage.tfrecords import FRAME_HEAD, encode_example, frame_record

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
FLOATS = st.floats(width=32, allow_nan=False)
VALUES = st.one_of(
    TEXTS,
    st.integers(-(2**63), 2**63 - 1),
    FLOATS,
    st.lists(TEXTS, max_size=4),
    st.lists(FLOATS, min_size=1, max_size=4),
)


def by_tensorflow(features, image):
    example = tf.train.Example()
    entries = example.features.feature
    entries["image"].bytes_list.value.append(image)
    for name, value in features.items():
        if isinstance(value, int):
            entries[name].int64_list.value.append(value)
        else:
            values = [value] if isinstance(value, str | float) else value
            if values and isinstance(values[0], float):
                entries[name].float_list.value.extend(values)
                continue
            entries[name].bytes_list.value.extend(text.encode() for text in values)
            entries[name].bytes_list.SetInParent()
    return example.SerializeToString(deterministic=True)


@given(
    st.dictionaries(
        st.sampled_from(["a", "coco_id", "height", "label", "title", "é", "z"]), VALUES
    ),
    st.binary(max_size=300),
)
def test_example_equals_tensorflows(features, image):
    ours = encode_example(features, image)

    assert ours.data == by_tensorflow(features, image)
    assert ours.data[ours.image_offset :][: len(image)] == image


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000, 2_200_000])
def test_image_of_any_size_is_found_by_its_offset(size):
    image = bytes(range(256)) * (size // 256 + 1)
    image = image[:size]
    ours = encode_example({"captions": [], "key": "k", "width": -1}, image)

    assert ours.data == by_tensorflow({"captions": [], "key": "k", "width": -1}, image)
    assert ours.data[ours.image_offset :][:size] == image


def test_tf_data_reads_the_frames(tmp_path):
    records = [b"", b"one", bytes(70_000)]
    path = tmp_path / "x.tfrecord"
    path.write_bytes(b"".join(frame_record(record) for record in records))

    read = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]

    assert read == records
    assert struct.unpack_from("<Q", frame_record(b"one")) == (3,)
    assert frame_record(b"one")[FRAME_HEAD:][:3] == b"one"
