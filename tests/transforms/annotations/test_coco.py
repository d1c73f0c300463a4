"""COCO files as other programs write them: what is good, and what is named as bad."""

import json
import math
import pathlib

import pytest

from transforms.annotations.coco import read_coco
from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import Annotation, AnnotationSource
from transforms.elements import ImageError, Reason

BOX = [1, 2, 10, 20]


@pytest.fixture
def instances(tmp_path):
    """Return a writer of instance files; it returns their path."""

    def write(annotations, images=((1, "a.jpg"),), encoding="utf-8", **more):
        content = {
            "licenses": [{"id": 2, "name": "CC BY", "url": "http://cc/by"}],
            "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
            "images": [
                {"id": i, "file_name": name, "width": 60, "height": 40, "license": 2}
                for i, name in images
            ],
            "annotations": [
                {"id": 100 + n, "image_id": 1, "category_id": 18, "bbox": BOX, **about}
                for n, about in enumerate(annotations)
            ],
            **more,
        }
        path = tmp_path / "instances.json"
        path.write_bytes(json.dumps(content).encode(encoding))
        read_coco.cache_clear()
        return str(path)

    return write


def of(path, key="a.jpg", captions=""):
    return AnnotationSource("coco", captions, instances=path).of(key)


def test_an_object_is_taken_over_with_all_that_is_said_of_it(instances):
    polygon = [1, 2, 11, 2, 11, 22]
    path = instances(
        [
            {"segmentation": [polygon], "area": 90.5, "iscrowd": 0, "score": 0.5},
            {"keypoints": [3, 4, 2], "category_id": 1},
        ]
    )
    found = of(path)
    first, second = found.objects
    assert first == ImageObject(
        100,
        "dog",
        18,
        (1, 2, 10, 20),
        90.5,
        False,
        (tuple(polygon),),
        more='{"score": 0.5}',
    )
    assert (second.category, second.area) == ("person", 200)
    assert second.keypoints == (3, 4, 2)
    assert (found.license, found.license_url) == ("CC BY", "http://cc/by")
    assert (found.width, found.height, found.given) == (60, 40, 2)
    assert Annotation.from_json(json.loads(json.dumps(found.to_json()))) == found
    back = first.to_coco(40, 60)
    assert (back["bbox"], back["segmentation"], back["score"]) == (BOX, [polygon], 0.5)


def test_no_objects_are_not_unknown_objects(instances, tmp_path):
    path = instances([], images=((1, "a.jpg"), (2, "b.jpg")))
    captions = tmp_path / "captions.json"
    captions.write_text(
        json.dumps(
            {
                "images": [{"id": 3, "file_name": "c.jpg"}],
                "annotations": [{"image_id": 3, "caption": "of three"}],
            }
        )
    )
    assert of(path, "b.jpg", str(captions)).objects == ()
    third = of(path, "c.jpg", str(captions))
    assert (third.objects, third.captions) == (None, ("of three",))
    assert of(path, "d.jpg", str(captions)) == Annotation()


def test_crowds_of_both_kinds_are_one_kind(instances):
    pytest.importorskip("pycocotools")
    from pycocotools import mask as masks

    lengths = [50, 30, 60 * 40 - 80]
    runs = {"size": [40, 60], "counts": lengths}
    code = masks.frPyObjects(runs, 40, 60)["counts"].decode()
    packed = {"size": [40, 60], "counts": code}
    path = instances(
        [{"segmentation": runs, "iscrowd": 1}, {"segmentation": packed, "iscrowd": 1}]
    )
    assert [item.mask for item in of(path).objects] == [code, code]
    assert all(item.crowd for item in of(path).objects)


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        ({"bbox": [math.nan, 2, 10, 20]}, "finite"),
        ({"bbox": [1, 2, 10]}, "4 finite numbers"),
        ({"bbox": None}, "bbox is None"),
        ({"bbox": [1, 2, 0, 20]}, "empty"),
        ({"bbox": [60, 2, 10, 20]}, "wholly outside"),
        ({"bbox": [-10, 2, 10, 20]}, "wholly outside"),
        ({"bbox": [True, 2, 10, 20]}, "finite"),
        ({"segmentation": [[1, 2, 3, 4]]}, "2 points"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "3.5 points"),
        ({"segmentation": "x"}, "segmentation is 'x'"),
        ({"segmentation": {"size": [60, 40], "counts": []}}, r"mask is of \[60, 40\]"),
        ({"segmentation": {"size": [40, 60], "counts": "1"}}, "not of 40 x 60"),
        ({"category_id": 5}, "no category 5"),
        ({"category_id": 18.0}, r"no category 18\.0"),
        ({"area": math.inf}, "area"),
        ({"keypoints": [1, 2]}, "keypoints"),
    ],
)
def test_a_bad_annotation_is_told_and_stops_no_other(instances, annotation, problem):
    found = of(instances([annotation, {}]))
    assert [item.id for item in found.objects] == [101]
    (wrong,) = found.wrong
    assert wrong.startswith("annotation 100: ")
    assert problem.replace("\\", "") in wrong
    assert found.given == 2


