"""The page of the course: every row has a figure, or says why it has none."""

import dataclasses
import importlib
import pathlib
import sys
from types import ModuleType

import numpy as np
import pytest

from model.networks import vgg

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"

# The slides and exercises of the course, by the name of their row.
ROWS = (
    *("vgg", "filters", "maps", "gradients", "relu", "input", "class", "wishes"),
    *("rebuilt", "gram", "way", "tv"),
    *("axes", "alpha", "seconds", "styles"),
    *("restored", "checkpoint", "callback", "loop"),
    "layers",
)
# What the packaged weights have not: the classifier.
WITHOUT = ("class",)


@pytest.fixture(scope="module")
def course() -> ModuleType:
    # As Python has it when the script is run.
    sys.path.insert(0, str(EXAMPLES))
    yield importlib.import_module("course")
    sys.path.remove(str(EXAMPLES))


@pytest.fixture(scope="module")
def room(course, tmp_path_factory):
    """A classroom with two small pictures and the packaged VGG-16."""
    y, x = np.mgrid[0:64, 0:80]
    photograph = np.stack([3 * x, 4 * y, x + y], axis=-1).astype(np.uint8)
    painting = np.where((x // 5 + y // 5)[..., None] % 2, [220, 60, 30], [20, 40, 90])
    return course.Classroom(
        photograph=photograph,
        paintings={"squares": painting.astype(np.uint8)},
        network="vgg16",
        weights=None,
        size=48,
        steps=2,
        folder=tmp_path_factory.mktemp("saved"),
    )


def test_rows_are_those_of_the_course(course) -> None:
    assert tuple(row.name for row in course.ROWS) == ROWS
    for row in course.ROWS:
        assert row.title
        assert row.text


def test_numbers_of_the_slide_on_guided_backpropagation(course) -> None:
    seeing = sys.modules["slides.seeing"]
    passed = {
        rule: seeing.through_relu(
            np.array(seeing.FORWARD), np.array(seeing.ARRIVING), rule
        ).tolist()
        for rule in seeing.RULES
    }

    # Springenberg et al. 2014, figure 1.
    assert passed == {
        "saliency": [[-2, 0, -1], [6, 0, 0], [0, -1, 3]],
        "deconvnet": [[0, 3, 0], [6, 0, 1], [2, 0, 3]],
        "guided": [[0, 0, 0], [6, 0, 0], [0, 0, 3]],
    }


def test_row_that_cannot_be_drawn_says_why(course, room, tmp_path) -> None:
    absent = dataclasses.replace(room, weights=str(tmp_path / "none.npz"))
    rows = {row.name: row for row in course.ROWS}

    figures, missing = course.draw(rows["filters"], absent)

    assert not figures
    assert "There is no weights file" in missing
    assert "make course NETWORK=vgg16 WEIGHTS=FILE" in missing
    # What needs no weights is drawn all the same.
    assert course.draw(rows["vgg"], absent)[0]
    assert course.draw(rows["axes"], absent)[0]


def test_weights_with_a_classifier_name_the_photograph(
    course, room, tmp_path, monkeypatch, random_arrays, rng
) -> None:
    monkeypatch.setattr(vgg, "_CHANNELS", (2, 2, 2, 2, 2))
    arrays = random_arrays(vgg.vgg_layers("vgg16"))
    for name, shape in {
        "fc1": (7 * 7 * 2, 6),
        "fc2": (6, 5),
        "predictions": (5, 9),
    }.items():
        arrays[f"{name}/kernel"] = rng.normal(0, 0.3, shape).astype(np.float32)
        arrays[f"{name}/bias"] = np.zeros(shape[1], np.float32)
    np.savez(tmp_path / "whole.npz", **arrays)
    photograph = np.tile(room.photograph, (4, 4, 1))
    whole = dataclasses.replace(
        room, weights=str(tmp_path / "whole.npz"), photograph=photograph
    )
    rows = {row.name: row for row in course.ROWS}

    (picture, table), missing = course.draw(rows["class"], whole)

    assert not missing
    assert min(picture.pixels.shape[:2]) == 224
    shares = [float(share.rstrip("%")) for _, share in table.rows]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 5
    assert all(name.startswith("class ") for name, _ in table.rows)
    assert "WEIGHTS=FILE" in course.draw(rows["class"], room)[1]


@pytest.mark.docs
def test_every_row_has_a_figure_on_the_page(course, room, tmp_path) -> None:
    without = course.write_page(room, tmp_path)

    assert tuple(row.name for row in without) == WITHOUT
    page = (tmp_path / "index.html").read_text("utf-8")
    for row in course.ROWS:
        section = page.split(f'<section id="{row.name}">')[1].split("</section>")[0]
        drawn = any(mark in section for mark in ("<img ", "<svg ", "<table"))
        assert drawn == (row.name not in WITHOUT), row.name
        assert ("No figure:" in section) == (row.name in WITHOUT)
    pictures = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert pictures == {
        part.split('"')[0] for part in page.split('<img src="pictures/')[1:]
    }


@pytest.mark.docs
def test_assignment_becomes_a_notebook(course, tmp_path) -> None:
    pytest.importorskip("jupytext", reason="needs the extra docs")

    name = course.write_notebook(tmp_path)

    text = (tmp_path / name).read_text("utf-8")
    assert '"nbformat"' in text
    assert "def total_variation_loss(picture):" in text
