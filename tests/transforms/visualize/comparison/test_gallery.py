"""The gallery of a comparison: what its index and its scripts know."""

import dataclasses
import json
import re

import pyarrow as pa
import pytest
from apache_beam import Create
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from model.config import canonical_json
from transforms.storage.parquet import write_table
from transforms.storage.schemas import VISUALIZE_MAPS
from transforms.visualize.comparison.gallery import (
    ComparedEntry,
    WriteComparisonGallery,
    averages,
    index_html,
    write_images,
)
from transforms.visualize.comparison.sheets import draw_comparison
from transforms.visualize.comparison.wording import ABOUT
from transforms.visualize.maps_table import MAPS_TABLE, Owner, write_file, write_sheet
from transforms.visualize.sheet import FACTS, facts_path

KEY = "x/<b>.png"


def data_of(html):
    return json.loads(re.search(rb'id="data">(.*?)</script>', html)[1])


@pytest.fixture
def part(output, triples, see_triple, rng):
    """Write the maps of one triple, and return the name of their part."""
    features = [rng.uniform(0, 1, (6, 8, 3)).astype("float32") for _ in range(3)]
    owner = Owner("c", "id-1", KEY, "0", 40, 32)
    rows, facts = [], {}
    for sheet in draw_comparison(see_triple(features), triples):
        rows += write_sheet(output, owner, sheet)
        facts[sheet.path] = list(sheet.facts)
    data = canonical_json(facts)
    rows.append(write_file(output, owner, FACTS, facts_path(KEY), data))
    name = MAPS_TABLE.part_name(0, 1)
    write_table(output, name, pa.Table.from_pylist(rows, VISUALIZE_MAPS))
    return name


def test_parts_become_scripts_and_one_index(output, triples, part):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        made = pipeline | Create([part]) | WriteComparisonGallery(output, triples)
        assert_that(made, equal_to(["gallery/index.html"]))
    data = data_of(output.read("gallery/index.html"))
    assert data["images"]["rows"] == [[KEY, "id-1", 40, 32]]
    assert [row["layer"] for row in data["averages"]] == list(triples.layers)
    script = output.read("gallery/images/id-1.js").decode()
    sheets = json.loads(script.split(",", 1)[1].removesuffix(");\n"))
    assert [sheet["layer"] for sheet in sheets] == ["", *triples.layers]
    facts = {"channel", "mean", "std", "gram", "content"}
    assert set(sheets[1]["facts"][0]) == facts


def test_no_part_still_has_an_index(output, networks):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        made = pipeline | Create([]) | WriteComparisonGallery(output, networks)
        assert_that(made, equal_to(["gallery/index.html"]))
    data = data_of(output.read("gallery/index.html"))
    assert data["images"] == {"fields": [], "rows": []}


def test_every_part_of_a_sheet_is_told_what_it_is(output, triples, part):
    (entry,) = write_images(part, output)
    data = data_of(index_html(triples, [entry]))
    # The two panels are told of together.
    assert {"picture", "gram", "aligned", "left", "map"} <= set(data["about"])
    for kind in ABOUT.values():
        for about in kind.values():
            assert about.url.startswith("https://")
            assert about.text.endswith(".")


def test_averages_are_over_the_triples_that_have_a_number():
    def entry(key, first, last):
        measures = {"mean": [first, last], "std": [1.0, 1.0], "gram": [None, 0.5]}
        return ComparedEntry(key, key, 1, 1, (), {"l": {**measures, "content": [None]}})

    (row,) = averages([entry("a", 0.5, None), entry("b", 1.0, 0.2)], ["l", "other"])
    assert row["mean"] == [0.75, 0.2]
    assert row["gram"] == [None, 0.5]
    assert row["content"] == [None]
    assert (row["layer"], row["count"]) == ("l", 2)


def test_two_results_have_the_names_of_their_outputs(triples):
    two = dataclasses.replace(triples, results=("one", "two"))
    assert data_of(index_html(two, []))["results"] == ["one", "two"]
