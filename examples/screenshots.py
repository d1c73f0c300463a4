"""Pictures of pages, as somebody has them: light or dark, at a desk or on a phone.

    python examples/screenshots.py --output shots demo/stylized/gallery/index.html
    python examples/screenshots.py --output shots --click .cell --press c \
        --only light-desk demo/stylized/gallery/index.html

Opens each page in headless Chromium, clicks and presses what it is told, and writes a
JPEG for each of the four: `<name>-light-desk.jpg`, and so on. The pictures of pages in
docs/pictures are made by it, of outputs of the demo's pictures.
"""

import argparse
import contextlib
import io
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from PIL import Image

WINDOWS = {"desk": (1280, 800, False), "phone": (360, 740, True)}
SCHEMES = ("light", "dark")
SHOTS = tuple(f"{scheme}-{window}" for scheme in SCHEMES for window in WINDOWS)

# Calls back when every picture in the window is there.
LOADED = """
const done = arguments[0];
(function look() {
  const there = [...document.images].filter(image => {
    const box = image.getBoundingClientRect();
    return image.src && box.width && box.top < innerHeight && box.bottom > 0;
  });
  if (there.every(image => image.complete)) requestAnimationFrame(() => done());
  else requestAnimationFrame(look);
})();
"""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Yield the driver of a headless Chromium, which is gone afterwards."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as profile:
        for argument in ("headless=new", "no-sandbox", "disable-gpu"):
            options.add_argument(f"--{argument}")
        options.add_argument(f"--user-data-dir={profile}")
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            yield driver
        finally:
            driver.quit()


def show(driver: Any, page: str, shot: str, click: str, press: str) -> bytes:
    """Return a page as PNG.

    Args:
        driver: The driver.
        page: Address of the page.
        shot: One of `SHOTS`.
        click: Selector of what is clicked first; empty for nothing.
        press: Keys that are pressed then; empty for none.
    """
    scheme, _, window = shot.partition("-")
    width, height, is_phone = WINDOWS[window]
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": height}
    more = {"deviceScaleFactor": 2 if is_phone else 1, "mobile": is_phone}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size | more)
    touch = {"enabled": is_phone}
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", touch)
    driver.get("about:blank")
    driver.get(page)
    driver.execute_async_script(LOADED)
    if click:
        driver.find_element("css selector", click).click()
        driver.execute_async_script(LOADED)
    if press:
        driver.switch_to.active_element.send_keys(press)
    driver.execute_async_script(LOADED)
    picture: bytes = driver.get_screenshot_as_png()
    return picture


def main(argv: list[str] | None = None) -> int:
    """Take the pictures; prints their paths."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="+", help="HTML files, or addresses")
    parser.add_argument("--output", type=pathlib.Path, default="shots", help="folder")
    parser.add_argument("--click", default="", help="what is clicked first, a selector")
    parser.add_argument("--press", default="", help="keys that are pressed then")
    parser.add_argument("--only", action="append", choices=SHOTS, help="not all four")
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    with chromium() as driver:
        for number, page in enumerate(args.pages):
            path = pathlib.Path(page)
            address = path.resolve().as_uri() if path.exists() else page
            for shot in args.only or SHOTS:
                png = show(driver, address, shot, args.click, args.press)
                file = args.output / f"{number:02}-{path.stem}-{shot}.jpg"
                picture = Image.open(io.BytesIO(png)).convert("RGB")
                picture.save(file, quality=85, optimize=True)
                print(file)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
