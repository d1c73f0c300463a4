"""A file of region styles: what it says, and what is wrong with it."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.stylize.regions.rules import (
    RegionClass,
    RegionRule,
    read_rules,
    rules_digest,
)

NAMES = ("person", "dog", "traffic light", "a;b", '"quoted", x', "ren\xe9")
CLASSES = dict.fromkeys(NAMES, "objects") | {"sky": "panoptic", "15": "mask"}
STYLES = ["s.png", "t.png", "u;v.png"]


@pytest.fixture
def read(tmp_path):
    """Return a reader of a CSV, given as text or bytes."""

    def read_text(text, name="regions.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_rules(str(path), CLASSES, STYLES)

    return read_text


def test_rows_are_rules_in_their_order(read):
    text = "class,style,by\nperson,s.png,class\ndog;traffic light,t.png,\n"
    text += "person,s.png;t.png,instance\nsky;15,t.png,\n,s.png,\n"
    person, dog, light = map(RegionClass, NAMES[:3])
    maps = (RegionClass("sky", "panoptic"), RegionClass("15", "mask"))
    assert read(text) == (
        RegionRule((person,), ("s.png",)),
        RegionRule((dog, light), ("t.png",)),
        RegionRule((person,), ("s.png", "t.png"), "instance"),
        RegionRule(maps, ("t.png",)),
        RegionRule((), ("s.png",)),
    )


def test_odd_names_bom_and_composed_accents_are_found(read):
    text = 'class,style\na\\;b,u\\;v.png\n"""quoted"", x",s.png\nrene\u0301,t.png\n'
    found = read(b"\xef\xbb\xbf" + text.encode())
    assert [rule.classes[0].name for rule in found] == list(NAMES[3:])
    assert found[0].styles == ("u;v.png",)


def test_parquet_is_read_as_well(tmp_path):
    table = pa.table(
        {
            "class": ["a;b", None],
            "style": ["u;v.png", "s.png"],
            "by": ["instance", None],
        }
    )
    pq.write_table(table, tmp_path / "r.parquet")
    assert read_rules(str(tmp_path / "r.parquet"), CLASSES, STYLES) == (
        RegionRule((RegionClass("a;b"),), ("u;v.png",), "instance"),
        RegionRule((), ("s.png",)),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class,style\n", "no row"),
        ("", "class"),
        ("label,style\nperson,s.png\n", "class"),
        (
            "class,style\nPerson,s.png\n",
            "row 1: there is no class 'Person'; is",
        ),
        ("class,style\nperson,x.png\n", "row 1: there is no style 'x.png'"),
        ("class,style\ndog,s.png\nperson,\n", "row 2: it names no style"),
        ("class,style\nperson,s.png;t.png\n", "2 styles for one region"),
        ("class,style,by\nperson,s.png,object\n", "by is 'object'"),
        ("class,style,by\n,s.png,instance\n", "no class"),
        ("class,style,by\n15,s.png,instance\n", "has no instances of 15"),
        ("class,style\n255,s.png\n", "there is no class '255'"),
        ("class,style\n,s.png\nperson,s.png\n,t.png\n", "row 3: it has no class"),
        ('class,style\nperson,"s.png\ndog,t.png\n', "line"),
        ("class,style\nperson,s.png,class,x\n", "row 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(read, text, words):
    with pytest.raises(ValueError, match=r".+") as error:
        read(text)
    assert words in str(error.value)


def test_another_name_or_value_is_no_table(read, tmp_path):
    with pytest.raises(ValueError, match=r"\.csv or \.parquet"):
        read("class,style\nperson,s.png\n", "regions.txt")
    table = pa.table({"class": [5], "style": ["s.png"]})
    pq.write_table(table, tmp_path / "r.parquet")
    with pytest.raises(ValueError, match="row 1: expected a text as class, found 5"):
        read_rules(str(tmp_path / "r.parquet"), CLASSES, STYLES)


def test_the_digest_tells_rules_and_their_order_apart():
    dog, rest = RegionRule((RegionClass("dog"),), ("s",)), RegionRule((), ("t",))
    each = RegionRule((RegionClass("dog"),), ("s",), "instance")
    segments = RegionRule((RegionClass("dog", "panoptic"),), ("s",))
    orders = ([dog, rest], [rest, dog], [each, rest], [segments, rest])
    assert len({rules_digest(rules) for rules in orders}) == 4
