import json

import pytest

from transforms.annotations.coco import read_coco
from transforms.annotations.sources import (
    Annotation,
    AnnotationSource,
    listed_name,
    read_wikiart_list,
)
from transforms.elements import ImageError, Reason
from transforms.inputs.names import composed


@pytest.fixture
def captions(tmp_path):
    content = {
        "images": [
            {"id": 5, "file_name": "five.jpg"},
            {"id": 6, "file_name": "deep/six.jpg"},
        ],
        "annotations": [
            {"image_id": 5, "caption": " first "},
            {"image_id": 6, "caption": "of six"},
            {"image_id": 5, "caption": "second"},
        ],
    }
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(content))
    return str(path)


def test_captions_are_found_by_file_name_wherever_the_file_lies(captions):
    source = AnnotationSource("coco", captions)

    assert source.of("train2014/five.jpg") == Annotation(
        captions=("first", "second"), coco_id=5
    )
    assert source.of("six.jpg").captions == ("of six",)
    assert source.of("seven.jpg") == Annotation()
    assert {image.name for image in read_coco(captions=captions).images()} == {
        "five.jpg",
        "deep/six.jpg",
    }


def test_captions_are_read_once_a_process(captions, monkeypatch):
    read_coco.cache_clear()
    source = AnnotationSource("coco", captions)
    for _ in range(3):
        source.of("five.jpg")

    assert read_coco.cache_info().misses == 1


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("Pop_Art/andy-w_soup_1962.jpg", ("Pop_Art", "andy-w", "soup_1962")),
        ("w/Cubism/untitled.jpg", ("Cubism", "", "untitled")),
        ("flat_name.jpg", ("", "flat", "name")),
    ],
)
def test_painting_is_read_from_its_name(key, expected):
    found = AnnotationSource("wikiart").of(key)

    assert (found.label, found.artist, found.title) == expected


def test_lists_label_a_flat_folder(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("Cubism/a_one.jpg,7\nRealism/b_two.jpg,21\nCubism/b_two.jpg,7\n")
    source = AnnotationSource("wikiart", wikiart_lists=(str(path),))

    assert source.of("a_one.jpg").label == "Cubism"
    assert source.of("all/a_one.jpg").label == "Cubism"
    # Listed under two styles: the folder decides.
    assert source.of("all/b_two.jpg").label == "all"
    assert source.of("Realism/b_two.jpg").label == "Realism"
    assert listed_name("root/Cubism/a_one.jpg") in source.named()


@pytest.mark.parametrize(
    "line", ["Cubism/a.jpg", "Cubism/a.jpg,x", "a.jpg,3", "a/b/c.jpg,3", "0 Cubism"]
)
def test_wrong_line_of_a_list_is_named(tmp_path, line):
    path = tmp_path / "list.csv"
    path.write_text(f"Cubism/fine.jpg,7\n{line}\n")

    with pytest.raises(ValueError, match=r"line 2: expected `Style/file.jpg,class`"):
        read_wikiart_list(str(path))


def test_official_lists_are_read(shared):
    lists = shared / "data" / "wikiart" / "lists"

    assert len(read_wikiart_list(str(lists / "style_train.csv"))) == 57_025
    assert len(read_wikiart_list(str(lists / "style_val.csv"))) == 24_421


@pytest.fixture
def caption_file(tmp_path):
    """Return a writer of caption files of images and of (image id, caption)."""

    def write(images, captions, encoding="utf-8"):
        content = {
            "images": [{"id": i, "file_name": name} for i, name in images],
            "annotations": [{"image_id": i, "caption": c} for i, c in captions],
        }
        path = tmp_path / "captions.json"
        path.write_bytes(json.dumps(content).encode(encoding))
        return AnnotationSource("coco", str(path))

    return write


@pytest.mark.parametrize("bad", [10**23, -1, 1.5, True, None, "x", [1], "1" * 5000])
def test_an_id_that_cannot_be_written_rejects_its_image_alone(caption_file, bad):
    source = caption_file(
        [(bad, "bad.jpg"), (5, "good.jpg")], [(bad, "lost"), (5, "kept")]
    )
    with pytest.raises(ImageError, match="is not a whole number of 64 bits") as caught:
        source.of("bad.jpg")
    assert caught.value.reason == Reason.BAD_ANNOTATION
    assert len(str(caught.value)) < 200
    assert source.of("good.jpg") == Annotation(captions=("kept",), coco_id=5)
    names = {image.name for image in read_coco(captions=source.captions).images()}
    assert names == {"bad.jpg", "good.jpg"}


@pytest.mark.parametrize(
    ("caption", "problem"),
    [("half \ud800 a character", "lone surrogate"), (None, "not a text"), (7, "7")],
)
def test_a_caption_that_is_no_text_rejects_its_image_alone(
    caption_file, caption, problem
):
    source = caption_file(
        [(1, "bad.jpg"), (2, "good.jpg")], [(1, "fine"), (1, caption), (2, "kept")]
    )
    with pytest.raises(ImageError, match=problem):
        source.of("bad.jpg")
    assert source.of("good.jpg").captions == ("kept",)


def test_a_number_of_thousands_of_digits_rejects_its_image_alone(tmp_path):
    path = tmp_path / "captions.json"
    path.write_text(
        '{"images": [{"id": 1%s, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}'
        '], "annotations": []}' % ("0" * 5000)
    )
    source = AnnotationSource("coco", str(path))
    with pytest.raises(ImageError, match="is not a whole number"):
        source.of("a.jpg")
    assert source.of("b.jpg").coco_id == 2


def test_two_images_of_one_name_are_ambiguous(caption_file):
    source = caption_file(
        [(1, "train/a.jpg"), (2, "val/a.jpg"), (3, "b.jpg"), (3, "b.jpg")],
        [(1, "of one"), (2, "of two"), (3, "of three")],
    )
    with pytest.raises(ImageError, match=r"several images .* named"):
        source.of("a.jpg")
    assert source.of("val/a.jpg").captions == ("of two",)
    assert source.of("b.jpg").captions == ("of three",)


def test_ids_may_be_written_as_texts_and_names_with_backslashes(caption_file):
    source = caption_file([("7", "train\\re\u0301ne.jpg")], [(7, "seven")])
    found = source.of("photos/train/r\xe9ne.jpg")
    assert found == Annotation(captions=("seven",), coco_id=7)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("{}".encode("utf-16"), "it is UTF-16"),
        (b"{}".replace(b"}", b"\xe9}"), "line 1: the byte 0xe9 is not UTF-8"),
        (b"[" * 100_000, "not JSON, or only a part"),
        (b'{"images": []', "not JSON, or only a part"),
        (b"[]", "not a COCO caption file"),
        (b'{"images": [], "annotations": [5]}', "not a COCO caption file"),
        (b'{"images": [{"id": 1, "file_name": 5}], "annotations": []}', "COCO"),
    ],
)
def test_a_file_that_holds_no_captions_is_refused(tmp_path, data, problem):
    path = tmp_path / "captions.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=problem) as caught:
        read_coco(captions=str(path))
    assert str(path) in str(caught.value)


