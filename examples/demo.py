"""One photograph in 25 styles: the exercise of the course, as `make demo` runs it.

    python examples/demo.py --output demo

Paints 25 style images, takes a photograph that ships inside scikit-image, stylizes it
with all of them, and makes a contact sheet beside the gallery.
"""

import argparse
import pathlib
import subprocess
import sys

import paintings
import skimage.data
from PIL import Image
from sheet import contact_sheet

# In the wheel of scikit-image, so that nothing has to be downloaded.
PHOTOGRAPHS = ("chelsea", "coffee", "astronaut", "rocket")


def main(argv: list[str] | None = None) -> int:
    """Run the demo; prints the path of the gallery last."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, default="demo", help="a folder")
    parser.add_argument("--photo", choices=PHOTOGRAPHS, default=PHOTOGRAPHS[0])
    args = parser.parse_args(argv)
    styles = args.output / "styles"
    if not styles.is_dir():
        print(f"painting 25 styles into {styles}", file=sys.stderr)
        unfinished = args.output / "styles-unfinished"
        paintings.main(["--output", str(unfinished)])
        unfinished.rename(styles)
    contents = args.output / "content"
    contents.mkdir(exist_ok=True)
    photograph = contents / f"{args.photo}.png"
    if not photograph.exists():
        Image.fromarray(getattr(skimage.data, args.photo)()).save(photograph)
    stylized = args.output / "stylized"
    command = [sys.executable, "-m", "pipelines", "stylize"]
    command += ["--content", str(photograph), "--style", str(styles)]
    command += ["--output", str(stylized)]
    print(f"stylebeam {' '.join(command[3:])}", file=sys.stderr)
    status = subprocess.run(command, check=False).returncode
    if status == 0:
        sheet = args.output / "sheet.jpg"
        contact_sheet(stylized, styles).save(sheet, quality=90)
        print(f"contact sheet: {sheet}", file=sys.stderr)
        print(f"open this in a browser: {stylized / 'gallery' / 'index.html'}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
