"""One rectangle, told in every kind of file, stays one through turns and sizes."""

import dataclasses
import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from transforms.annotations.coco_objects import SegmentCategory
from transforms.annotations.geometry import Journey, follow
from transforms.annotations.kinds.voc import read_voc, voc_categories, voc_xml
from transforms.annotations.kinds.yolo import read_yolo, read_yolo_data, yolo_text
from transforms.annotations.label_maps import MapFile, Segment
from transforms.annotations.map_pixels import decode_classes, decode_ids, encode_map
from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import Annotation, SourceImage
from transforms.elements import ImageRef
from transforms.ingest.prepare import prepare_image
from transforms.ingest.tfds_metadata import class_files, features_json
from transforms.storage.tfrecords import FRAME_HEAD

WIDTH, HEIGHT = 96, 64
BOX = (10.0, 18.0, 40.0, 20.0)
NAMES = read_yolo_data("names: [none, cat, dog]")


def rectangle(value, kind):
    values = np.zeros((HEIGHT, WIDTH), kind)
    left, top, width, height = map(int, BOX)
    values[top : top + height, left : left + width] = value
    return values


def picture(orientation):
    """Return a picture that is white where the rectangle is."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(rectangle(255, np.uint8)).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def file_of(values):
    data = encode_map(values)
    return MapFile(None, data, hashlib.sha256(data).hexdigest())


def told(kind):
    """Return what a kind of file says of the picture as it is stored."""
    size = (WIDTH, HEIGHT)
    item = ImageObject(-1, "dog", 2, BOX, BOX[2] * BOX[3])
    about = {"objects_from": kind}
    if kind == "voc":
        found = read_voc(voc_xml("a.png", size, [item]))
        objects = tuple(dataclasses.replace(i, category_id=2) for i in found.objects)
        about |= {"objects": objects, "width": WIDTH, "height": HEIGHT}
    elif kind == "yolo":
        objects, wrong = read_yolo(yolo_text([item], size), NAMES)
        assert not wrong
        about |= {"objects": objects, "relative": True}
    return Annotation(
        **about,
        mask=file_of(rectangle(3, np.uint8)),
        panoptic=file_of(rectangle(70_000, np.uint32)),
        segments=(Segment(70_000, "dog", 2),),
    )


def box_of(seen):
    rows, columns = np.nonzero(seen)
    left, top = columns.min(), rows.min()
    return left, top, columns.max() + 1 - left, rows.max() + 1 - top


@pytest.mark.parametrize("size", [0, 32])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["voc", "yolo"])
def test_it_is_where_the_pixels_are(settings, kind, orientation, size):
    settings = dataclasses.replace(
        settings,
        size=size,
        encode="png",
        has_objects=True,
        has_masks=True,
        has_panoptic=True,
        categories=voc_categories(["cat", "dog"]),
        segment_categories=(SegmentCategory(2, "dog"),),
        annotated_as="stored",
    )
    ref = ImageRef("a.png", "in", "a.png")
    source = SourceImage(ref, None, told(kind))
    prepared = prepare_image(source, picture(orientation), settings)
    row, record = prepared.row, prepared.frame[FRAME_HEAD:]
    assert row["wrong_annotations"] == []
    image = record[prepared.image_offset :][: row["image_length"]]
    seen = np.asarray(Image.open(io.BytesIO(image)))[..., 0] > 127
    assert seen.shape == (row["height"], row["width"])
    expected = box_of(seen)
    (item,) = row["objects"]
    assert (item["category"], item["category_id"]) == ("dog", 2)
    np.testing.assert_allclose(item["box"], expected, atol=1e-3)
    values, _ = decode_classes(record[row["mask_offset"] :][: row["mask_length"]])
    assert np.array_equal(values == 3, seen)
    ids, _ = decode_ids(record[row["panoptic_offset"] :][: row["panoptic_length"]])
    assert np.array_equal(ids == 70_000, seen)
    (segment,) = row["segments"]
    assert segment["box"] == list(map(float, expected))
    assert segment["area"] == seen.sum()
    # And out again, as the readers of both kinds see it.
    kept = (row["width"], row["height"])
    again = ImageObject.from_row(item)
    (voc,) = read_voc(voc_xml("a.png", kept, [again])).objects
    assert voc.box == expected
    ((shares,), _) = read_yolo(yolo_text([again], kept), NAMES)
    moved = follow(shares, Journey(1, 1, 1, *kept))
    np.testing.assert_allclose(moved.box, expected, atol=1e-3)


def test_the_features_are_those_that_tfds_would_write(settings, tmp_path):
    import tensorflow_datasets as tfds

    settings = dataclasses.replace(
        settings,
        has_masks=True,
        has_panoptic=True,
        has_metadata=True,
        segment_categories=(SegmentCategory(2, "dog"), SegmentCategory(3, "a, b")),
    )
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    (ours / "features.json").write_text(json.dumps(features_json(settings)))
    for name, data in class_files(settings).items():
        (ours / name).write_bytes(data)
    found = tfds.features.FeaturesDict.from_config(str(ours))
    assert found["panoptic"]["segments"]["label"].names == ["dog", "a, b"]
    found.save_config(str(theirs))
    names = sorted(path.name for path in theirs.iterdir())
    assert names == sorted(path.name for path in ours.iterdir())
    for name in names:
        texts = [(folder / name).read_text() for folder in (ours, theirs)]
        if name.endswith(".json"):
            assert json.loads(texts[0]) == json.loads(texts[1])
        else:
            assert texts[0].split() == texts[1].split()
