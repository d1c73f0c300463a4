"""The gallery of a visualization, opened from disk in a browser."""

import pathlib

import numpy as np
import pytest

from model.attribution.feature_visualization import Vision
from model.attribution.featuremaps import receptive_field
from model.networks.vgg import vgg_layers
from transforms.elements import ImageRef, image_id
from transforms.images.load import LoadedImage
from transforms.images.thumbnails import preview
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import write_table
from transforms.storage.schemas import VISUALIZE_MAPS
from transforms.visualize.activation.sheets import draw_activation
from transforms.visualize.activation.targets import FRAMES, Target
from transforms.visualize.filter_sheets import draw_filters
from transforms.visualize.gallery import write_images, write_index
from transforms.visualize.handler import Gradient, Look
from transforms.visualize.image_sheets import draw_sheets
from transforms.visualize.maps_table import MAPS, Owner, write_sheet
from transforms.visualize.settings import (
    DEFAULT_KINDS,
    GRADIENTS,
    Channels,
    Excited,
    Kind,
    VisualizeSettings,
)
from transforms.visualize.sheet import scores_path
from transforms.visualize.top_images import draw_top_images
from transforms.visualize.top_scores import Excitation, pack_scores

pytestmark = pytest.mark.browser

LAYERS = ("block1_conv1", "block2_conv1")
KEYS = ["a.jpg", "quote\"apos'amp&<script>alert(1)<!--.jpg", "ü/名前 100%.jpg"]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """Write a gallery of invented maps, and return its address."""
    import pyarrow as pa

    output = OutputFolder(str(tmp_path_factory.mktemp("seen")))
    rng = np.random.default_rng(4)
    settings = VisualizeSettings(
        network="vgg16",
        weights_sha256="0",
        layers=LAYERS,
        kinds=(*DEFAULT_KINDS, Kind.ACTIVATION),
        channels=Channels(top=3),
        gradient_channels=Channels(top=1),
        size=224,
        randomization_check=True,
        raw=False,
    )
    rows = []
    for key in KEYS:
        pixels = rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)
        image = LoadedImage(ImageRef(key, "in", ""), "0", pixels, 60, 40)
        features = {n: rng.random((20, 30, 8), np.float32) for n in LAYERS}
        features[LAYERS[0]][..., 2] = 0
        gradients = {
            (layer, rule): [
                Gradient(c, rng.normal(size=(40, 60, 3)).astype(np.float32), 0.25)
                for c in (None, 5)
            ]
            for layer in LAYERS
            for rule in GRADIENTS
        }
        owner = Owner("c", image.ref.id, key, "0", 60, 40)
        for sheet in draw_sheets(Look(image, features, gradients), settings):
            rows += write_sheet(output, owner, sheet)
        output.write(f"gallery/content/{image.ref.id}.jpg", preview(pixels))
        # Every channel's strongest neuron is that in row 3 and column 4.
        peak = np.ones(64, np.float32), np.full(64, 3), np.full(64, 4)
        output.write(scores_path(key), pack_scores(dict.fromkeys(LAYERS, peak)))
    for layer in LAYERS:
        kernel = rng.normal(size=(3, 3, 3, 8)).astype(np.float32)
        owner = Owner("c", id=f"collection-filters-{layer}")
        rows += write_sheet(output, owner, draw_filters(layer, kernel))
        refs = [ImageRef(key, "in", "") for key in KEYS[:2]]
        found = [Excitation(3.5 - i, r.id, r, 0, 0) for i, r in enumerate(refs)]
        crops = {(6, ref.id): pixels[:9, :9] for ref in refs}
        owner = Owner("c", id=f"collection-top-images-{layer}")
        sheet = draw_top_images(layer, [(6, found)], crops, 9)
        rows += write_sheet(output, owner, sheet)
        targets = [Target(layer, Excited.CHANNEL, (c,)) for c in (5, 6)]
        targets += [Target(layer, Excited.LAYER)]
        targets += [Target(layer, Excited.BETWEEN, (5, 6))]
        for target in targets:
            count = FRAMES if target.excited is Excited.BETWEEN else 1
            visions = [
                Vision(
                    rng.integers(0, 255, (32, 32, 3), dtype=np.uint8),
                    rng.random((4, 4, max(1, len(target.channels))), np.float32),
                    lost=False,
                )
                for _ in range(count)
            ]
            owner = target.owner(settings)
            rows += write_sheet(output, owner, draw_activation(target, visions, False))
    part = f"{MAPS}/part-00000-of-00001.parquet"
    write_table(output, part, pa.Table.from_pylist(rows, VISUALIZE_MAPS))
    index = write_index(
        list(write_images(part, output)), output, "A <b>gallery</b>", settings
    )
    return pathlib.Path(output.path(index)).as_uri()


