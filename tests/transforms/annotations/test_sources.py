import json

import pytest

from transforms.annotations.sources import (
    Annotation,
    AnnotationSource,
    read_captions,
    read_wikiart_list,
)


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
    assert source.named() == {"five.jpg", "six.jpg"}


def test_captions_are_read_once_a_process(captions, monkeypatch):
    read_captions.cache_clear()
    source = AnnotationSource("coco", captions)
    for _ in range(3):
        source.of("five.jpg")

    assert read_captions.cache_info().misses == 1


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
    assert source.name_of("root/Cubism/a_one.jpg") in source.named()


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
