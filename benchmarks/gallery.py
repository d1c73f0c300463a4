"""How fast the gallery of very many pictures opens, and whether it shows all of them.

    python benchmarks/gallery.py --cells 100000
    python benchmarks/gallery.py --cells 100000 --labels

Writes the output of so many cells, a hundred styles for each content, all pictures
alike and 128 px wide; with `--labels` each content has a class and seven boxes, each
style a class. Opens the index from disk in headless Chromium, takes the time
until the first picture stands there, and then scrolls every page to its end, screen by
screen: a row counts as drawn when it was on the screen with a picture that is loaded.
CPU seconds are those of all processes of Chromium; on a machine that others use too,
seconds on the clock say little. Prints one line of JSON.
"""

import argparse
import json
import os
import pathlib
import shutil
import tempfile
import time
from typing import Any

import numpy as np
import pyarrow as pa
from selenium import webdriver

from transforms.elements import image_id
from transforms.images.decoder import encode_image
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import write_table
from transforms.storage.parts import part_name
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.stylize.gallery import write_index, write_pages

STYLES = 100
BOXES = 7
CLASSES = 80

# Calls back with the seconds since the address was opened.
FIRST_PICTURE = """
const done = arguments[0];
(function look() {
  const picture = document.querySelector("main .cell img");
  if (picture?.complete && picture.naturalWidth) done(performance.now() / 1000);
  else requestAnimationFrame(look);
})();
"""

# Scrolls a page to its end; calls back with its rows, and how many of them were drawn.
SCROLL = """
const done = arguments[0], main = document.querySelector("main"), drawn = new Set();
const rows = [...main.querySelectorAll(".row:not(.head)")];
function isOnScreen(row) {
  const box = row.getBoundingClientRect(), frame = main.getBoundingClientRect();
  return box.top < frame.bottom && box.bottom > frame.top;
}
function isLoaded(row) {
  const picture = row.querySelector("img");
  return picture && picture.complete && picture.naturalWidth > 0;
}
let before = -1, frames = 0;
(function step() {
  const there = rows.filter(isOnScreen);
  there.filter(isLoaded).forEach(row => drawn.add(row));
  const waits = !there.every(row => drawn.has(row)) && frames++ < 300;
  if (waits) return requestAnimationFrame(step);
  if (main.scrollTop === before) return done([rows.length, drawn.size]);
  before = main.scrollTop;
  frames = 0;
  main.scrollBy(0, main.clientHeight * 0.8);
  requestAnimationFrame(step);
})();
"""


def annotation(number: int) -> dict[str, Any]:
    """Return what is known of a content: a class and some boxes."""
    objects = [
        {
            "category": f"class {(number + box) % CLASSES}",
            "box": [8.0 * box, 6.0 * box, 40.0, 30.0],
            "polygons": [],
            "keypoints": [],
        }
        for box in range(BOXES)
    ]
    return {"label": f"class {number % CLASSES}", "objects": objects}


def write_gallery(folder: pathlib.Path, cells: int, labels: bool) -> pathlib.Path:
    """Write the gallery of an output of so many cells; its pictures are all one."""
    output = OutputFolder(str(folder))
    picture = encode_image(np.full((96, 128, 3), 128, np.uint8), "jpg")
    names = [f"style-{number:03}.jpg" for number in range(STYLES)]
    for name in names:
        output.write(f"gallery/style/{image_id(name)}.jpg", picture)
    rows = []
    for number in range(cells // STYLES):
        content = f"photo-{number:05}.jpg"
        output.write(f"gallery/content/{image_id(content)}.jpg", picture)
        for name in names:
            path = f"images/{image_id(content)}/{image_id(name)}.jpg"
            output.write(path, picture)
            style = {"id": image_id(name), "key": name, "weight": 1.0}
            row = {"content_id": image_id(content), "content_key": content}
            row |= {"styles": [style], "alpha": 1.0, "path": path, "status": "done"}
            sizes = ("original_width", "width"), ("original_height", "height")
            for sides, pixels in zip(sizes, (128, 96), strict=True):
                row |= dict.fromkeys(sides, pixels)
            if labels:
                row |= {"annotation": annotation(number)}
                row |= {"style_annotations": [{"label": f"movement {name[6:8]}"}]}
            rows.append(row)
    name = part_name("manifest", 0, 1)
    write_table(output, name, pa.Table.from_pylist(rows, STYLIZE_MANIFEST))
    write_index(list(write_pages(name, output)), output, "scale", "b0")
    return folder / "gallery" / "index.html"


def start_browser(profile: pathlib.Path) -> Any:
    """Return headless Chromium with an empty page."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("headless=new", "no-sandbox", "disable-gpu"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={profile}")
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )
    driver.set_script_timeout(600)
    driver.set_window_size(1300, 900)
    driver.get("about:blank")
    return driver


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of all that it started."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    tasks = pathlib.Path(f"/proc/{pid}/task")
    children = [
        int(child)
        for task in tasks.iterdir()
        for child in (task / "children").read_text().split()
    ]
    return own + sum(map(cpu_seconds, children))


def turn(driver: Any) -> bool:
    """Turn to the next page; return whether there is one."""
    if driver.execute_script("return document.querySelector('#page-next').disabled"):
        return False
    first = "return document.querySelector('main .row:not(.head) .cell')?.cell.path"
    before = driver.execute_script(first)
    driver.execute_script("document.querySelector('#page-next').click()")
    while driver.execute_script(first) in (None, before):
        time.sleep(0.01)
    driver.execute_script("document.querySelector('main').scrollTo(0, 0)")
    return True


def measure(folder: pathlib.Path, cells: int, labels: bool) -> dict[str, Any]:
    """Return what a gallery takes to open, and what it draws."""
    index = write_gallery(folder / "output", cells, labels)
    pages = [path.stat().st_size for path in (index.parent / "pages").iterdir()]
    driver = start_browser(folder / "chromium")
    browser = driver.service.process.pid
    before = cpu_seconds(browser)
    driver.get(index.as_uri())
    opened = driver.execute_async_script(FIRST_PICTURE)
    cpu = cpu_seconds(browser) - before
    started = time.monotonic()
    rows = drawn = shown = 0
    while not shown or turn(driver):
        on_page, seen = driver.execute_async_script(SCROLL)
        rows, drawn, shown = rows + on_page, drawn + seen, shown + 1
    scrolled = time.monotonic() - started
    driver.quit()
    return {
        "cells": cells,
        "labels": labels,
        "index_bytes": index.stat().st_size,
        "page_bytes_a_cell": round(sum(pages) / cells, 1),
        "first_picture_seconds": round(opened, 2),
        "first_picture_cpu_seconds": round(cpu, 2),
        "pages": shown,
        "rows": rows,
        "rows_drawn": drawn,
        "scroll_seconds": round(scrolled, 1),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="Opens and scrolls a large gallery.")
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--labels", action="store_true", help="classes and boxes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(pathlib.Path(folder), asked.cells, asked.labels)))


if __name__ == "__main__":
    main()
