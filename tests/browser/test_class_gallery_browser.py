"""Classes in the gallery of a visualization: maps of where they are, and their page."""

import pathlib

import numpy as np
import pytest

from model.config import canonical_json
from model.networks.vgg import PREDICTIONS
from transforms.elements import ImageRef
from transforms.images.load import LoadedImage
from transforms.images.thumbnails import preview
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import write_table
from transforms.storage.schemas import VISUALIZE_MAPS
from transforms.visualize.gallery import write_images, write_index
from transforms.visualize.handler import Gradient, Look
from transforms.visualize.image_sheets import draw_sheets
from transforms.visualize.maps_table import MAPS, Owner, write_file, write_sheet
from transforms.visualize.settings import Channels, Kind, Methods, VisualizeSettings
from transforms.visualize.sheet import FACTS, facts_path

pytestmark = pytest.mark.browser

NAMES = ("crane, large bird", "tabby, tabby cat", "heron")
FROM = ("black", "grey")


def write_gallery(folder):
    """Write a gallery of invented maps of two classes, and return its address."""
    import pyarrow as pa

    output = OutputFolder(str(folder))
    rng = np.random.default_rng(4)
    settings = VisualizeSettings(
        network="vgg16",
        weights_sha256="0",
        layers=("block1_conv1",),
        kinds=(Kind.SALIENCY, Kind.INTEGRATED, Kind.CLASSES),
        channels=Channels(top=3),
        gradient_channels=Channels(),
        size=224,
        randomization_check=False,
        raw=False,
        methods=Methods(classes=Channels(top=2), baselines=FROM),
    )
    pixels = rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)
    image = LoadedImage(ImageRef("a.jpg", "in", ""), "0", pixels, 60, 40)

    def gradient(number, variant=""):
        facts = {"name": NAMES[number].partition(",")[0], "probability": 0.25}
        if variant:
            facts |= {"baseline": variant, "change": 1.0, "incomplete": 0.5, "steps": 8}
        pixels = rng.normal(size=(40, 60, 3)).astype(np.float32)
        return Gradient(number, pixels, None, variant, facts)

    gradients = {
        (PREDICTIONS, Kind.SALIENCY): [gradient(c) for c in (1, 0)],
        (PREDICTIONS, Kind.INTEGRATED): [
            gradient(c, start) for start in FROM for c in (1, 0)
        ],
    }
    scores = np.tile(np.float32([2, 3, 0]), (1, 2, 1))
    look = Look(image, {PREDICTIONS: scores}, gradients, NAMES)
    owner = Owner("c", image.ref.id, image.ref.key, "0", 60, 40)
    rows = []
    facts = {}
    for sheet in draw_sheets(look, settings):
        rows += write_sheet(output, owner, sheet)
        facts[sheet.path] = list(sheet.facts)
    path = facts_path(image.ref.key)
    rows.append(write_file(output, owner, FACTS, path, canonical_json(facts)))
    output.write(f"gallery/content/{image.ref.id}.jpg", preview(pixels))
    part = f"{MAPS}/part-00000-of-00001.parquet"
    write_table(output, part, pa.Table.from_pylist(rows, VISUALIZE_MAPS))
    index = write_index(list(write_images(part, output)), output, "Classes", settings)
    return pathlib.Path(output.path(index)).as_uri()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    return write_gallery(tmp_path_factory.mktemp("classes"))


@pytest.fixture
def page(browser, gallery):
    browser.open(gallery)
    return browser


def test_a_class_has_a_page_as_a_channel_has(page):
    page.click("[data-value=classes]")
    page.until("document.querySelectorAll('main .map').length === 3")
    assert page.texts("main figcaption b") == ["the photograph", "tabby", "crane"]
    assert page.texts("main .about a") == ["Simonyan & Zisserman 2014"]
    page.click("main figcaption a")
    page.until("document.querySelector('main h1')")
    assert page.texts("main h1") == ["Tabby (1) of predictions"]
    assert page.texts(".crumbs b") == ["tabby (1)"]
    assert page.texts("main section figcaption b") == [
        "classes",
        "saliency (plain backpropagation)",
        "integrated gradients, from black",
        "integrated gradients, from grey",
    ]
    assert page.texts("main .about a") == [
        "Simonyan & Zisserman 2014",
        "Simonyan et al. 2013",
        "Sundararajan et al. 2017",
    ]
    page.click("#views [data-value=channel]")
    page.until("document.querySelectorAll('.face').length === 2")
    assert page.texts(".face b") == ["crane (0)", "tabby (1)"]


def test_maps_of_classes_have_their_names_and_every_kind_its_line(page):
    page.click("[data-value=gradients]")
    page.click("#layers [data-value=predictions]")
    page.until("document.querySelectorAll('.rules .map').length === 6")
    assert page.texts(".rules h2") == [
        "tabby (1) of predictions",
        "crane (0) of predictions",
    ]
    assert page.texts(".rules .head") == [
        "Saliency (plain backpropagation)",
        "Integrated gradients, from black",
        "Integrated gradients, from grey",
    ]
    assert page.texts("main .about b") == [
        "Saliency (plain backpropagation): ",
        "Integrated gradients: ",
    ]
    page.hover(".rules .map")
    page.until("!document.getElementById('bubble').hidden")
    assert "probability 25.0 %" in page.texts("#bubble")[0]
    page.click(".rules .map")
    page.until("document.getElementById('light').open")
    assert page.texts("dialog .to") == ["All of tabby →"]
    page.click("dialog .to")
    page.until("document.querySelector('main h1')")
    assert page.texts("main h1") == ["Tabby (1) of predictions"]
