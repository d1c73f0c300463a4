"""Every figure of the course on one page, as `make course` draws it.

    python examples/course.py --output course
    python examples/course.py --output course --network vgg19 --weights FILE

What cannot be drawn here says why in its row, and the rest is drawn.
"""

import argparse
import dataclasses
import io
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import paintings
from markupsafe import Markup
from PIL import Image
from slides.classroom import Classroom
from slides.figure import Drawing, Figure, NotDrawnError, Picture, Pixels, Table
from slides.rows import ROWS, Row

from stylebeam.pictures import pixels_of
from transforms.pages.render import environment

ROOT = pathlib.Path(__file__).resolve().parents[1]
_TEMPLATES = pathlib.Path(__file__).parent / "slides"
# The one for all figures of a single style.
FIRST_PAINTING = "woodblock-waves"


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A row of the page.

    Attributes:
        row: What it is about.
        part_number: Place of its part on the page.
        pictures: Pictures and drawings, as the template takes them.
        tables: Its tables.
        missing: Why there is no figure; empty where there is one.
    """

    row: Row
    part_number: int
    pictures: Sequence[Mapping[str, Any]]
    tables: Sequence[Table]
    missing: str


def draw(row: Row, room: Classroom) -> tuple[Sequence[Figure], str]:
    """Return the figures of a row, or why there is none."""
    try:
        return row.draw(room), ""
    except NotDrawnError as missing:
        return (), str(missing)


def write_page(room: Classroom, output: pathlib.Path, notebook: str = "") -> list[Row]:
    """Draw all rows and write the page; return the rows without a figure.

    Args:
        room: What they are drawn from.
        output: Folder of the page.
        notebook: File of the assignment beside the page; empty where there is none.
    """
    parts = list(dict.fromkeys(row.part for row in ROWS))
    entries, without = [], []
    for row in ROWS:
        begun = time.perf_counter()
        figures, missing = draw(row, room)
        took = time.perf_counter() - begun
        print(f"{row.name}: {missing or f'{took:.1f} s'}", file=sys.stderr)
        if missing:
            without.append(row)
        pictures = [
            _shown(figure, row.name, place, output)
            for place, figure in enumerate(figures)
            if not isinstance(figure, Table)
        ]
        tables = [figure for figure in figures if isinstance(figure, Table)]
        number = parts.index(row.part)
        entries.append(Entry(row, number, pictures, tables, missing))
    page = environment(str(_TEMPLATES)).get_template("course.html")
    text = page.render(
        entries=entries,
        drawn=len(ROWS) - len(without),
        total=len(ROWS),
        network=room.network,
        size=room.size,
        steps=room.steps,
        notebook=notebook,
    )
    (output / "index.html").write_text(text, "utf-8")
    return without


def _shown(
    figure: Picture | Drawing, name: str, place: int, output: pathlib.Path
) -> dict[str, Any]:
    if isinstance(figure, Drawing):
        return {"svg": Markup(figure.svg), "caption": figure.caption, "file": ""}
    file = f"pictures/{name}-{place:02d}.png"
    path = output / file
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, _ = figure.pixels.shape
    Image.fromarray(figure.pixels).save(path)
    return {
        "svg": "",
        "file": file,
        "width": width,
        "height": height,
        "caption": figure.caption,
        "crisp": figure.crisp,
    }


def write_notebook(output: pathlib.Path) -> str:
    """Write the assignment as a notebook; return its name, or nothing without Jupytext.

    Args:
        output: Folder of the page.
    """
    try:
        import jupytext
    except ImportError:
        return ""
    notebook = jupytext.read(ROOT / "docs" / "tutorials" / "assignment.md")
    file = io.StringIO()
    jupytext.write(notebook, file, fmt="ipynb")
    name = "assignment.ipynb"
    (output / name).write_text(file.getvalue(), "utf-8")
    return name


def _paintings(folder: pathlib.Path) -> dict[str, Pixels]:
    """Return the 25 paintings, out of a folder where they were painted before."""
    folder.mkdir(parents=True, exist_ok=True)
    first = [FIRST_PAINTING]
    names = first + [name for name in paintings.PAINTINGS if name not in first]
    missing = [name for name in names if not (folder / f"{name}.png").exists()]
    if missing:
        print(f"painting {len(missing)} styles into {folder}", file=sys.stderr)
        paintings.main(["--output", str(folder), *missing])
    return {name: pixels_of(folder / f"{name}.png") for name in names}


def _photograph() -> Pixels:
    import skimage.data

    photograph: Pixels = skimage.data.chelsea()
    return photograph


def main(argv: list[str] | None = None) -> int:
    """Draw the page; prints its path last."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, default="course", help="folder")
    parser.add_argument("--network", choices=("vgg16", "vgg19"), default="vgg16")
    parser.add_argument("--weights", help="file of its weights, .h5 or .npz")
    parser.add_argument("--size", type=int, default=224, help="shortest side, pixels")
    parser.add_argument("--steps", type=int, default=120, help="of an optimisation")
    args = parser.parse_args(argv)
    output: pathlib.Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    room = Classroom(
        photograph=_photograph(),
        paintings=_paintings(output / "styles"),
        network=args.network,
        weights=args.weights,
        size=args.size,
        steps=args.steps,
        folder=output / "saved",
    )
    without = write_page(room, output, write_notebook(output))
    if without:
        names = ", ".join(row.name for row in without)
        print(f"without a figure: {names}", file=sys.stderr)
    print(f"open this in a browser: {output / 'index.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
