"""The gallery as a person meets it: opened from disk in a browser, no server."""

import colorsys
import io
import pathlib
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.elements import image_id
from transforms.images import thumbnails
from transforms.storage.folder import OutputFolder
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.stylize import gallery

pytestmark = pytest.mark.browser

HOSTILE = [
    "quote\"apos'amp&<script>alert(1)<!--.jpg",
    "d/ünïcödé 名前 🎨.jpg",
    "<img src=x onerror=alert(2)>.png",
]
PLAIN = ["plain.jpg", "photos/cat 100%.jpg", "dog.jpg"]


def picture(index, height=96, width=128):
    """Return a smooth picture of its own hue."""
    hue = np.array(colorsys.hsv_to_rgb(index * 0.381966 % 1, 0.6, 0.9)) * 255
    ramp = np.linspace(0.4, 1, width)[None, :, None]
    return np.broadcast_to(ramp * hue, (height, width, 3)).astype(np.uint8)


def write_output(
    folder,
    contents,
    styles,
    alphas=(1.0,),
    parts=1,
    failed=(),
    metrics=None,
    size=(128, 96),
    originals=False,
):
    """Write what the steps before the gallery write, then the gallery.

    `metrics` has (content loss, a style loss a layer, SSIM) of (content, style).
    """
    width, height = size
    output = OutputFolder(str(folder))
    for index, key in enumerate(contents):
        preview = thumbnails.preview(picture(index))
        output.write(f"gallery/content/{image_id(key)}.jpg", preview)
    for index, key in enumerate(styles):
        preview = thumbnails.preview(picture(index + 10, 80, 80))
        output.write(f"gallery/style/{image_id(key)}.jpg", preview)
    rows = [[] for _ in range(parts)]
    cells = [(s, style, alpha) for s, style in enumerate(styles) for alpha in alphas]
    if originals:
        cells.append((len(styles), "original", 0.0))
    for c, content in enumerate(contents):
        for s, style, alpha in cells:
            style_id = "original" if style == "original" else image_id(style)
            stem = style_id + ("" if alpha in (0, 1) else f"@a{alpha * 1000:04.0f}")
            path = f"{image_id(content)}/{stem}.jpg"
            done = (c, s) not in failed
            if done:
                data = thumbnails.preview(picture(c * 5 + s, height, width))
                output.write(f"images/{path}", data)
                thumbnails.write_thumbnail(output, f"images/{path}", data)
            rows[c % parts].append(
                {
                    "content_id": image_id(content),
                    "content_key": content,
                    "styles": [{"id": style_id, "key": style, "weight": 1.0}],
                    "alpha": alpha,
                    "original_width": 128,
                    "original_height": 96,
                    "width": width,
                    "height": height,
                    "path": f"images/{path}",
                    "bundle_id": "b00000000001",
                    "status": "done" if done else "failed",
                    "metrics": measured((metrics or {}).get((c, s))),
                }
            )
    pages = []
    for k, part in enumerate(rows):
        name = f"manifest/part-{k:05d}-of-{parts:05d}.parquet"
        part.sort(key=lambda row: (row["content_key"], row["path"]))
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(part, STYLIZE_MANIFEST), file)
        output.write(name, file.getvalue())
        pages += gallery.write_pages(name, output)
    gallery.write_index(pages, output, "A <b>gallery</b>", "b00000000001")
    return pathlib.Path(output.path("gallery/index.html")).as_uri()


def measured(values):
    """Return a row's metrics, the style loss being the same in each layer."""
    if values is None:
        return None
    layers = {f"style_loss_relu{layer}_1": values[1] for layer in (1, 2, 3, 4)}
    return {"content_loss": values[0], **layers, "ssim": values[2]}


def filter_by(browser, text):
    from selenium.webdriver import Keys

    field = browser.find("#filter")
    field.send_keys(Keys.CONTROL + "a")  # the call releases the modifier
    field.send_keys(Keys.BACKSPACE, text)


def picture_name(browser):
    return browser.ask("document.getElementById('file').title")


def until_light_is_loaded(browser):
    browser.until(
        "document.getElementById('light').open &&"
        " document.getElementById('full').classList.contains('ready') &&"
        " [...document.querySelectorAll('#full, #refs img')]"
        "   .every(image => image.complete && image.naturalWidth > 0)"
    )


