"""Cells: their paths, and ids that change with everything that changes bytes."""

import dataclasses

import pytest

from transforms.elements import ImageRef
from transforms.pair import (
    StyleShare,
    StylizeSettings,
    cell_id,
    cell_path,
    grid_cells,
)

SETTINGS = StylizeSettings(
    bundle_id="0123456789ab",
    content_size=0,
    style_size=512,
    precision="float32",
    format="jpg",
    quality=95,
)
CONTENT = ImageRef("cats/a.jpg", "photos", "/photos/cats/a.jpg")
STYLES = (StyleShare("waves-1", "waves.png", "11"), StyleShare("dots-2", "dots", "22"))


def test_grid_is_every_style_with_every_alpha():
    cells = list(grid_cells(CONTENT, "cc", STYLES, (0.25, 1.0), SETTINGS))
    assert [cell.path for cell in cells] == [
        f"images/{CONTENT.id}/waves-1@a0250.jpg",
        f"images/{CONTENT.id}/waves-1.jpg",
        f"images/{CONTENT.id}/dots-2@a0250.jpg",
        f"images/{CONTENT.id}/dots-2.jpg",
    ]
    assert [cell.styles for cell in cells] == [STYLES[:1]] * 2 + [STYLES[1:]] * 2
    assert len({cell.cell_id for cell in cells}) == 4


@pytest.mark.parametrize(
    ("alpha", "suffix"), [(1, ""), (0, "@a0000"), (0.5, "@a0500"), (0.007, "@a0007")]
)
def test_any_alpha_but_one_is_in_the_name(alpha, suffix):
    assert cell_path("c", "s", alpha, "png") == f"images/c/s{suffix}.png"


def identify(**changes):
    made_of = {
        "path": "images/c/s.jpg",
        "content_sha256": "cc",
        "styles": STYLES[:1],
        "alpha": 1.0,
        "settings": SETTINGS,
    }
    return cell_id(**(made_of | changes))


def test_cell_id_is_stable():
    # A contract with every manifest that exists: it may not change unnoticed.
    assert identify() == "3b0606e4692cb3f1"
    assert identify() == identify()


@pytest.mark.parametrize(
    "change",
    [
        {"path": "images/c/t.jpg"},
        {"content_sha256": "cd"},
        {"alpha": 0.5},
        {"styles": STYLES[1:]},
        {"styles": (dataclasses.replace(STYLES[0], weight=0.5),)},
        {"styles": (dataclasses.replace(STYLES[0], mask_sha256="ff"),)},
        *(
            {"settings": dataclasses.replace(SETTINGS, **{name: value})}
            for name, value in {
                "bundle_id": "ba9876543210",
                "content_size": 256,
                "style_size": 256,
                "precision": "bfloat16",
                "format": "png",
                "quality": 90,
            }.items()
        ),
    ],
    ids=str,
)
def test_cell_id_changes_with_whatever_changes_bytes(change):
    assert identify(**change) != identify()


def test_cell_id_does_not_depend_on_the_name_of_a_style():
    renamed = dataclasses.replace(STYLES[0], key="other.png")
    assert identify(styles=(renamed,)) == identify()
