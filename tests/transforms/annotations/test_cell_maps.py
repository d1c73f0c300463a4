"""The maps of a content are checked, and made of the size of its pictures."""

import dataclasses
import hashlib

import numpy as np
import pytest

from transforms.annotations.annotation_index import AnnotationIndex, digest_of
from transforms.annotations.cell_maps import placed_maps
from transforms.annotations.label_maps import MapFile, Segment
from transforms.annotations.map_pixels import decode_classes, decode_ids, encode_map
from transforms.annotations.sources import Annotation
from transforms.elements import ImageError, ImageRef

CLASSES = np.arange(24, dtype=np.uint8).reshape(4, 6)
IDS = np.array([[7, 7, 0, 9, 9, 9]] * 4, np.uint32)


def stored(tmp_path, data, name="shard"):
    """Return a map in the middle of a file, as it lies in a shard."""
    path = tmp_path / name
    path.write_bytes(b"before" + data + b"after")
    ref = ImageRef("a", "a", str(path), offset=6, size=len(data))
    return MapFile(ref, b"", hashlib.sha256(data).hexdigest())


def test_maps_and_segments_follow_a_resize(tmp_path):
    segments = (Segment(7, "sky", 1, area=8), Segment(9, "dog", 2, area=12))
    said = Annotation(
        mask=stored(tmp_path, encode_map(CLASSES)),
        panoptic=MapFile(
            None, encode_map(IDS), hashlib.sha256(encode_map(IDS)).hexdigest()
        ),
        segments=segments,
    )
    same = placed_maps(said, 4, 6)
    assert same.mask == encode_map(CLASSES)
    half = placed_maps(said, 2, 3)
    assert np.array_equal(decode_classes(half.mask)[0], CLASSES[1::2, 1::2])
    assert np.array_equal(decode_ids(half.panoptic)[0], IDS[1::2, 1::2])
    assert [s.area for s in half.segments] == [2, 4]
    assert placed_maps(Annotation(), 4, 6).mask is None


def test_a_map_that_was_changed_is_no_map_of_the_picture(tmp_path):
    file = stored(tmp_path, encode_map(CLASSES))
    stored(tmp_path, encode_map(CLASSES[::-1].copy()))
    with pytest.raises(ImageError, match=r"changed|ends before"):
        placed_maps(Annotation(mask=file), 4, 6)


def test_another_map_is_another_annotation_and_another_place_is_not(tmp_path):
    index = AnnotationIndex("x")
    one = Annotation(mask=stored(tmp_path, encode_map(CLASSES)))
    moved = Annotation(mask=stored(tmp_path, encode_map(CLASSES), "elsewhere"))
    other = Annotation(mask=stored(tmp_path, encode_map(CLASSES + 1), "other"))
    digests = [digest_of(index.add(said)) for said in (one, moved, other)]
    assert digests[0] == digests[1] != digests[2]
    # And all of it comes back.
    about = index.add(dataclasses.replace(one, metadata="{}", relative=True))
    assert index.read(about) == dataclasses.replace(one, metadata="{}", relative=True)