def test_grid_shows_every_thumbnail(browser, tmp_path):
    browser.open(write_output(tmp_path, PLAIN, ["s1.jpg", "s2.jpg"], parts=2))

    browser.until(
        "[...document.images].filter(image => image.closest('main'))"
        ".every(image => image.complete && image.naturalWidth > 0)"
    )
    assert browser.ask("document.querySelectorAll('main .cell img').length") == 6
    assert browser.ask("document.querySelector('.missing')") is None
    assert browser.texts(".side .name") == ["dog.jpg", "cat 100%.jpg", "plain.jpg"]
    assert browser.texts(".column .name") == ["s1.jpg", "s2.jpg"]
    assert browser.texts("#totals") == ["6 pictures · 3 contents · 2 styles"]
    assert browser.texts("h1") == ["A <b>gallery</b>"]


def test_rows_far_right_and_down_are_painted(browser, tmp_path):
    contents = [f"c{k:02d}.jpg" for k in range(40)]
    styles = [f"s{k:02d}.jpg" for k in range(12)]
    browser.driver.set_window_size(500, 600)
    browser.open(write_output(tmp_path, contents, styles))
    assert browser.ask("document.querySelector('.grid')") is None  # Not on a phone.
    browser.click("[data-value=grid]")

    browser.driver.execute_script(
        "const size = document.getElementById('size'); size.value = 360;"
        "size.dispatchEvent(new Event('input'));"
        "document.querySelector('main').scrollTo(2e4, 2e4);"
    )

    browser.until(
        "document.elementFromPoint(innerWidth - 60, innerHeight - 90)"
        ".closest('.cell')?.cell.path.includes('c39-jpg')"
    )


def test_light_shows_picture_beside_its_originals(browser, tmp_path):
    browser.open(
        write_output(tmp_path, PLAIN, ["art/s1.jpg", "s2.jpg"], failed=[(2, 1)])
    )

    browser.click(".cell")
    until_light_is_loaded(browser)

    assert browser.texts("#refs .cap") == ["dog.jpg", "art/s1.jpg"]
    assert browser.texts("#alpha") == ["1"]
    assert browser.texts("#pixels") == ["128 × 96"]
    assert browser.texts("#bundle") == ["b00000000001"]
    assert picture_name(browser) == (
        f"images/{image_id('dog.jpg')}/{image_id('art/s1.jpg')}.jpg"
    )
    assert browser.texts(".failed") == ["failed"]


def test_originals_are_a_column_without_a_style_or_a_strength(browser, tmp_path):
    page = write_output(tmp_path, PLAIN, ["s1.jpg"], alphas=(0.5, 1.0), originals=True)
    browser.open(page)

    # At one strength, the originals beside it.
    assert browser.texts(".column .name") == ["original", "s1.jpg"]
    assert browser.texts("#alpha-choices button") == ["all", "0.5", "1"]
    assert browser.texts("#totals") == ["9 pictures · 3 contents · 1 style"]
    browser.until(
        "[...document.images].filter(image => image.closest('main'))"
        ".every(image => image.complete && image.naturalWidth > 0)"
    )
    assert browser.ask("document.querySelector('.missing')") is None
    browser.click(".cell")
    until_light_is_loaded(browser)
    assert browser.texts("#refs .cap") == ["dog.jpg"]
    assert browser.texts("#alpha") == ["none"]
    assert browser.ask("document.getElementById('full').alt") == (
        "dog.jpg, the original"
    )


def test_arrow_keys_walk_and_escape_closes(browser, tmp_path):
    from selenium.webdriver import Keys

    styles = ["s1.jpg", "s2.jpg", "s3.jpg"]
    browser.open(write_output(tmp_path, ["a.jpg", "b.jpg"], styles))

    def at(content, style):
        until_light_is_loaded(browser)
        assert browser.texts("#refs .cap") == [content, style]

    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ENTER)
    at("a.jpg", "s2.jpg")
    browser.press(Keys.ARROW_RIGHT)
    at("a.jpg", "s3.jpg")
    browser.press(Keys.ARROW_DOWN)
    at("b.jpg", "s3.jpg")
    browser.press(Keys.ARROW_RIGHT)  # the end
    at("b.jpg", "s3.jpg")
    browser.press(Keys.ARROW_UP, Keys.ARROW_RIGHT)  # on to the next content
    at("b.jpg", "s1.jpg")
    browser.press(Keys.ARROW_LEFT)
    at("a.jpg", "s3.jpg")
    browser.press(Keys.ESCAPE)
    browser.until("!document.getElementById('light').open && !location.hash")
    label = browser.ask("document.activeElement.firstChild.alt")
    assert label == "a.jpg in the style of s3.jpg, alpha 1"


