"""Parquet of pictures, as `datasets` writes it and as it should not be."""

import functools
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_pictures
from PIL import Image

from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.records.parquet import ParquetPictures
from transforms.annotations.records.record_set import RecordSet
from transforms.elements import ImageError, Reason
from transforms.inputs.reading import read_image

picture = functools.partial(small_pictures.png_of, size=(48, 40))


def write(path, columns, features=None, **more):
    table = pa.table(columns)
    if features:
        about = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": about})
    pq.write_table(table, path, **more)


def listed(pattern):
    data = RecordSet("set", str(pattern), ParquetPictures(str(pattern)))
    index = AnnotationIndex("x")
    numbers = {name: n for n, name in enumerate(data.classes())}
    refs = list(data.list_pictures(index, numbers))
    return [(ref, index.read(ref.about)) for ref in refs], data


IMAGE = {"image": {"_type": "Image"}}
CLASS = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}


def test_pictures_classes_and_columns(tmp_path):
    pictures = [picture(n) for n in range(5)]
    write(
        tmp_path / "train-00000-of-00001.parquet",
        {
            "image": [{"bytes": p, "path": f"{n}.png"} for n, p in enumerate(pictures)],
            "label": [1, 0, 1, 0, -1],
            "caption": list("abcde"),
            "score": [0.5, 1.0, float("nan"), 2.0, None],
            "sound": [b"x"] * 5,
        },
        {**IMAGE, **CLASS},
        row_group_size=2,
    )
    found, data = listed(tmp_path)
    assert [ref.key for ref, _ in found] == [
        f"train-00000-of-00001.parquet/{n:06d}-{n}.png" for n in range(5)
    ]
    # In any order, and again.
    for n in (4, 1, 0, 3, 2, 2):
        assert read_image(found[n][0]) == pictures[n]
    said = [said for _, said in found]
    assert [s.label for s in said] == ["dog", "cat", "dog", "cat", ""]
    assert [s.label_index for s in said] == [1, 0, 1, 0, -1]
    assert {s.split for s in said} == {"train"}
    assert said[2].captions == ("c",)
    scores = [json.loads(s.metadata or "{}").get("score") for s in said]
    assert scores == [0.5, 1.0, "NaN", 2.0, None]
    assert data.found.left_out == {"column sound": 1}
    assert list(data.classes()) == ["cat", "dog"]


def test_objects_in_lists_with_names_of_classes(tmp_path):
    objects = {
        "bbox": [[1.0, 2.0, 10.0, 20.0], [0.0, 0.0, 0.0, 1.0]],
        "category": [1, 0],
    }
    features = {"feature": {"category": {"names": ["a", "b"], "_type": "ClassLabel"}}}
    write(
        tmp_path / "x.parquet",
        {"image": [picture(1)] * 2, "objects": [objects, {"bbox": [], "category": []}]},
        {**IMAGE, "objects": features},
    )
    found, data = listed(tmp_path / "x.parquet")
    (item,) = found[0][1].objects
    assert (item.category, item.category_id, item.box) == ("b", 1, (1, 2, 10, 20))
    assert "empty" in found[0][1].wrong[0]
    assert found[1][1].objects == ()
    assert [c.name for c in data.categories()] == ["a", "b"]


def test_bytes_alone_and_a_map_beside_them(tmp_path):
    mask = picture(9)
    kinds = {"image": [picture(1)], "mask": [{"bytes": mask, "path": None}]}
    write(tmp_path / "x.parquet", kinds)
    ((ref, said),), _ = listed(tmp_path / "x.parquet")
    assert (ref.key, read_image(ref)) == ("x.parquet/000000", picture(1))
    assert said.mask.read() == mask


def test_rows_without_a_picture_fail_alone(tmp_path):
    cells = [None, {"bytes": None, "path": "a.png"}, {"bytes": b"", "path": None}]
    cells.append({"bytes": picture(1), "path": None})
    write(tmp_path / "x.parquet", {"image": cells, "label": list("abcd")}, IMAGE)
    found, _ = listed(tmp_path / "x.parquet")
    for ref, _ in found[:2]:
        with pytest.raises(ImageError, match="has no picture") as caught:
            read_image(ref)
        assert caught.value.reason == Reason.EMPTY_FILE
    assert read_image(found[2][0]) == b""
    assert read_image(found[3][0]) == picture(1)


def test_a_file_without_pictures_names_its_columns(tmp_path):
    write(tmp_path / "x.parquet", {"text": ["a"], "data": [b"x"]})
    with pytest.raises(ValueError, match=r"x\.parquet has no column of .* text, data"):
        listed(tmp_path / "x.parquet")


@pytest.mark.parametrize("kept", [0, 3, 400])
def test_a_truncated_file_is_refused_by_name(tmp_path, kept):
    write(tmp_path / "x.parquet", {"image": [picture(1)]})
    path = tmp_path / "x.parquet"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"x\.parquet is no Parquet file, or only a"):
        listed(path)


def test_a_file_that_changes_is_noticed(tmp_path):
    path = tmp_path / "x.parquet"
    write(path, {"image": [picture(n) for n in range(3)]}, row_group_size=1)
    found, _ = listed(path)
    write(path, {"image": [picture(1)]})
    with pytest.raises(ImageError, match="was changed") as caught:
        read_image(found[2][0])
    assert caught.value.reason == Reason.UNREADABLE


def test_two_files_with_other_classes_are_refused(tmp_path):
    for name, names in (("a", ["x", "y"]), ("b", ["y", "x"])):
        features = {**IMAGE, "label": {"names": names, "_type": "ClassLabel"}}
        columns = {"image": [picture(1)], "label": [0]}
        write(tmp_path / f"{name}.parquet", columns, features)
    with pytest.raises(ValueError, match=r"b\.parquet has other classes"):
        listed(tmp_path)


def test_what_datasets_writes_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    pixels = np.random.default_rng(1).integers(0, 255, (40, 48, 3), np.uint8)
    images = [Image.fromarray(pixels)] * 3
    made = datasets.Dataset.from_dict(
        {"image": images, "label": [1, 0, 1]}, features=features
    )
    made.to_parquet(str(tmp_path / "test-00000-of-00001.parquet"))
    found, _ = listed(tmp_path)
    assert [said.label for _, said in found] == ["dog", "cat", "dog"]
    assert {said.split for _, said in found} == {"test"}
    assert np.array_equal(Image.open(io.BytesIO(read_image(found[2][0]))), pixels)


def test_files_in_a_bucket(memory_bucket, tmp_path):
    pictures = [picture(n) for n in range(4)]
    write(tmp_path / "x", {"image": pictures, "label": list("abab")}, row_group_size=2)
    memory_bucket.objects = {"s/val.parquet": (tmp_path / "x").read_bytes()}
    found, _ = listed("gs://b/s/*.parquet")
    assert [read_image(ref) for ref, _ in found] == pictures
    assert [said.label for _, said in found] == list("abab")
    memory_bucket.objects.clear()
    with pytest.raises(ImageError) as caught:
        read_image(found[0][0])
    assert caught.value.reason in (Reason.NOT_FOUND, Reason.UNREADABLE)
