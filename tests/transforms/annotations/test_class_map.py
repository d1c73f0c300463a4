"""Which class a label means, and what is said of one that the map lacks."""

import pytest

from transforms.annotations.class_map import read_class_map
from transforms.annotations.coco_objects import Category
from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import Annotation
from transforms.elements import ImageError, Reason


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        (tmp_path / "map.csv").write_bytes(
            text if isinstance(text, bytes) else text.encode()
        )
        return read_class_map(str(tmp_path / "map.csv"))

    return read_text


def an_object(category, number=1):
    return ImageObject(number, category, 90, (1.0, 2.0, 3.0, 4.0), 12.0)


def test_classes_are_numbered_in_the_order_of_the_file(read):
    found = read(
        '\ufefflabel,class\r\ntabby,cat\r\n"hound, old",dog\r\n\r\nmanx,cat\r\n'
        "\u05d0,bird\r\n"
    )
    assert found.classes == ("cat", "dog", "bird")
    assert found.categories == (
        Category(1, "cat"),
        Category(2, "dog"),
        Category(3, "bird"),
    )
    assert found.applied(Annotation(label="hound, old")).label == "dog"
    assert found.applied(Annotation(label="\u05d0")).label == "bird"
    assert found.applied(Annotation()).label == ""
    assert found.applied(Annotation()).objects is None
    assert found.applied(Annotation(objects=())).objects == ()


def test_a_name_is_one_name_however_it_is_composed(read):
    found = read("label,class\ncafe\u0301,x\n")
    assert found.applied(Annotation(label="caf\u00e9")).label == "x"


def test_what_the_map_lacks_is_a_bad_annotation(read):
    found = read("label,class\ntabby,cat\n")
    with pytest.raises(ImageError, match="--class-map has no label 'dog'") as error:
        found.applied(Annotation(label="dog"))
    assert error.value.reason == Reason.BAD_ANNOTATION
    given = Annotation(objects=(an_object("tabby"), an_object("dog", 7)), wrong=("w",))
    mapped = found.applied(given)
    assert [(o.category, o.category_id, o.box) for o in mapped.objects] == [
        ("cat", 1, (1.0, 2.0, 3.0, 4.0))
    ]
    assert mapped.wrong == ("w", "annotation 7: --class-map has no label 'dog'")
    assert mapped.given == given.given


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected the first line to be `label,class`, found ''"),
        (
            "tabby,cat\n",
            "expected the first line to be `label,class`, found 'tabby,cat'",
        ),
        ("label,class\n", "there is no label in it"),
        (
            "label,class\na,b\na,c\n",
            "line 3: the label 'a' has a class already, in line 2",
        ),
        (
            "label,class\na,b,c\n",
            "line 2: expected a label and its class, found 'a,b,c'",
        ),
        ("label,class\na,\n", "line 2: expected a label and its class"),
        ("label,class\n,b\n", "line 2: expected a label and its class"),
        ('label,class\n"a,b\n', "line 2: the row that begins here has a quote that is"),
        ("label,class\na,b\n".encode("utf-16"), "it is UTF-16"),
        (b"label,class\n\xe9,b\n", "line 2: the byte 0xe9 is not UTF-8"),
    ],
)
def test_what_is_no_class_map_is_named_with_its_line(read, tmp_path, text, problem):
    with pytest.raises(ValueError, match=r"map\.csv: ") as error:
        read(text)
    assert problem in str(error.value)
