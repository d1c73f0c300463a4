"""Which content meets which style: the cells of the grid, their names and ids."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from model.config import Precision, canonical_json
from transforms.elements import ImageRef

PictureFormat = Literal["jpg", "png"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StylizeSettings:
    """What changes the bytes of a picture but not its path: the identity of an output.

    Attributes:
        bundle_id: Id of the bundle.
        content_size: Shortest side of a content in pixels; 0 keeps its size.
        style_size: Shortest side of a style in pixels; 0 keeps its size.
        precision: Of the convolutions.
        format: Of the pictures.
        quality: Of JPEG, 1 to 100.
    """

    bundle_id: str
    content_size: int
    style_size: int
    precision: Precision
    format: PictureFormat
    quality: int

    def to_json(self) -> dict[str, Any]:
        """Return the settings as job.json keeps them."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class StyleShare:
    """One style of a cell and its share; a row of the manifest's column `styles`.

    Attributes:
        id: Id of the style.
        key: Key of the style.
        sha256: Of its file.
        weight: Its share; 1 where a cell has one style.
        mask_sha256: Of its mask; None where there is none.
    """

    id: str
    key: str
    sha256: str
    weight: float = 1.0
    mask_sha256: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One picture to make.

    Attributes:
        cell_id: 16 hexadecimal digits that change with everything that changes bytes.
        path: Of the picture, relative to the output.
        styles: Its styles.
        alpha: Strength of the style in [0, 1].
    """

    cell_id: str
    path: str
    styles: tuple[StyleShare, ...]
    alpha: float


def grid_cells(
    content: ImageRef,
    content_sha256: str,
    styles: Sequence[StyleShare],
    alphas: Sequence[float],
    settings: StylizeSettings,
) -> Iterator[Cell]:
    """Yield the cells of one content: every style with every alpha, in that order."""
    for style in styles:
        for alpha in alphas:
            path = cell_path(content.id, style.id, alpha, settings.format)
            yield Cell(
                cell_id(path, content_sha256, (style,), alpha, settings),
                path,
                (style,),
                alpha,
            )


def cell_path(
    content_id: str, style_id: str, alpha: float, picture_format: PictureFormat
) -> str:
    """Return the path of a picture, relative to the output.

    >>> cell_path("cat-0123456789ab", "waves-ba9876543210", 0.5, "jpg")
    'images/cat-0123456789ab/waves-ba9876543210@a0500.jpg'
    """
    # A full-strength picture keeps its plain name when other alphas join it later.
    strength = "" if alpha == 1 else f"@a{round(alpha * 1000):04d}"
    return f"images/{content_id}/{style_id}{strength}.{picture_format}"


def cell_id(
    path: str,
    content_sha256: str,
    styles: Sequence[StyleShare],
    alpha: float,
    settings: StylizeSettings,
) -> str:
    """Return the first 16 hexadecimal digits of the sha256 of all that makes a picture.

    Args:
        path: Of the picture, relative to the output.
        content_sha256: Of the content's file.
        styles: The styles with their weights and masks.
        alpha: Strength of the style.
        settings: The identity of the output.
    """
    made_of = {
        "path": path,
        "content_sha256": content_sha256,
        "styles": [[s.sha256, s.weight, s.mask_sha256] for s in styles],
        "alpha": alpha,
        **settings.to_json(),
    }
    return hashlib.sha256(canonical_json(made_of)).hexdigest()[:16]