def test_holding_space_compares_with_the_content(browser, tmp_path):
    from selenium.webdriver import ActionChains

    browser.open(write_output(tmp_path, ["a.jpg"], ["s1.jpg"]))
    browser.click(".cell")
    until_light_is_loaded(browser)
    opacity = "getComputedStyle(document.querySelector('.before')).opacity"
    assert browser.ask(opacity) == "0"

    ActionChains(browser.driver).key_down(" ").perform()
    browser.until(f"{opacity} === '1'")
    ActionChains(browser.driver).key_up(" ").perform()
    browser.until(f"{opacity} === '0'")

    assert browser.ask("document.getElementById('light').open")


# Where the line is, in per cent, and how much is shown of the original.
LINE = "+document.getElementById('cut').value"
SHOWN = "getComputedStyle(document.querySelector('.before')).clipPath"
SHEET = "getComputedStyle(document.querySelector('.sheet')).transform"


def test_a_line_between_original_and_result_follows_pointer_and_keys(browser, tmp_path):
    from selenium.webdriver import ActionChains, Keys

    browser.open(write_output(tmp_path, ["a.jpg"], ["s1.jpg", "s2.jpg"]))
    browser.click(".cell")
    until_light_is_loaded(browser)
    # Space on a button is the button's, and shows no original.
    browser.find("#compare").send_keys(Keys.SPACE)
    assert browser.ask("document.getElementById('compare').ariaPressed") == "true"
    assert browser.ask(SHOWN) == "inset(0px 50% 0px 0px)"
    assert browser.ask("document.activeElement.id") == "cut"
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert browser.ask(LINE) == 52
    assert browser.ask(SHOWN) == "inset(0px 48% 0px 0px)"
    shot = browser.find("#shot")
    quarter = -shot.rect["width"] / 4
    actions = ActionChains(browser.driver)
    actions.move_to_element(shot).click_and_hold().move_by_offset(quarter, 9).release()
    actions.perform()
    assert abs(browser.ask(LINE) - 25) <= 1
    # The arrows walk again where the line has not the focus, and the line stays.
    browser.find("#light").send_keys(Keys.ARROW_RIGHT)
    browser.until(
        "document.querySelector('#refs .ref:last-child .cap').title === 's2.jpg'"
    )
    assert abs(browser.ask(LINE) - 25) <= 1
    browser.find("#light").send_keys("c")
    assert browser.ask(SHOWN) == "none"
    browser.press(Keys.ESCAPE)
    browser.until("!document.getElementById('light').open")


def test_zooming_loads_nothing_and_stays_from_picture_to_picture(browser, tmp_path):
    from selenium.webdriver import ActionChains, Keys

    browser.open(write_output(tmp_path, ["a.jpg"], ["s1.jpg", "s2.jpg"]))
    browser.click(".cell")
    until_light_is_loaded(browser)
    browser.driver.execute_script(
        "window.blinks = 0; new MutationObserver(() => {"
        " const full = document.getElementById('full');"
        " if (!full.classList.contains('ready') || !full.naturalWidth) blinks++;"
        "}).observe(document.getElementById('full'),"
        " {attributes: true})"
    )
    assert browser.ask(SHEET) == "matrix(1, 0, 0, 1, 0, 0)"
    box = browser.find("#shot").rect
    browser.find("#in").click()
    assert browser.texts("#whole") == ["1.5×"]
    # What is in the middle stays there.
    scale, shift = matrix(browser)
    assert scale == 1.5
    np.testing.assert_allclose(shift, [-box["width"] / 4, -box["height"] / 4], atol=1)
    browser.find("#light").send_keys(Keys.SHIFT, Keys.ARROW_LEFT, Keys.SHIFT)
    assert matrix(browser)[1][0] > shift[0]
    shot = browser.find("#shot")
    actions = ActionChains(browser.driver)
    actions.move_to_element(shot).click_and_hold().move_by_offset(-20, 0).release()
    actions.perform()
    before = browser.ask(SHEET)
    browser.find("#light").send_keys(Keys.ARROW_RIGHT)
    second = path_of("a.jpg", "s2.jpg").rpartition("/")[2]
    browser.until(f"document.getElementById('full').src.endsWith('{second}')")
    assert browser.ask(SHEET) == before
    assert browser.ask("blinks") == 0
    browser.find("#light").send_keys("0")
    assert browser.ask(SHEET) == "matrix(1, 0, 0, 1, 0, 0)"
    assert browser.ask("document.getElementById('out').disabled")
    # The next picture that is opened begins anew.
    browser.find("#light").send_keys("+", "+", Keys.ESCAPE)
    browser.until("!document.getElementById('light').open")
    browser.click(".cell")
    assert browser.ask(SHEET) == "matrix(1, 0, 0, 1, 0, 0)"


