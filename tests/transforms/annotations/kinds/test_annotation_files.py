"""Which files are annotations of pictures, and that every one of them counts."""

import pytest

from transforms.annotations.kinds import annotation_files
from transforms.annotations.kinds.annotation_files import AnnotationFiles, joined
from transforms.annotations.kinds.yolo import read_yolo_data
from transforms.annotations.sources import Annotation
from transforms.elements import ImageRef

BESIDE = {"objects": True, "masks": True, "metadata": True}


@pytest.fixture
def stored(tmp_path):
    """Return a writer of files; it returns their references."""

    def write(name, data=b""):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return ImageRef(name, "in", str(path), size=len(data))

    return write


@pytest.fixture
def files():
    return AnnotationFiles("yolo", read_yolo_data("names: [cat, dog]"))


def test_what_lies_beside_pictures_is_told_by_its_name(files, stored):
    line = b"1 0.5 0.5 0.5 0.5"
    names = {
        "a.txt": line,
        "b/classes.txt": b"cat\ndog",
        "a.mask.png": b"",
        "b/metadata.jsonl": b'{"file_name": "c.jpg", "x": 1}',
    }
    taken = [files.takes(stored(name, data), BESIDE) for name, data in names.items()]
    others = ["a.png", "mask.png", "my-metadata.jsonl", "a.xml", "metadata.json"]
    assert all(taken)
    assert not any(files.takes(stored(name), BESIDE) for name in others)
    assert not files.takes(stored("other.txt"), dict.fromkeys(BESIDE, False))
    files.finish()
    for key in ("a.jpg", "b/c.jpg"):
        files.claim(key)
    found = files.of("a.jpg")
    assert [item.category for item in found.objects] == ["dog"]
    assert found.mask.ref.key == "a.mask.png"
    assert files.of("b/c.jpg").metadata == '{"x": 1}'
    assert [kind.count for kind in files.found] == [1, 1, 1]


@pytest.mark.parametrize("readers", [1, 4])
def test_many_files_are_read_together_and_none_is_mixed_up(
    files, stored, monkeypatch, readers
):
    monkeypatch.setattr(annotation_files, "_TOGETHER", 7)
    monkeypatch.setattr(annotation_files, "_READERS", readers)
    monkeypatch.setattr(annotation_files, "is_remote", lambda path: readers > 1)
    for i in range(30):
        data = f"{i % 2} 0.5 0.5 0.5 {i / 100 + 0.1:.2f}".encode()
        files.add_objects(stored(f"labels/{i}.txt", data), f"labels/{i}.txt")
    gone = ImageRef("gone.txt", "in", "/nowhere/gone.txt")
    large = ImageRef("large.txt", "in", "/nowhere/large.txt", size=1 << 40)
    for ref in (gone, large):
        files.add_objects(ref, ref.key)
    files.finish()
    keys = [f"images/{i}.png" for i in range(30)]
    for key in keys:
        files.claim(key)
    for i, key in enumerate(keys):
        (item,) = files.of(key).objects
        assert item.category_id == i % 2
        assert item.box[3] == pytest.approx(i / 100 + 0.1)
    for name, problem in (("gone", "no such file"), ("large", "at most")):
        files.claim(f"{name}.png")
        (wrong,) = files.of(f"{name}.png").wrong
        assert problem in wrong
        assert files.of(f"{name}.png").objects is None


def test_a_problem_of_one_kind_keeps_what_the_others_say(files, stored):
    files.takes(stored("a.txt", b"1 0.5 0.5 0.5 0.5"), BESIDE)
    for folder in ("x", "y"):
        files.takes(stored(f"{folder}/a.mask.png"), BESIDE)
    files.finish()
    files.claim("a.jpg")
    found = files.of("a.jpg")
    assert "several label maps" in found.problem
    assert found.given == 1


def test_what_is_wrong_with_both_is_told():
    one = Annotation(label="cat", wrong=("a",), captions=("of a",))
    other = Annotation(wrong=("b",), metadata="{}")
    found = joined(one, other)
    assert found == Annotation(
        label="cat", wrong=("a", "b"), captions=("of a",), metadata="{}"
    )
