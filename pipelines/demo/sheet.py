"""A contact sheet of one photograph and its stylizations."""

import pathlib

import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont, ImageOps

_TILE = (300, 200)
_SWATCH = (66, 66)
_GAP = 10
_CAPTION = 22
_COLUMNS = 5
_PAPER = (250, 249, 246)
_INK = (40, 40, 40)


def contact_sheet(stylized: pathlib.Path, styles: pathlib.Path) -> Image.Image:
    """Return a sheet: every picture with its style in the corner and its name below.

    Args:
        stylized: Output of `stylebeam stylize`; all its pictures of one content.
        styles: Folder of the styles.
    """
    rows = pq.read_table(stylized / "manifest", columns=["path", "styles"]).to_pylist()
    rows.sort(key=lambda row: row["styles"][0]["key"])
    width = _COLUMNS * (_TILE[0] + _GAP) + _GAP
    lines = -(-len(rows) // _COLUMNS)
    height = lines * (_TILE[1] + _CAPTION + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for index, row in enumerate(rows):
        left = _GAP + index % _COLUMNS * (_TILE[0] + _GAP)
        top = _GAP + index // _COLUMNS * (_TILE[1] + _CAPTION + _GAP)
        key = row["styles"][0]["key"]
        with Image.open(stylized / row["path"]) as picture:
            sheet.paste(ImageOps.fit(picture, _TILE), (left, top))
        with Image.open(styles / key) as style:
            swatch = ImageOps.expand(ImageOps.fit(style, _SWATCH), 3, _PAPER)
        sheet.paste(swatch, (left, top + _TILE[1] - swatch.height))
        name = pathlib.PurePath(key).stem.replace("-", " ")
        draw.text((left + 2, top + _TILE[1] + 3), name, fill=_INK, font=font)
    return sheet
