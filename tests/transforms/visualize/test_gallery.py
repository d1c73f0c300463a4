"""What the gallery of a visualization knows: by name, and the same bytes each time."""

import json
import re

import pyarrow as pa
import pytest
from apache_beam import Create
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import write_table
from transforms.storage.schemas import VISUALIZE_MAPS
from transforms.visualize.gallery import WriteVisualGallery, sheet_data
from transforms.visualize.settings import Channels, Kind, VisualizeSettings

LAYER = "block1_conv1"
SETTINGS = VisualizeSettings(
    network="vgg16",
    weights_sha256="0",
    layers=(LAYER,),
    kinds=(Kind.FEATURES, Kind.SALIENCY),
    channels=Channels(top=3),
    gradient_channels=Channels(top=1),
    size=224,
    randomization_check=True,
    raw=False,
)


def row(key="a.jpg", path="sheets/a/features.png", **changes):
    return {
        "image_id": f"id-{key}" if key else f"collection-filters-{LAYER}",
        "image_key": key,
        "image_width": 60,
        "image_height": 40,
        "kind": "features",
        "layer": LAYER,
        "scale": "layer",
        "channel": 7,
        "part": "",
        "minimum": 0.0,
        "maximum": 1.23456,
        "l2": 2.0,
        "rank_correlation": None,
        "rank": 0,
        "source_key": "",
        "path": path,
        "sheet_width": 300,
        "sheet_height": 200,
        "left": 10,
        "top": 20,
        "width": 30,
        "height": 40,
        **changes,
    }


def records(table):
    return [dict(zip(table["fields"], values, strict=True)) for values in table["rows"]]


def test_what_is_known_beyond_the_rows_is_told_of_every_tile_of_its_channel():
    rows = [row(part=part, channel=c) for c in (7, 8) for part in ("overlay", "curves")]
    fact = {"channel": 7, "name": "tabby", "probability": 0.123456, "notes": ["a"]}
    data = sheet_data(rows, {rows[0]["path"]: [fact], "another": [{"channel": 8}]})
    tiles = records(data["tiles"])
    told = [(t["name"], t["probability"], t["notes"]) for t in tiles]
    assert told == [("tabby", 0.1235, ["a"])] * 2 + [(None, None, None)] * 2
    # A sheet without facts is as before.
    assert "notes" not in sheet_data(rows)["tiles"]["fields"]


def test_a_sheet_has_its_size_and_tiles_by_name():
    data = sheet_data([row(), row(channel=8, left=50)])

    tiles = records(data.pop("tiles"))
    assert data == {
        "path": "sheets/a/features.png",
        "kind": "features",
        "layer": LAYER,
        "scale": "layer",
        "width": 300,
        "height": 200,
    }
    place = {"left": 10, "top": 20, "width": 30, "height": 40}
    numbers = {"minimum": 0.0, "maximum": 1.235, "l2": 2.0}
    assert tiles[0] == {**place, "channel": 7, **numbers}
    assert tiles[1] == {**place, "left": 50, "channel": 8, **numbers}


def test_a_sheet_without_a_map_has_no_tile():
    bare = row(kind="top-images", channel=None, left=0, top=0, width=0, height=0)

    sheet = sheet_data([bare])

    assert (sheet["layer"], records(sheet["tiles"])) == (LAYER, [])


def test_a_strip_has_a_layer_for_each_tile():
    photograph = row(scale="strip", layer="", channel=None)

    data = sheet_data([photograph, row(scale="strip")])

    assert data["layer"] == ""
    tiles = records(data["tiles"])
    assert [(tile["layer"], tile["channel"]) for tile in tiles] == [
        ("", None),
        (LAYER, 7),
    ]


def test_a_sheet_that_begins_with_the_photograph_has_its_layer():
    data = sheet_data([row(layer="", channel=None), row()])

    assert data["layer"] == LAYER
    assert "layer" not in data["tiles"]["fields"]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("part", {"part": "overlay"}),
        ("rank", {"rank": 2}),
        ("source", {"source_key": "b.jpg"}),
        ("rank_correlation", {"rank_correlation": 0.25}),
    ],
)
def test_a_tile_has_only_what_its_sheet_shows(name, changes):
    (value,) = changes.values()
    assert records(sheet_data([row(**changes)])["tiles"])[0][name] == value
    assert name not in sheet_data([row()])["tiles"]["fields"]


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path / "out"))


def run(output, *parts):
    names = []
    for number, rows in enumerate(parts):
        name = f"maps.parquet/part-{number:05d}-of-{len(parts):05d}.parquet"
        write_table(output, name, pa.Table.from_pylist(rows, VISUALIZE_MAPS))
        names.append(name)
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        index = (
            pipeline
            | Create(names, reshuffle=False)
            | WriteVisualGallery(output, SETTINGS)
        )
        assert_that(index, equal_to(["gallery/index.html"]))
    html = output.read("gallery/index.html").decode()
    data = re.search(r'id="data">(.*?)</script>', html)
    return json.loads(data[1])


def test_images_have_scripts_and_the_collection_is_in_the_index(output):
    output.write("gallery/images/id-gone.js", b"stale")
    scores = row("b.jpg", "scores/b.npz", sheet_width=None, sheet_height=None)
    collection = row("", "sheets/collection/filters.png", kind="filters")

    index = run(output, [row("b.jpg"), scores], [row(), collection])

    assert output.names("gallery/images") == [
        "gallery/images/id-a.jpg.js",
        "gallery/images/id-b.jpg.js",
    ]
    assert records(index["images"]) == [
        {"key": key, "id": f"id-{key}", "width": 60, "height": 40}
        for key in ("a.jpg", "b.jpg")
    ]
    assert [sheet["kind"] for sheet in index["common"]] == ["filters"]
    script = output.read("gallery/images/id-b.jpg.js").decode()
    name, sheets = json.loads(f"[{script.removeprefix('stylebeam.page(')[:-3]}]")
    assert name == "id-b.jpg"
    assert [sheet["path"] for sheet in sheets] == ["sheets/a/features.png"]


def test_no_image_gives_an_index_too(output):
    index = run(output)

    assert index["images"] == {"fields": [], "rows": []}
    assert index["layers"] == [LAYER]
