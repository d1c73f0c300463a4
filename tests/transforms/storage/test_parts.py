"""A key's part is a function of the key, and every part comes once."""

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.storage.folder import OutputFolder
from transforms.storage.parts import (
    GroupByKnownKey,
    count_parts,
    part_name,
    part_of_name,
    parts_in,
    stable_part,
    unit_hash,
)


def sorted_values(pair):
    return pair[0], sorted(pair[1])


def grouped(pairs, keys, expected):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        groups = pipeline | beam.Create(pairs) | GroupByKnownKey(keys)
        assert_that(groups | beam.Map(sorted_values), equal_to(expected))


def test_every_key_comes_once_with_its_values():
    pairs = [("b", 2), ("a", 1), ("b", 3), ("b", 2)]
    grouped(pairs, ["a", "b", "c"], [("a", [1]), ("b", [2, 2, 3]), ("c", [])])


def test_no_values_is_every_key_without_any():
    grouped([], range(3), [(0, []), (1, []), (2, [])])


def test_a_value_may_be_empty_or_zero():
    grouped([(0, 0), (0, 0)], [0], [(0, [0, 0])])


def test_two_groupings_stand_in_one_pipeline():
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        pairs = pipeline | beam.Create([(1, "x")])
        first = pairs | "First" >> GroupByKnownKey([1])
        second = pairs | "Second" >> GroupByKnownKey([1, 2])
        assert_that(first, equal_to([(1, ["x"])]), "first")
        assert_that(second, equal_to([(1, ["x"]), (2, [])]), "second")


def test_part_of_a_key_is_written_down_for_ever():
    # Outputs on disk depend on it.
    keys = ["", "cat.jpg", "kätzchen.jpg", "odd-\udcff.jpg"]
    assert [stable_part(key, 8) for key in keys] == [4, 4, 3, 7]
    assert unit_hash("cat.jpg") == pytest.approx(0.04074028370808591)


def test_a_finer_part_lies_within_a_coarser():
    for key in map(str, range(50)):
        assert stable_part(key, 8) % 4 == stable_part(key, 4)


@pytest.mark.parametrize("rows", [0, 1, 65_536, 65_537, 4_000_000])
def test_parts_are_a_power_of_two_and_small_enough(rows):
    parts = count_parts(rows)
    assert parts & (parts - 1) == 0
    assert parts * 65_536 >= rows


def test_names_of_parts_are_read_back():
    assert part_of_name(part_name("manifest", 3, 16)) == (3, 16)
    assert part_of_name("manifest/.journal/cat-0123456789abcdef.parquet") is None
    assert part_of_name("manifest/part-00000-of-00001.parquet.bak") is None


def test_parts_of_a_folder_are_those_and_nothing_else(tmp_path):
    output = OutputFolder(str(tmp_path))
    assert parts_in(output, "table") == {}
    for name in ("table/part-00001-of-00002.parquet", "table/note.txt"):
        output.write(name, b"")
    output.write("table/.journal/part-00000-of-00002.parquet", b"")
    assert parts_in(output, "table") == {"table/part-00001-of-00002.parquet": (1, 2)}
