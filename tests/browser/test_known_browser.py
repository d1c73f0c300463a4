"""Label and boxes over a picture: by the pointer, by the keyboard, and at full size."""

import io
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.elements import image_id
from transforms.images import thumbnails
from transforms.images.decoder import encode_image
from transforms.storage.folder import OutputFolder
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.stylize import gallery

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"


def an_object(category, box):
    lists = {"polygons": [], "keypoints": []}
    return {"id": 1, "category": category, "category_id": 1, "box": box, **lists}


@pytest.fixture
def opened(browser, tmp_path):
    """Open a gallery of contents with what is known of each, and of a style."""
    known = {
        "a.jpg": {
            "label": HOSTILE,
            "objects": [
                an_object("dog", [32.0, 24.0, 64.0, 48.0]),
                an_object("dog", [0.0, 0.0, 12.8, 9.6]),
                an_object("cat", [64.0, 48.0, 64.0, 48.0]),
            ],
        },
        "b.jpg": {"label": "", "objects": []},
        "c.jpg": None,
    }
    output = OutputFolder(str(tmp_path))
    pixels = np.full((96, 128, 3), 120, np.uint8)
    rows = []
    for key, annotation in known.items():
        content = image_id(key)
        thumbnails.write_preview(
            output, thumbnails.content_preview_name(content), pixels
        )
        for style, label in (("s.jpg", "Cubism"), ("t.jpg", "")):
            thumbnails.write_preview(
                output, f"gallery/style/{image_id(style)}.jpg", pixels
            )
            path = f"images/{content}/{image_id(style)}.jpg"
            output.write(path, encode_image(pixels, "jpg"))
            rows.append(
                {
                    "content_id": content,
                    "content_key": key,
                    "styles": [{"id": image_id(style), "key": style, "weight": 1.0}],
                    "alpha": 1.0,
                    **dict.fromkeys(("original_width", "width"), 128),
                    **dict.fromkeys(("original_height", "height"), 96),
                    "path": path,
                    "bundle_id": "b0",
                    "status": "done",
                    "annotation": annotation,
                    "style_annotations": [{"label": label}],
                }
            )
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, STYLIZE_MANIFEST), file)
    name = "manifest/part-00000-of-00001.parquet"
    output.write(name, file.getvalue())
    pages = list(gallery.write_pages(name, output))
    gallery.write_index(pages, output, "known", "b0")
    browser.open(pathlib.Path(output.path("gallery/index.html")).as_uri())
    return browser


def cell(content, style):
    return f"main a.cell[href*='{image_id(content)}/{image_id(style)}']"


def test_label_and_boxes_are_over_the_picture_that_is_pointed_at(opened):
    from selenium.webdriver import Keys

    browser = opened
    assert browser.ask("document.querySelector('.known')") is None
    browser.hover(cell("a.jpg", "s.jpg"))
    browser.until("document.querySelector('.cell:hover > .known')")
    assert browser.texts(".known b") == [f"{HOSTILE} · style: Cubism"]
    assert browser.texts(".known .legend span") == ["dog × 2", "cat"]
    # On the screen: a quarter into the picture, and half its size.
    places = browser.ask(
        "(() => { const box = e => e.getBoundingClientRect();"
        " const out = box(document.querySelector('.known').parentElement);"
        " const one = box(document.querySelector('.known rect'));"
        " return [(one.left - out.left) / out.width, (one.top - out.top) / out.height,"
        " one.width / out.width, one.height / out.height]; })()"
    )
    np.testing.assert_allclose(places, [0.25, 0.25, 0.5, 0.5], atol=0.02)
    # The keyboard does the same, and where nothing is known there is nothing.
    browser.find("#main").send_keys(Keys.ARROW_DOWN)
    browser.press(Keys.ARROW_RIGHT)
    browser.until(f"document.activeElement.matches(`{cell('a.jpg', 't.jpg')}`)")
    assert browser.ask("document.activeElement.querySelector('.known') !== null")
    assert browser.ask("document.activeElement.getAttribute('aria-description')") == (
        f"{HOSTILE}. dog × 2, cat"
    )
    browser.press(Keys.ARROW_DOWN)
    assert browser.texts(".known .legend") == ["no objects"]
    browser.press(Keys.ARROW_DOWN)
    assert browser.ask("document.querySelector('.known')") is None


def test_the_picture_at_full_size_has_all_of_it_and_its_boxes_when_asked(opened):
    browser = opened
    browser.click(cell("a.jpg", "s.jpg"))
    browser.until("document.getElementById('light').open")
    assert browser.texts("#label") == [f"{HOSTILE} · style: Cubism"]
    assert browser.texts("#key span") == ["dog × 2", "cat"]
    assert browser.ask("document.querySelector('#drawn').hidden")
    browser.click("#draw")
    assert not browser.ask("document.querySelector('#drawn').hidden")
    assert browser.ask("document.querySelectorAll('#drawn rect').length") == 3
    assert browser.ask("document.querySelector('#draw').ariaPressed") == "true"
    browser.click("#next")
    browser.click("#next")
    assert browser.texts("#key span") == ["no objects"]
    assert browser.ask("document.querySelector('#draw').hidden")
    browser.click("#next")
    browser.click("#next")
    assert browser.ask("document.querySelector('#objects').hidden")
    assert browser.texts("#label") == ["style: Cubism"]
    browser.click("#next")
    assert browser.ask("document.querySelector('#label').hidden")
    browser.click("#close")
    browser.find("#filter").send_keys("cubism")
    browser.until("document.querySelectorAll('main a.cell').length === 3")
