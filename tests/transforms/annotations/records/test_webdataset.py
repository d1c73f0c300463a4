"""Shards of WebDataset as other programs write them, good and bad."""

import io
import json
import tarfile

import pytest
from PIL import Image

from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.records.record_set import RecordSet
from transforms.annotations.records.webdataset import (
    WebDataset,
    is_webdataset,
    split_name,
)
from transforms.elements import ImageError, Reason
from transforms.inputs.reading import read_image


def picture(value=0, mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, (48, 40), value).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path, members):
    """Write a tar of (name, bytes or JSON or text); a text `-> x` is a link to x."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, dict | list):
                content = json.dumps(content)
            if isinstance(content, str):
                content = content.encode()
            if content.startswith(b"-> "):
                info.type, info.linkname = tarfile.SYMTYPE, content[3:].decode()
                tar.addfile(info)
                continue
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(path)


def listed(pattern, **more):
    """Return the references and what is known of each by key, and the data set."""
    data = RecordSet("wds", str(pattern), WebDataset(str(pattern), **more))
    index = AnnotationIndex("x")
    numbers = {name: n for n, name in enumerate(data.classes())}
    refs = list(data.list_pictures(index, numbers))
    assert len({ref.key for ref in refs}) == len(refs)
    return {ref.key: (ref, index.read(ref.about)) for ref in refs}, data


def test_samples_of_shards_and_what_is_known_of_each(tmp_path):
    box = {"bbox": [1, 2, 10, 20], "category": "face", "id": 7, "iscrowd": 0}
    a = {"caption": "of a", "objects": [box], "width": 48, "height": 40, "n": 0.5}
    write_tar(
        tmp_path / "train-0.tar",
        [("d/a.png", picture(1)), ("d/a.cls", "1"), ("d/a.json", a), ("b.PNG", b"b")],
    )
    write_tar(
        tmp_path / "val-1.tar",
        [("c.png", picture(3)), ("c.cls", "0"), ("c.txt", "one\ntwo\n")],
    )
    found, data = listed(tmp_path)
    assert list(found) == [
        "train-0.tar/d/a.png",
        "train-0.tar/b.PNG",
        "val-1.tar/c.png",
    ]
    ref, said = found["train-0.tar/d/a.png"]
    assert read_image(ref) == picture(1)
    assert (said.label, said.label_index, said.split) == ("1", 1, "train")
    assert (said.captions, said.metadata) == (("of a",), '{"n": 0.5}')
    (item,) = said.objects
    assert (item.category, item.box, item.id) == ("face", (1, 2, 10, 20), 7)
    assert (said.width, said.height) == (48, 40)
    assert found["train-0.tar/b.PNG"][1].objects is None
    last = found["val-1.tar/c.png"][1]
    assert (last.label, last.captions, last.split) == ("0", ("one", "two"), "val")
    assert [c.name for c in data.categories()] == ["face"]
    # The same shards by a pattern have the same keys.
    assert list(listed(tmp_path / "{train-0,val-1}.tar")[0]) == list(found)
    assert list(listed(tmp_path / "*-[0-1].tar")[0]) == list(found)


def test_names_of_classes_beside_the_shards(tmp_path):
    write_tar(
        tmp_path / "shards" / "0.tar",
        [("a.png", b"a"), ("a.cls", "1"), ("b.png", b"b"), ("b.cls", "2")],
    )
    (tmp_path / "labels.txt").write_text("cat\ndog, or wolf\n")
    found, data = listed(tmp_path / "shards")
    assert list(data.classes()) == ["cat", "dog, or wolf"]
    assert found["0.tar/a.png"][1].label == "dog, or wolf"
    # A class that the list lacks is told, never guessed.
    with pytest.raises(ImageError, match="its class is '2'; there are 2") as caught:
        found["0.tar/b.png"][1].checked()
    assert caught.value.reason == Reason.BAD_ANNOTATION


def test_classes_without_names_are_in_the_order_of_their_numbers(tmp_path):
    members = [(f"{n}.{e}", str(n)) for n in (10, 9, 2) for e in ("png", "cls")]
    write_tar(tmp_path / "0.tar", members)
    assert list(listed(tmp_path)[1].classes()) == ["2", "9", "10"]


@pytest.mark.parametrize("label", ['a, "b"', "two\nlines", "\u05e9\u05dc\u05d5\u05dd"])
def test_a_label_is_any_text(tmp_path, label):
    write_tar(tmp_path / "0.tar", [("a.png", b"a"), ("a.json", {"label": label})])
    found, data = listed(tmp_path)
    assert found["0.tar/a.png"][1].label == label
    assert list(data.classes()) == [label]


def test_members_out_of_order_are_one_sample(tmp_path):
    members = [("b.cls", "1"), ("a.png", b"a"), ("b.png", b"b"), ("a.cls", "0")]
    write_tar(tmp_path / "0.tar", members)
    found, data = listed(tmp_path)
    assert {key: said.label for key, (_, said) in found.items()} == {
        "0.tar/a.png": "0",
        "0.tar/b.png": "1",
    }
    assert data.found.strays.count == 0


def test_an_extra_picture_is_a_map_or_is_counted(tmp_path):
    mask = picture(3, "L")
    members = [("a.mask.png", mask), ("a.png", b"a"), ("a.thumb.jpg", b"t")]
    write_tar(tmp_path / "0.tar", [*members, ("b.image.png", b"b"), ("b.npy", b"n")])
    found, data = listed(tmp_path)
    assert list(found) == ["0.tar/a.png", "0.tar/b.image.png"]
    assert found["0.tar/a.png"][1].mask.read() == mask
    assert data.found.left_out == {".thumb.jpg": 1, ".npy": 1}
    assert data.has("masks")


def test_an_annotation_without_a_picture_is_told(tmp_path):
    write_tar(tmp_path / "0.tar", [("a.png", b"a"), ("b.cls", "1"), ("b.json", {})])
    found, data = listed(tmp_path)
    assert list(found) == ["0.tar/a.png"]
    assert data.found.strays.texts == [
        "0.tar: the sample 'b' has .cls and .json and no picture"
    ]


@pytest.mark.parametrize(
    ("members", "keys", "problem"),
    [
        (
            [("a.png", b"a"), ("a.cls", "0"), ("a.png", b"b"), ("a.cls", "1")],
            ["0.tar/a.png", "0.tar/a.png#2"],
            "fit .png and .png",
        ),
        (
            [("a.png", b"a"), ("a.cls", "0"), ("a.cls", "1")],
            ["0.tar/a.png"],
            "the sample 'a' twice",
        ),
        (
            [("a.png", b"a"), ("a.jpg", b"b"), ("a.cls", "1")],
            ["0.tar/a.png", "0.tar/a.jpg"],
            "fit .png and .jpg",
        ),
        ([("a.png", b"a"), ("a.json", "{")], ["0.tar/a.png"], "its .json .* not JSON"),
        ([("a.png", b"a"), ("a.json", "[" * 9999)], ["0.tar/a.png"], "not JSON"),
        ([("a.png", b"a"), ("a.json", [1])], ["0.tar/a.png"], "expected an object"),
        ([("a.png", b"a"), ("a.txt", b"\xff\xfea\0")], ["0.tar/a.png"], "UTF-16"),
        ([("a.png", b"a"), ("a.cls", "-> x")], ["0.tar/a.png"], "a link"),
    ],
)
def test_what_cannot_be_told_is_a_bad_annotation(tmp_path, members, keys, problem):
    write_tar(tmp_path / "0.tar", [*members, ("good.png", b"g"), ("good.cls", "1")])
    found, _ = listed(tmp_path)
    assert list(found) == [*keys, "0.tar/good.png"]
    for key in keys:
        with pytest.raises(ImageError, match=problem) as caught:
            found[key][1].checked()
        assert caught.value.reason == Reason.BAD_ANNOTATION
    assert found["0.tar/good.png"][1].checked().label == "1"


def test_two_pictures_without_annotations_stay_two(tmp_path):
    write_tar(tmp_path / "0.tar", [("a.png", b"a"), ("a.jpg", b"b")])
    found, _ = listed(tmp_path)
    assert [read_image(ref) for ref, _ in found.values()] == [b"a", b"b"]
    assert [said.problem for _, said in found.values()] == ["", ""]


def test_a_wrong_object_stops_no_other(tmp_path):
    boxes = [[1, 2, 0, 5], [1, 2, 3, 5], ["x"], [float("nan"), 1, 2, 3]]
    about = {"objects": [{"bbox": box, "category": "c"} for box in boxes]}
    write_tar(tmp_path / "0.tar", [("a.png", b"a"), ("a.json", about)])
    found, data = listed(tmp_path)
    (_, said) = found["0.tar/a.png"]
    assert [item.box for item in said.objects] == [(1, 2, 3, 5)]
    assert len(said.wrong) == data.found.wrong.count == 3


def test_names_that_lead_outside_and_links_fail_alone(tmp_path):
    members = [
        ("../a.png", b"a"),
        ("/b.png", b"b"),
        ("c.png", "-> a.png"),
        ("d.png", b"d"),
    ]
    write_tar(tmp_path / "0.tar", members)
    found, _ = listed(tmp_path)
    *bad, good = (ref for ref, _ in found.values())
    for ref in bad:
        with pytest.raises(ImageError) as caught:
            read_image(ref)
        assert caught.value.reason == Reason.BAD_ARCHIVE_MEMBER
    assert read_image(good) == b"d"


def test_a_truncated_tar_fails_where_it_is_cut(tmp_path):
    path = write_tar(
        tmp_path / "0.tar",
        [("a.png", b"a" * 600), ("b.cls", "1"), ("b.png", b"b" * 6000)],
    )
    data = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(data[: data.index(b"b" * 6000) + 600])
    found, _ = listed(tmp_path)
    assert read_image(found["0.tar/a.png"][0]) == b"a" * 600
    with pytest.raises(ImageError, match="ends after 600"):
        read_image(found["0.tar/b.png"][0])
    # In a header, nobody knows what is behind it.
    (tmp_path / "0.tar").write_bytes(b"?" * 700)
    with pytest.raises(ValueError, match=r"0\.tar"):
        listed(path)


def test_it_is_detected_only_where_every_sample_has_one_picture(tmp_path):
    cases = {
        "yes": [("a.png", b"a"), ("a.cls", "1"), ("b.jpg", b"b")],
        "pictures": [("a.png", b"a"), ("b.png", b"b")],
        "two": [("a.png", b"a"), ("a.jpg", b"b"), ("a.cls", "1")],
        "none": [("a.png", b"a"), ("a.cls", "1"), ("README.txt", "x")],
        "extra": [("a.png", b"a"), ("a.mask.png", b"m"), ("a.cls", "1")],
        "other": [("a.png", b"a"), ("a.cls", "1"), ("a.npy", b"n")],
    }
    found = [
        name
        for name, members in cases.items()
        if is_webdataset(write_tar(tmp_path / f"{name}.tar", members))
    ]
    assert found == ["yes"]


def test_a_shard_that_is_none_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        listed(tmp_path / "nothing")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match=r"there is no shard, a file \*\.tar"):
        listed(tmp_path)
    (tmp_path / "a.tar.gz").write_text("x")
    with pytest.raises(ValueError, match="random access"):
        listed(tmp_path / "a.tar.gz")


def test_names_are_cut_at_the_first_dot_of_the_file():
    assert split_name("x.y/0001.seg.PNG") == ("x.y/0001", "seg.png")
    assert split_name("0001") == ("0001", "")


def test_shards_in_a_bucket(memory_bucket, tmp_path):
    path = tmp_path / "0.tar"
    write_tar(path, [("a.png", b"a"), ("a.cls", "1"), ("a.mask.png", b"m")])
    memory_bucket.objects = {
        "s/train-0.tar": path.read_bytes(),
        "s/train-1.tar": path.read_bytes(),
        "s/labels.txt": b"cat\ndog\n",
    }
    for pattern in ("gs://b/s", "gs://b/s/train-{0..1}.tar", "gs://b/s/*.tar"):
        found, data = listed(pattern)
        assert list(found) == ["train-0.tar/a.png", "train-1.tar/a.png"]
        for ref, said in found.values():
            assert read_image(ref) == b"a"
            assert (said.label, said.mask.read()) == ("dog", b"m")
        assert list(data.classes()) == ["cat", "dog"]
    assert is_webdataset("gs://b/s/train-0.tar") is False  # it has a mask