def test_a_box_partly_outside_is_kept_and_noted(instances):
    outside, inside = of(instances([{"bbox": [50, 2, 10.5, 20]}, {}])).objects
    assert outside.box == (50, 2, 10.5, 20)
    assert outside.note == "its box is partly outside the picture"
    assert inside.note == ""


def test_annotations_of_no_image_are_counted_and_told(instances):
    path = instances([{"image_id": 9}, {"image_id": "1"}, {"image_id": 1.0}, {}])
    images = read_coco(path)
    assert images.annotations == 4
    assert [text.split(": ")[1] for text in images.strays()] == [
        "the file has no image 9",
        "the file has no image 1.0",
    ]
    assert len(of(path).objects) == 2


def test_a_name_is_the_end_of_a_key_and_never_another_folders(instances):
    path = instances([{}, {"image_id": 2}], images=((1, "a/1.jpg"), (2, "b/1.jpg")))
    assert of(path, "a/1.jpg").coco_id == 1
    assert of(path, "photos/b/1.jpg").coco_id == 2
    assert of(path, "c/1.jpg") == Annotation()
    assert of(path, "aa/1.jpg") == Annotation()
    with pytest.raises(ImageError, match="several images") as caught:
        of(path, "1.jpg")
    assert caught.value.reason == Reason.BAD_ANNOTATION


def test_an_id_twice_makes_its_images_unusable(instances):
    path = instances([{}], images=((1, "a.jpg"), (1, "b.jpg"), (2, "c.jpg")))
    for key in ("a.jpg", "b.jpg"):
        with pytest.raises(ImageError, match="have the id 1"):
            of(path, key)
    assert of(path, "c.jpg").coco_id == 2
    # Once more the same is no contradiction.
    path = instances([{}], images=((1, "a.jpg"), (1, "a.jpg")))
    assert len(of(path, "a.jpg").objects) == 1


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"categories": None}, "not a COCO instance file"),
        ({"categories": []}, "no 'categories'"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, "two of"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "two of"),
        ({"categories": [{"id": 1.5, "name": "a"}]}, "usable id"),
        ({"categories": 5}, "no 'categories'"),
        ({"categories": [5]}, "other types"),
        ({"licenses": [{"id": [1]}]}, "other types"),
    ],
)
def test_a_file_that_holds_no_instances_is_refused(instances, more, problem):
    path = instances([{}], **more)
    with pytest.raises(ValueError, match=problem) as caught:
        read_coco(path)
    assert str(caught.value).startswith(path)


def test_marks_of_utf8_are_read_and_utf16_is_refused(instances):
    assert len(of(instances([{}], encoding="utf-8-sig")).objects) == 1
    with pytest.raises(ValueError, match="UTF-16"):
        of(instances([{}], encoding="utf-16"))


def test_the_real_files_are_read(shared):
    pytest.importorskip("pycocotools")
    folder = shared / "data" / "coco" / "annotations"
    read_coco.cache_clear()
    images = read_coco(
        str(folder / "instances_train2014.json"),
        str(folder / "captions_train2014.json"),
    )
    known = [image for image in images.images() if image.objects is not None]
    assert (images.named, len(known), list(images.strays())) == (380, 258, [])
    assert images.annotations == 2196 + 1901
    for image in known:
        objects, wrong = images.objects(image)
        assert wrong == ()
        assert len(objects) == len(image.objects)


def test_what_is_no_list_of_annotations_is_refused(instances):
    path = pathlib.Path(instances([]))
    for found, problem in (('{"1": {}}', "no 'annotations'"), ("[[]]", "other types")):
        text = path.read_text().replace('"annotations": []', f'"annotations": {found}')
        other = path.with_name(f"{len(found)}.json")
        other.write_text(text)
        with pytest.raises(ValueError, match=problem):
            read_coco(str(other))
