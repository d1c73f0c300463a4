"""What failed in the last run is known from its failures and its manifest."""

import dataclasses

import pyarrow as pa
import pytest

from transforms.elements import Failure, Reason
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import write_table
from transforms.storage.schemas import FAILURES
from transforms.stylize.earlier_failures import Retry, failed_before
from transforms.stylize.manifest import MANIFEST_TABLE


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path))


def write_failures(output, *pairs):

    rows = [
        dataclasses.asdict(Failure(key, "in", stage, Reason.CORRUPT, "broken"))
        for stage, key in pairs
    ]
    table = pa.Table.from_pylist(rows, FAILURES)
    write_table(output, "failures/part-00000-of-00001.parquet", table)


def write_manifest(output, part, *cells):
    rows = [
        {
            "content_id": content,
            "content_key": f"{content}.jpg",
            "path": f"images/{content}/{number}.jpg",
            "status": status,
        }
        for number, (content, status) in enumerate(cells)
    ]
    MANIFEST_TABLE.write(output, MANIFEST_TABLE.part_name(part, 2), rows)


def test_nothing_failed_where_nothing_is_there(output):
    assert failed_before(output) == Retry(frozenset(), frozenset())
    assert not failed_before(output)


def test_failures_are_of_contents_or_of_styles(output):
    write_failures(
        output,
        ("DecodeContent", "a.jpg"),
        ("ReadContent", "b.jpg"),
        ("ReadStyle", "s.jpg"),
        ("ReadStyleAgain", "t.jpg"),
        ("EncodeStyle", "u.jpg"),
    )
    assert failed_before(output) == Retry(
        contents=frozenset({"a.jpg", "b.jpg"}),
        styles=frozenset({"s.jpg", "t.jpg", "u.jpg"}),
    )


def test_failed_cells_count_for_their_contents_in_every_part(output):
    write_failures(output, ("Stylize", "images/c/0.jpg"))
    write_manifest(output, 0, ("a", "done"), ("c", "failed"), ("c", "done"))
    write_manifest(output, 1, ("d", "failed"), ("b", "done"))
    retry = failed_before(output)
    assert retry.contents == {"c.jpg", "d.jpg"}
    assert not retry.styles
    assert retry


def test_a_content_is_looked_at_if_it_or_a_style_failed():
    contents = Retry(frozenset({"a.jpg"}), frozenset())
    assert contents.concerns("a.jpg")
    assert not contents.concerns("b.jpg")
    assert Retry(frozenset(), frozenset({"s.jpg"})).concerns("b.jpg")


def test_of_a_failed_content_all_styles_are_looked_at():
    retry = Retry(frozenset({"a.jpg"}), frozenset({"s.jpg"}))
    assert retry.only_styles(["b.jpg", "a.jpg"]) is None
    assert retry.only_styles(["b.jpg"]) == {"s.jpg"}
    assert Retry(frozenset(), frozenset()).only_styles(["b.jpg"]) == frozenset()


def test_a_content_may_lie_in_a_folder_named_as_the_pictures(output):
    write_failures(
        output,
        ("DecodeContent", "images/a.jpg"),
        ("Stylize", "images/b-0123456789ab/s.jpg"),
        ("Write", "images/c-0123456789ab/s.jpg"),
    )
    assert failed_before(output).contents == {"images/a.jpg"}
