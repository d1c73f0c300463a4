"""The gallery of a comparison: layers, numbers, links, and what is of all."""

import pathlib

import numpy as np
import pyarrow as pa
import pytest

from model.config import canonical_json
from transforms.elements import ImageRef
from transforms.images.load import ImageBytes, LoadedImage
from transforms.images.thumbnails import preview
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import write_table
from transforms.storage.schemas import VISUALIZE_MAPS
from transforms.visualize.comparison.gallery import write_images, write_index
from transforms.visualize.comparison.handler import Compared, Decoded
from transforms.visualize.comparison.settings import (
    Comparison,
    ComparisonSettings,
    SeenBy,
)
from transforms.visualize.comparison.sheets import draw_comparison
from transforms.visualize.comparison.subjects import ReadSubject, Subject, Wanted
from transforms.visualize.maps_table import MAPS_TABLE, Owner, write_file, write_sheet
from transforms.visualize.settings import Channels
from transforms.visualize.sheet import FACTS, facts_path

pytestmark = pytest.mark.browser

LAYERS = ("block1_conv1", "block2_conv1")
ROLES = ("content", "style", "result")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """Write a gallery of two invented triples, and return its address."""
    output = OutputFolder(str(tmp_path_factory.mktemp("compared")))
    rng = np.random.default_rng(5)
    settings = ComparisonSettings(
        compared=Comparison.TRIPLES,
        networks=(SeenBy("vgg16", "0", LAYERS),),
        results=("grid",),
        layers=LAYERS,
        channels=Channels(top=2),
        size=0,
        raw=False,
    )
    rows = []
    for key in ("a/<i>.png", "b/x.png"):
        ref = ImageRef(key, "grid", "p")
        pictures = tuple(Wanted(role, f"{role}.png", "", (), 0) for role in ROLES)
        data = (ImageBytes(ref, b"", "0"),) * 3
        pixels = rng.integers(0, 255, (36, 48, 3), dtype=np.uint8)
        images = (LoadedImage(ref, "0", pixels, 48, 36),) * 3
        read = ReadSubject(Subject(ref, pictures), data)
        seen = {
            (i, 0): {n: rng.uniform(0, 1, (6, 8, 3)).astype("f4") for n in LAYERS}
            for i in range(3)
        }
        owner = Owner("c", ref.id, key, "0", 48, 36)
        facts = {}
        for sheet in draw_comparison(Compared(Decoded(read, images), seen), settings):
            rows += write_sheet(output, owner, sheet)
            facts[sheet.path] = list(sheet.facts)
        told = canonical_json(facts)
        rows.append(write_file(output, owner, FACTS, facts_path(key), told))
        output.write(f"gallery/content/{ref.id}.jpg", preview(pixels))
    part = MAPS_TABLE.part_name(0, 1)
    write_table(output, part, pa.Table.from_pylist(rows, VISUALIZE_MAPS))
    index = write_index(list(write_images(part, output)), output, settings)
    return pathlib.Path(output.path(index)).as_uri()


def test_layers_pictures_and_numbers_are_walked(browser, gallery):
    browser.open(gallery)
    assert browser.texts("#images .name") == ["a/<i>.png", "b/x.png"]
    assert browser.texts("main h2") == [
        "The pictures",
        "Gram matricesblock1_conv1",
        "What AdaIN alignedblock1_conv1",
        "Feature mapsblock1_conv1, one scale for a channel",
    ]
    # A line with its paper for each kind of picture.
    assert browser.ask("document.querySelectorAll('.about a').length") == 4
    # Pictures, Gram matrices, two panels, two channels of three.
    assert browser.ask("document.querySelectorAll('main .map').length") == 3 + 3 + 2 + 6
    assert browser.texts("table tr:nth-child(2) td")[0] == "mean of each channel"
    browser.press("\ue014", "\ue015")  # Right: a layer further; down: the next one.
    browser.until("location.hash.endsWith('/side/block2_conv1')")
    browser.until("location.hash.startsWith('#b-x-png')")
    browser.click("main .map")
    assert browser.ask("document.querySelector('#light').open")
    browser.click("#light")
    browser.click("#views [data-value=all]")
    assert browser.texts("table tr td:first-child") == list(LAYERS)
    # An address leads back to where it was copied.
    browser.open(f"{gallery}#nowhere/side/block2_conv1")
    browser.until("location.hash.startsWith('#a-i-png')")
    assert "block2_conv1" in browser.texts("main h2")[1]
