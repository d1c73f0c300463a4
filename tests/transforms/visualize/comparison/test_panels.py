"""Gram matrices and alignment as pictures: what a pixel stands for."""

import numpy as np

from transforms.visualize import canvas
from transforms.visualize.canvas import Canvas
from transforms.visualize.comparison.panels import (
    BEFORE,
    RESULTS,
    draw_alignment,
    gram_picture,
    gram_scale,
    loudest_first,
)


def test_a_gram_matrix_is_drawn_by_the_roots_of_its_entries():
    gram = np.array([[1.0, 0, 2], [0, 0, 0], [2, 0, 16]])
    order = loudest_first(gram)
    assert order.tolist() == [2, 0, 1]
    picture = gram_picture(gram, order, 16, 6)
    assert picture.shape == (6, 6, 3)
    expected = canvas.viridis(np.round(np.sqrt([1, 2 / 16, 0, 1 / 16]) * 255) / 255)
    for (y, x), colour in zip(((0, 0), (0, 2), (5, 5), (2, 2)), expected, strict=True):
        assert picture[y, x].tolist() == colour.tolist()
    # What is brighter than the scale is as bright as it gets.
    assert gram_picture(gram, order, 1, 6)[0, 0].tolist() == expected[0].tolist()
    assert gram_scale(np.zeros((4, 4))) == 1


def test_a_large_matrix_is_shrunk_by_means():
    gram = np.zeros((4, 4))
    gram[0, 0] = 1
    shown = gram_picture(gram, np.arange(4), 1, 2)
    assert shown[0, 0].tolist() == canvas.viridis(np.array(64 / 255)).tolist()


def test_what_has_what_was_asked_for_lies_on_the_line():
    sheet = Canvas(100, 100)
    goal = np.array([0.0, 1, 4])
    draw_alignment(sheet, (0, 0, 100, 100), goal, np.zeros(3), [goal, goal[::-1]])

    def dots(colour):
        return {tuple(p) for p in np.argwhere((sheet.pixels == colour).all(axis=-1))}

    first, second = (dots(colour) for colour in RESULTS)
    assert all(y + x in (98, 99, 100) for y, x in first)
    # The second result has the two ends exchanged, and covers the middle of the first.
    assert len(first) == 8
    assert {(2, 1), (98, 97)} <= second
    # The photograph is 0 everywhere.
    assert {y for y, _ in dots(BEFORE)} <= {97, 98}