def matrix(browser):
    numbers = browser.ask(SHEET).removeprefix("matrix(").removesuffix(")").split(", ")
    return float(numbers[0]), [float(number) for number in numbers[4:]]


def test_the_picture_that_is_shown_is_saved_under_a_name_of_its_own(browser, tmp_path):
    import functools
    import http.server
    import threading

    page = write_output(tmp_path / "out", ["a.jpg"], ["s1.jpg"])
    browser.open(page)
    browser.click(".cell")
    # From disk a browser saves nothing: the file is there, and opens beside the page.
    assert browser.texts("#download") == ["Open file"]
    assert browser.ask("document.getElementById('download').target") == "_blank"

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=tmp_path / "out")
    saved = tmp_path / "saved"
    saved.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            browser.open(f"http://127.0.0.1:{server.server_port}/gallery/index.html")
            browser.driver.execute_cdp_cmd(
                "Browser.setDownloadBehavior",
                {"behavior": "allow", "downloadPath": str(saved)},
            )
            browser.click(".cell")
            assert browser.texts("#download") == ["Download"]
            browser.click("#download")
            name = f"{image_id('a.jpg')}--{image_id('s1.jpg')}.jpg"
            browser.wait_for((saved / name).exists)
        finally:
            server.shutdown()
    original = tmp_path / "out" / path_of("a.jpg", "s1.jpg")
    assert (saved / name).read_bytes() == original.read_bytes()


def test_link_opens_the_same_picture_again(browser, tmp_path):
    url = write_output(tmp_path, PLAIN, ["s1.jpg", "s2.jpg"], alphas=(0.5, 1.0))
    browser.open(url)
    assert browser.texts(".cell img") == [""] * 6  # one alpha at a time
    browser.click(".cell")
    until_light_is_loaded(browser)
    browser.click("#alpha button")
    browser.until("location.hash.includes('a0500')")
    name = picture_name(browser)
    assert name.endswith("@a0500.jpg")

    browser.open(browser.driver.current_url)

    until_light_is_loaded(browser)
    assert picture_name(browser) == name
    browser.click("#close")
    browser.until("!document.getElementById('light').open && !location.hash")


def test_filter_keeps_matching_names(browser, tmp_path):
    browser.open(write_output(tmp_path, PLAIN, ["s1.jpg", "s2.jpg"]))

    filter_by(browser, "CAT s2")
    browser.until("document.querySelectorAll('.cell').length === 1")
    assert browser.texts(".side .name") == ["cat 100%.jpg"]
    assert browser.texts(".column .name") == ["s2.jpg"]
    assert browser.texts("#count") == ["1 of 6"]
    filter_by(browser, "nowhere")
    browser.until("document.querySelector('.message')")
    filter_by(browser, "")
    browser.until("document.querySelectorAll('.cell').length === 6")


# (content loss, style loss, SSIM) of (content, style); 0.jpg is not measured, and of
# c.jpg one picture.
MEASURED = {
    (1, 0): (6.0, 0.2, 0.9),
    (1, 1): (4.0, 0.4, 0.1),
    (2, 0): (2.0, 0.5, 0.7),
    (2, 1): (1.0, 0.7, 0.5),
    (3, 0): (3.0, 0.1, 0.2),
}