def test_a_mark_of_utf8_is_no_part_of_a_file(tmp_path, shared):
    path = tmp_path / "captions.json"
    path.write_bytes(b'\xef\xbb\xbf{"images": [], "annotations": []}')
    assert read_coco(captions=str(path)).named == 0
    listed = str(shared / "data" / "reports" / "list-bom2.csv")
    source = AnnotationSource("wikiart", wikiart_lists=(listed,))
    assert source.of("claude-monet_x.jpg").label == "Impressionism"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("Cubism/a.jpg,7\n".encode("utf-16"), "it is UTF-16"),
        (b"Cubism/a.jpg,7\nR\xe9alisme/b.jpg,21\n", "line 2: the byte 0xe9"),
        (b'Cubism/a.jpg,7\n"Cubism/b.jpg,7\n', "line 2: .*quote"),
        ("Cubism/a.jpg,7\n\ufeffCubism/b.jpg,7\n".encode(), "line 2: expected"),
        (b"Cubism/a.jpg,7\n" + b"x" * 100_000, r"line 2: .*\(100000 characters\)"),
    ],
)
def test_a_list_that_would_be_read_wrongly_is_refused(tmp_path, data, problem):
    path = tmp_path / "list.csv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=problem) as caught:
        read_wikiart_list(str(path))
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 400


def test_names_and_classes_are_compared_composed(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("R\xe9alisme/corot_\xe9t\xe9.jpg,21\n", "utf-8")
    source = AnnotationSource("wikiart", wikiart_lists=(str(path),))
    for key in (
        "corot_e\u0301te\u0301.jpg",
        "all/corot_\xe9t\xe9.jpg",
        "Re\u0301alisme/corot_e\u0301te\u0301.jpg",
        "Re\u0301alisme/other.jpg",
    ):
        assert source.of(key).label == "R\xe9alisme"
    assert (
        composed(listed_name("x/Re\u0301alisme/corot_e\u0301te\u0301.jpg"))
        in source.named()
    )