@pytest.fixture
def page(browser, gallery):
    browser.open(gallery)
    return browser


def test_overview_shows_every_block_and_rule(page):
    assert page.texts("h1") == ["A <b>gallery</b>"]
    assert page.texts("#totals") == ["VGG-16 · 3 images · 2 layers"]
    assert page.texts(".pick span") == sorted(KEYS)
    # The photograph and two layers; three rules at two layers.
    assert page.ask("document.querySelectorAll('main .map').length") == 3 + 6
    page.until("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


def test_tiles_are_cut_out_of_their_sheets(page):
    page.click("[data-value=features]")
    page.until("document.querySelectorAll('main .map').length === 3 + 8")
    # Where the browser puts the sheet's corner is where the tile begins.
    assert page.ask(
        """[...document.querySelectorAll('main .map')].every(map => {
          const {left, top} = map.tile, box = map.getBoundingClientRect();
          const style = getComputedStyle(map), {width, height} = map.sheet;
          const place = style.backgroundPosition.split(' ').map(parseFloat);
          const size = style.backgroundSize.split(' ').map(parseFloat);
          const shown = [size[0] / 100 * box.width, size[1] / 100 * box.height];
          const x = (shown[0] - box.width) * place[0] / 100;
          const y = (shown[1] - box.height) * place[1] / 100;
          return Math.abs(x - left * shown[0] / width) < 1
            && Math.abs(y - top * shown[1] / height) < 1;
        })"""
    )


def test_walking_the_blocks_the_images_and_the_scales(page):
    from selenium.webdriver import Keys

    page.click("[data-value=features]")
    page.until("document.querySelectorAll('main .map').length === 11")
    assert page.texts("#layers [aria-pressed=true]") == ["1.1"]
    page.press(Keys.ARROW_RIGHT)
    page.until(
        "document.querySelector('#layers [aria-pressed=true]').textContent === '2.1'"
    )
    before = page.ask("document.querySelector('main .map').style.backgroundImage")
    page.click("#scales [data-value=map]")
    page.until(
        "document.querySelector('main .map').style.backgroundImage.includes('-map.png')"
    )
    assert "-layer.png" in before
    page.press(Keys.ARROW_DOWN)
    page.until("[...document.querySelectorAll('.pick')][1].ariaCurrent === 'true'")


def test_a_click_picks_the_image_and_another_the_layer(page):
    pictures = "document.querySelector('main .map').style.backgroundImage"
    page.click("[data-value=gradients]")
    page.click(".pick:nth-child(3)")
    page.until("[...document.querySelectorAll('.pick')][2].ariaCurrent === 'true'")
    assert page.texts("[aria-current=true] span") == [sorted(KEYS)[2]]
    page.click("#layers [data-value=block2_conv1]")
    page.until(f"{pictures}.includes('-block2_conv1.png')")
    assert image_id(sorted(KEYS)[2]) in page.ask(pictures)
    assert page.texts(".rules h2")[0] == "the maximum neurons of block2_conv1"
    # From the overview a click on a map walks into its layer.
    page.click("[data-value=overview]")
    page.until("document.querySelectorAll('main .map').length === 9")
    page.click("main .strip > :nth-child(3) .map")
    page.until("document.querySelectorAll('main .map').length === 11")
    assert page.texts("#layers [aria-pressed=true]") == ["2.1"]
    assert image_id(sorted(KEYS)[2]) in page.ask(pictures)


def test_top_images_name_their_source(page):
    page.click("[data-value=top-images]")
    page.until("document.querySelectorAll('main .map').length === 2")
    page.hover("main .map")
    page.until("!document.getElementById('bubble').hidden")
    (text,) = page.texts("#bubble")
    assert text == f"block1_conv1 · channel 6{KEYS[0]}place 1 · activation 3.5"


def test_a_channel_is_reached_from_an_image_and_left_again(page):
    """From the image over its layer to the channel, to a top image, and back."""
    from selenium.webdriver import Keys

    page.click(".pick:nth-child(3)")
    page.click("[data-value=features]")
    page.until("document.querySelectorAll('main .map').length === 11")
    # Caption of the map of channel 5.
    page.ask(
        "[...document.querySelectorAll('main figcaption a')]"
        ".find(a => a.textContent === '5').click()"
    )
    page.until("document.querySelector('main h1')")
    assert page.texts("main h1") == ["Channel 5 of block1_conv1"]
    assert page.ask("location.hash").endswith("/channel/block1_conv1/5")
    assert page.texts(".crumbs b") == ["channel 5"]
    headings = page.ask(
        "[...document.querySelectorAll('main h2')].map(h => h.firstChild.textContent)"
    )
    # No image excites channel 5.
    assert headings == [
        "What it wants to see",
        f"In {sorted(KEYS)[2]}",
        "From channel 5 to channel 6",
    ]
    page.press(Keys.ARROW_RIGHT)
    page.until("document.querySelector('main h1').textContent.startsWith('Channel 6')")
    page.click(".top-image:nth-child(1) figcaption a")
    page.until("document.querySelectorAll('main .map').length === 11")
    picked = "document.querySelector('[aria-current=true]').title"
    assert page.ask(picked) == KEYS[0]
    page.driver.back()
    page.until("document.querySelector('main h1')?.textContent.startsWith('Channel 6')")
    page.click(".crumbs a:nth-of-type(2)")
    page.until("!document.querySelector('main h1')")
    assert page.texts("#views [aria-pressed=true]") == ["Feature maps"]


def test_one_page_has_all_of_a_channel(page, gallery):
    """What it wants, what excites it and where, its map and its gradients."""
    page.open(f"{gallery}#{image_id(KEYS[0])}/channel/{LAYERS[1]}/6")
    shown = "[...document.querySelectorAll('main .map')].map(m => m.sheet.kind)"
    kinds = page.ask(shown)
    assert kinds.count("activation") == 1 + FRAMES
    assert kinds.count("top-images") == 2 * 2  # Crops and photographs.
    assert kinds.count("features") == 1
    page.open(f"{gallery}#{image_id(KEYS[0])}/channel/{LAYERS[1]}/5")
    kinds = page.ask(shown)
    assert [kinds.count(rule) for rule in GRADIENTS] == [1, 1, 1]
    # Every section says what one is looking at, and links to the paper.
    assert page.ask(
        "[...document.querySelectorAll('main section')]"
        ".every(s => s.querySelector('.about a[href^=https]'))"
    )


def test_a_top_image_is_shown_as_the_whole_photograph_with_a_box(page, gallery):
    page.open(f"{gallery}#{image_id(KEYS[0])}/channel/{LAYERS[1]}/6")
    page.until("document.querySelector('.whole img').naturalWidth === 60")
    field = receptive_field(vgg_layers("vgg16"), LAYERS[1])
    top, left, bottom, right = field.box(3, 4, 40, 60)
    box = page.ask(
        """(() => {
          const whole = document.querySelector('.whole').getBoundingClientRect();
          const box = document.querySelector('.whole .box').getBoundingClientRect();
          return [(box.top - whole.top) / whole.height * 40,
            (box.left - whole.left) / whole.width * 60,
            (box.bottom - whole.top) / whole.height * 40,
            (box.right - whole.left) / whole.width * 60];
        })()"""
    )
    assert box == pytest.approx([top, left, bottom, right], abs=0.3)
    page.click(".whole")
    page.until("document.querySelector('dialog .whole .box')")
    assert page.texts("dialog .about a") == ["Zeiler & Fergus 2013"]
    page.click("#light")


def test_the_channels_of_a_layer_are_a_wall_of_what_they_want(page):
    page.click("[data-value=channel]")
    page.until("document.querySelectorAll('.face').length === 2")
    assert page.texts(".face b") == ["5", "6"]
    assert [text.split(" ")[0] for text in page.texts("main h2")] == [
        "What",
        "What",
        "From",
    ]
    page.click("#layers [data-value=block2_conv1]")
    page.until("location.hash.endsWith('/channel/block2_conv1')")
    page.click(".face")
    page.until("document.querySelector('main h1')")
    assert page.texts("main h1") == ["Channel 5 of block2_conv1"]
    # The view's button leads from a channel to all of them again.
    page.click("[data-value=channel]")
    page.until("document.querySelectorAll('.face').length === 2")


def test_views_say_what_one_is_looking_at(page):
    for view, paper in {
        "features": "Yosinski et al. 2015",
        "filters": "Krizhevsky et al. 2012",
        "top-images": "Zeiler & Fergus 2013",
    }.items():
        page.click(f"[data-value={view}]")
        page.until(f"document.querySelector('.about a').textContent === `{paper}`")


def test_rules_stand_side_by_side_with_their_correlations(page):
    page.click("[data-value=gradients]")
    page.until("document.querySelectorAll('.rules .map').length === 6")
    assert [text.split()[0] for text in page.texts(".rules .head")] == [
        "Saliency",
        "Deconvnet",
        "Guided",
    ]
    assert "Adebayo" in page.texts(".note")[0]
    tops = page.ask(
        "[...document.querySelectorAll('.rules .map')].slice(0, 3)"
        ".map(map => Math.round(map.getBoundingClientRect().top))"
    )
    assert len(set(tops)) == 1
    page.click("#parts [data-value=negative]")
    page.until("document.querySelector('.rules .map').tile.part === 'negative'")


def test_hovering_names_the_channel_and_clicking_enlarges(page):
    page.click("[data-value=features]")
    page.until("document.querySelectorAll('main .map').length === 11")
    page.hover("h2 + .tiles ~ h2 + .tiles > :nth-child(3) .map")
    page.until("!document.getElementById('bubble').hidden")
    assert page.texts("#bubble b") == ["block1_conv1 · channel 2"]
    assert "all zero" in page.texts("#bubble")[0]
    page.click("main .map")
    page.until("document.getElementById('light').open")
    page.click("#light")
    page.until("!document.getElementById('light').open")


def test_filters_belong_to_the_collection(page):
    page.click("[data-value=filters]")
    page.until("document.querySelectorAll('main .map').length === 8")


def test_images_are_filtered_by_words_of_their_names(page):
    page.find("#filter").send_keys("ALERT quote")
    page.until("document.querySelectorAll('.pick:not([hidden])').length === 1")
    assert page.texts(".pick:not([hidden]) span") == [KEYS[1]]


def test_a_page_gives_the_window_one_name(page):
    assert page.ask("typeof stylebeam.records") == "function"
    for name in ("INDEX", "loaded", "state", "make", "render"):
        assert page.ask(f"typeof {name}") == "undefined"


def test_a_link_opens_what_it_names(page, gallery):
    page.click("[data-value=gradients]")
    page.until("location.hash.includes('gradients')")
    address = page.ask("location.href")
    page.open(address)
    assert page.texts("#views [aria-pressed=true]") == ["Gradients"]


def test_what_is_of_no_photograph_is_shown_where_none_could_be_read(browser, tmp_path):
    import pyarrow as pa

    output, layer = OutputFolder(str(tmp_path)), LAYERS[0]
    settings = VisualizeSettings(
        network="vgg16",
        weights_sha256="0",
        layers=(layer,),
        kinds=(Kind.TOP_IMAGES, Kind.ACTIVATION),
        channels=Channels(listed=(5,)),
        gradient_channels=Channels(top=1),
        size=224,
        randomization_check=True,
        raw=False,
    )
    target = Target(layer, Excited.CHANNEL, (5,))
    made = np.zeros((32, 32, 3), np.uint8), np.ones((4, 4, 1), np.float32)
    drawn = draw_activation(target, [Vision(*made, lost=False)], False)
    rows = write_sheet(output, target.owner(settings), drawn)
    empty = draw_top_images(layer, [], {}, 9)
    rows += write_sheet(output, Owner("c", id=f"collection-top-images-{layer}"), empty)
    part = f"{MAPS}/part-00000-of-00001.parquet"
    write_table(output, part, pa.Table.from_pylist(rows, VISUALIZE_MAPS))
    index = write_index(list(write_images(part, output)), output, "", settings)
    browser.open(f"{pathlib.Path(output.path(index)).as_uri()}#/channel/{layer}")
    browser.until("document.querySelectorAll('main .face').length === 1")
    browser.click("[data-value=top-images]")
    browser.until("document.querySelector('main').textContent.includes('No image ex')")