# By the means: 5, 1.5 and 3; 0.3, 0.6 and 0.1; 0.5, 0.6 and 0.2, the highest first.
SORTED = {"content loss": "bca0", "style loss": "cab0", "SSIM": "bac0"}


def choose(browser, name):
    """Pick an entry of the sort control as a person does."""
    browser.click("#sort")
    (option,) = (
        option
        for option in browser.driver.find_elements("css selector", "#sort option")
        if option.text == name
    )
    option.click()


def until_names(browser, selector, names):
    expression = f"[...document.querySelectorAll('{selector}')]"
    expression += ".map(e => e.textContent).join()"
    browser.until(f"{expression} === '{','.join(names)}'")


def until_contents(browser, letters):
    until_names(browser, ".origin .cap .name", [f"{letter}.jpg" for letter in letters])


@pytest.fixture
def sortable(browser, tmp_path):
    contents = [f"{letter}.jpg" for letter in "0abc"]
    url = write_output(tmp_path, contents, ["s.jpg", "t.jpg"], metrics=MEASURED)
    browser.open(url)
    return browser


def test_sort_orders_contents_best_first_and_unmeasured_last(sortable):
    assert sortable.find("#sort").is_displayed()
    until_names(sortable, ".side .name", ["0.jpg", "a.jpg", "b.jpg", "c.jpg"])
    for name, order in {**SORTED, "by name": "0abc"}.items():
        choose(sortable, name)
        until_contents(sortable, order)
    # A grid has its order by name.
    choose(sortable, "SSIM")
    until_contents(sortable, SORTED["SSIM"])
    sortable.click("[data-value=grid]")
    until_names(sortable, ".side .name", ["0.jpg", "a.jpg", "b.jpg", "c.jpg"])
    assert sortable.ask("document.getElementById('sort').value") == ""


def test_sort_orders_the_tiles_of_a_content_and_arrows_follow(sortable):
    from selenium.webdriver import Keys

    tiles = '.content[aria-label="a.jpg"] .tile:not(.origin) .cap'
    choose(sortable, "SSIM")
    until_names(sortable, tiles, ["s.jpg", "t.jpg"])
    choose(sortable, "content loss")
    until_names(sortable, tiles, ["t.jpg", "s.jpg"])

    sortable.click('.content[aria-label="a.jpg"] .tile:not(.origin) .cell')
    until_light_is_loaded(sortable)
    assert picture_name(sortable) == path_of("a.jpg", "t.jpg")
    sortable.press(Keys.ARROW_RIGHT)
    after = path_of("a.jpg", "s.jpg")
    sortable.until(f"document.getElementById('file').title === '{after}'")


def path_of(content, style):
    return f"images/{image_id(content)}/{image_id(style)}.jpg"


def test_gallery_without_metrics_has_no_sort(browser, tmp_path):
    browser.open(write_output(tmp_path, PLAIN, ["s1.jpg"]))
    assert browser.ask("document.getElementById('sorts').hidden") is True
    assert not browser.find("#sorts").is_displayed()


def test_tiles_of_one_content_show_style_swatches(browser, tmp_path):
    browser.open(write_output(tmp_path, ["a.jpg"], [f"s{k}.jpg" for k in range(25)]))

    assert browser.texts(".origin .name") == ["a.jpg"]
    assert browser.ask("document.querySelectorAll('.tile .swatches').length") == 25
    browser.click("[data-value=grid]")
    browser.until("document.querySelectorAll('.grid .cell').length === 25")


def test_pages_load_on_demand(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "CONTENTS_PER_PAGE", 1)
    browser.open(
        write_output(tmp_path, ["a.jpg", "b.jpg"], ["s1.jpg", "s2.jpg"], parts=2)
    )
    assert browser.texts("#page option") == ["1–1 · a.jpg", "2–2 · b.jpg"]
    assert browser.texts(".origin .name") == ["a.jpg"]

    browser.click("#page-next")
    browser.until("document.querySelector('.origin .name').textContent === 'b.jpg'")
    browser.click(".cell")
    until_light_is_loaded(browser)
    browser.until("location.hash.startsWith('#00001-000/')")

    browser.open(browser.driver.current_url)
    until_light_is_loaded(browser)
    assert browser.texts("#refs .cap") == ["b.jpg", "s1.jpg"]


