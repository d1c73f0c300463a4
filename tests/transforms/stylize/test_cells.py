"""Cells: their paths, and ids that change with everything that changes bytes."""

import dataclasses
import hashlib
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import canonical_json
from transforms.elements import ImageRef, PreserveColor
from transforms.stylize.cells import (
    StyleShare,
    StylizeSettings,
    cell_id,
    cell_path,
    styles_name,
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


@pytest.mark.parametrize(
    ("alpha", "suffix"), [(1, ""), (0, "@a0000"), (0.5, "@a0500"), (0.007, "@a0007")]
)
def test_any_alpha_but_one_is_in_the_name(alpha, suffix):
    path = cell_path(CONTENT, STYLES[:1], alpha, "png")
    assert path == f"images/{CONTENT.id}/waves-1{suffix}.png"


def test_tree_keeps_the_folders_and_keeps_names_apart():
    names = ["cats/a.jpg", "cats/a.png", "a.jpg", "dogs/a.jpg"]
    refs = [ImageRef(name, "photos", f"/photos/{name}") for name in names]
    paths = [cell_path(ref, STYLES[:1], 1.0, "jpg", "tree") for ref in refs]
    assert len(set(paths)) == 4
    assert [path.rsplit("/", 1)[0] for path in paths] == [
        "images/cats",
        "images/cats",
        "images",
        "images/dogs",
    ]


@pytest.mark.parametrize(
    "folder",
    [
        f"cats/{255 * 'b'}",
        f"cats/{300 * 'b'}/c",
        f"cats/{200 * 'é'}",
        "/".join("ab" * 2000),
    ],
)
def test_a_tree_has_no_name_that_a_file_system_refuses(tmp_path, folder):
    refs = [ImageRef(f"{folder}/{name}", "", "") for name in ("a.jpg", "b.jpg")]
    first, second = (
        tmp_path / cell_path(ref, STYLES[:1], 1.0, "jpg", "tree") for ref in refs
    )
    first.parent.mkdir(parents=True)
    first.touch()
    second.touch()
    assert len(list(first.parent.iterdir())) == 2
    kept = str(first.parent.relative_to(tmp_path / "images")) == folder
    assert kept == (len(folder) == 260)


def test_blends_are_named_by_their_weights_and_masks():
    half = [dataclasses.replace(style, weight=0.5) for style in STYLES]
    masked = [dataclasses.replace(half[0], mask_sha256="ff"), half[1]]
    names = {styles_name(styles) for styles in (half, half[::-1], masked)}
    assert len(names) == 3
    assert all(re.fullmatch("mix-[0-9a-f]{12}", name) for name in names)
    assert styles_name(STYLES[:1]) == "waves-1"
    assert styles_name(masked[:1]).startswith("mix-")


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
    assert identify() == "d680870a394d8f29"
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
                "preserve_color": "luminance",
            }.items()
        ),
    ],
    ids=str,
)
def test_cell_id_changes_with_whatever_changes_bytes(change):
    assert identify(**change) != identify()


@given(
    path=st.text(max_size=20).filter(lambda text: text.isprintable()),
    alpha=st.floats(0, 1),
    shares=st.lists(
        st.tuples(
            st.text('abcé"\\', max_size=4), st.floats(0, 1), st.none() | st.just("m")
        ),
        max_size=3,
    ),
    preserve=st.sampled_from(get_args(PreserveColor)),
)
def test_cell_id_is_that_of_the_canonical_json(path, alpha, shares, preserve):
    settings = dataclasses.replace(SETTINGS, preserve_color=preserve)
    styles = [StyleShare("i", "k", sha, weight, mask) for sha, weight, mask in shares]
    made_of = {
        "path": path,
        "content_sha256": "c0",
        "styles": [list(share) for share in shares],
        "alpha": alpha,
        **settings.to_json(),
    }
    expected = hashlib.sha256(canonical_json(made_of)).hexdigest()[:16]
    assert cell_id(path, "c0", styles, alpha, settings) == expected


def test_cell_id_does_not_depend_on_the_name_of_a_style():
    renamed = dataclasses.replace(STYLES[0], key="other.png")
    assert identify(styles=(renamed,)) == identify()
