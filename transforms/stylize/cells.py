"""A cell: one content, its styles and a strength; its path and its id."""

import dataclasses
import functools
import hashlib
import itertools
import json
import posixpath
import re
from collections.abc import Sequence
from typing import Any, Final, Literal

from model.config import Precision, canonical_json
from transforms.elements import ImageRef, PreserveColor, image_id

BANK_NAME: Final = "styles.parquet"
"""Name of the style bank in an output."""

ORIGINAL_ID: Final = "original"
"""Id and key of the style of originals; that of a painting ends in a hash."""

PictureFormat = Literal["jpg", "png"]
Layout = Literal["grid", "tree"]
OutputFormat = Literal["files", "tfrecord", "webdataset", "parquet"]

# In bytes: what file systems take, and far less than a path of Linux may have.
_LONGEST_NAME: Final = 255
_LONGEST_FOLDER: Final = 2048
# What the id of a cell is made of beside the settings, sorted.
_OF_A_CELL: Final = ("alpha", "content_sha256", "path", "styles")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StylizeSettings:
    """What changes the bytes of a picture but not its path: the identity of an output.

    Attributes:
        bundle_id: Id of the bundle.
        content_size: Shortest side of a content in pixels; 0 keeps its size.
        style_size: Shortest side of a style in pixels; 0 keeps its size.
        precision: Type of the convolutions.
        format: File format of the pictures.
        quality: Quality of JPEG pictures, 1 to 100.
        preserve_color: How the colours of the content are kept.
    """

    bundle_id: str
    content_size: int
    style_size: int
    precision: Precision
    format: PictureFormat
    quality: int
    preserve_color: PreserveColor = "none"

    def to_json(self) -> dict[str, Any]:
        """Return the settings as job.json keeps them."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class StyleShare:
    """One style of a cell and its share; a row of the manifest's column `styles`.

    Attributes:
        id: Id of the style.
        key: Key of the style.
        sha256: The sha256 of its file.
        weight: Share of the style; 1 where a cell has one style.
        mask_sha256: The sha256 of the style's mask; None where there is none.
    """

    id: str
    key: str
    sha256: str
    weight: float = 1.0
    mask_sha256: str | None = None


# The style of a photograph that is kept as it is: no file, and so no hash of one.
ORIGINAL: Final = StyleShare(ORIGINAL_ID, ORIGINAL_ID, "")


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One picture to make.

    Attributes:
        cell_id: 16 hexadecimal digits that change with everything that changes bytes.
        path: Path of the picture, relative to the output.
        styles: Styles of the cell.
        alpha: Strength of the style in [0, 1].
    """

    cell_id: str
    path: str
    styles: tuple[StyleShare, ...]
    alpha: float


def cell_path(
    content: ImageRef,
    styles: Sequence[StyleShare],
    alpha: float,
    picture_format: PictureFormat,
    layout: Layout = "grid",
) -> str:
    """Return the path of a picture, relative to the output.

    In a grid each content is a folder. In a tree the folders are those of the input, so
    that the classes of an ImageFolder data set stay its folders.

    >>> cat = ImageRef("train/cat/1.jpg", "photos", "/photos/train/cat/1.jpg")
    >>> waves = StyleShare("waves-ba9876543210", "waves.png", "00")
    >>> cell_path(cat, [waves], 0.5, "jpg")
    'images/train-cat-1-jpg-3415ba23baa9/waves-ba9876543210@a0500.jpg'
    >>> cell_path(cat, [waves], 1.0, "jpg", "tree")
    'images/train/cat/1-jpg-3c2e2d6a4c0f@waves-ba9876543210.jpg'
    >>> cell_path(cat, [ORIGINAL], 0.0, "jpg", "tree")
    'images/train/cat/1-jpg-3c2e2d6a4c0f@original.jpg'
    """
    # A full-strength picture keeps its plain name when other alphas join it later.
    plain = alpha == 1 or tuple(styles) == (ORIGINAL,)
    strength = "" if plain else f"@a{round(alpha * 1000):04d}"
    name = f"{styles_name(styles)}{strength}.{picture_format}"
    if layout == "grid":
        return f"images/{content.id}/{name}"
    folder, file = posixpath.split(content.key)
    # The name alone may be too long, or the same for `1.jpg` and `1.png`.
    return posixpath.join("images", _short(folder), f"{image_id(file)}@{name}")


def _short(folder: str) -> str:
    """Return a folder as a file system takes it: archives may have longer names."""
    parts = (
        part if len(part.encode()) <= _LONGEST_NAME else image_id(part)
        for part in folder.split("/")
    )
    short = "/".join(parts)
    return short if len(short.encode()) <= _LONGEST_FOLDER else image_id(folder)


def styles_name(styles: Sequence[StyleShare]) -> str:
    """Return the name of a style, or of a blend: `mix-` and 12 hexadecimal digits."""
    if len(styles) == 1 and styles[0].mask_sha256 is None:
        return styles[0].id
    weights = [[s.id, s.weight, s.mask_sha256] for s in styles]
    return f"mix-{hashlib.sha256(canonical_json(weights)).hexdigest()[:12]}"


def cell_id(
    path: str,
    content_sha256: str,
    styles: Sequence[StyleShare],
    alpha: float,
    settings: StylizeSettings,
) -> str:
    """Return the first 16 hexadecimal digits of the sha256 of all that makes a picture.

    Args:
        path: Path of the picture, relative to the output.
        content_sha256: The sha256 of the content's file.
        styles: The styles with their weights and masks.
        alpha: Strength of the style.
        settings: The identity of the output.
    """
    values = _text(alpha), _text(content_sha256), _text(path), _texts(styles)
    pieces = _pieces(settings)
    text = "".join(itertools.chain(*zip(pieces, values, strict=False), pieces[-1:]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=8)
def _pieces(settings: StylizeSettings) -> list[str]:
    """Return what is between the values in the canonical JSON of a cell.

    The encoder of Python's json takes longer over a million cells than all the rest of
    their planning.
    """
    marks = {name: f"@{name}@" for name in _OF_A_CELL}
    text = canonical_json({**settings.to_json(), **marks}).decode()
    return re.split("|".join(f'"{mark}"' for mark in marks.values()), text)


def _text(value: str | float | None) -> str:
    return json.dumps(value, ensure_ascii=False)


def _texts(styles: Sequence[StyleShare]) -> str:
    """Return the canonical JSON of the styles of a cell, as deep as it stands there."""
    inside = ",\n".join(
        f"    [\n      {_text(style.sha256)},\n      {_text(style.weight)},\n"
        f"      {_text(style.mask_sha256)}\n    ]"
        for style in styles
    )
    return f"[\n{inside}\n  ]" if inside else "[]"