def test_hostile_names_are_shown_and_never_run(browser, tmp_path):
    browser.open(write_output(tmp_path, HOSTILE, HOSTILE))

    expected = sorted(HOSTILE)
    shown = [key.rsplit("/", 1)[-1] for key in expected]
    assert browser.texts(".side .name") == shown
    assert browser.texts(".column .name") == shown
    browser.click(".cell")
    until_light_is_loaded(browser)
    assert browser.texts("#refs .cap") == [expected[0], expected[0]]
    assert browser.ask("document.querySelectorAll('img[onerror]').length") == 0
    assert browser.ask("document.scripts.length") == 2
    # An alert that had run would have failed the questions above.


def test_missing_previews_fall_back(browser, tmp_path):
    names = ["a.jpg", "b.jpg"], ["s1.jpg", "s2.jpg"]
    url = write_output(tmp_path, *names, size=(400, 300))
    shutil.rmtree(tmp_path / "gallery" / "thumbs")
    shutil.rmtree(tmp_path / "gallery" / "style")

    browser.open(url)

    browser.until(
        "[...document.querySelectorAll('.cell img')].every(image =>"
        " image.src.includes('/images/') && image.naturalWidth === 400)"
    )
    browser.until("document.querySelectorAll('.swatches .missing').length === 2")
    missing = browser.driver.get_log("browser")  # the browser's own remarks
    assert all("ERR_FILE_NOT_FOUND" in entry["message"] for entry in missing)


def test_a_page_that_is_missing_is_named(browser, tmp_path):
    url = write_output(tmp_path, ["a.jpg"], ["s.jpg"])
    (tmp_path / "gallery" / "pages" / "00000-000.js").unlink()

    browser.open(url)

    browser.until("document.querySelector('main > .message')")
    assert browser.texts("main > .message") == [
        "The page gallery/pages/00000-000.js is missing or cannot be read."
    ]
    missing = browser.driver.get_log("browser")  # the browser's own remarks
    assert all("ERR_FILE_NOT_FOUND" in entry["message"] for entry in missing)


def test_a_page_of_an_earlier_version_is_named(browser, tmp_path):
    url = write_output(tmp_path, ["a.jpg"], ["s.jpg"])
    page = tmp_path / "gallery" / "pages" / "00000-000.js"
    page.write_text("/* Announces nothing. */")

    browser.open(url)

    browser.until("document.querySelector('main > .message')")
    assert "00000-000.js is missing or cannot be read" in browser.texts(".message")[0]


def test_blends_and_masks_are_named_with_their_shares(browser, tmp_path):
    url = write_output(tmp_path, ["a.jpg"], ["s.jpg", "t.jpg"], failed=[(0, 1)])
    output = OutputFolder(str(tmp_path))
    part = "manifest/part-00000-of-00001.parquet"
    rows = pq.read_table(io.BytesIO(output.read(part))).to_pylist()
    rows[0]["styles"] = [
        {**rows[s]["styles"][0], "weight": weight, "mask_sha256": mask}
        for s, weight, mask in ((0, 0.75, None), (1, 0.25, "00ff"))
    ]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, STYLIZE_MANIFEST), file)
    output.write(part, file.getvalue())
    gallery.write_index(
        list(gallery.write_pages(part, output)), output, "A <b>gallery</b>", "b"
    )

    browser.open(url)

    browser.until("document.querySelectorAll('a.cell').length === 1")
    label = browser.ask("document.querySelector('a.cell img').alt")
    assert label == ("a.jpg in the style of 75 % s.jpg + 25 % t.jpg (masked), alpha 1")
    browser.click("a.cell")
    until_light_is_loaded(browser)
    assert browser.texts("#refs .what") == [
        "Content",
        "Style · 75 %",
        "Style · 25 % · masked",
    ]


def test_gallery_without_pictures_says_so(browser, tmp_path):
    browser.open(write_output(tmp_path, ["a.jpg"], ["s.jpg"], failed=[(0, 0)]))

    assert "1 failed" in browser.texts(".facts")[0]
    (message,) = browser.texts(".message")
    assert message.startswith("There is no picture to show: every cell failed (1).")
