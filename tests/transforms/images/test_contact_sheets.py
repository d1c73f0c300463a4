import io

import numpy as np
from PIL import Image

from transforms.images.contact_sheets import (
    PAPER,
    draw_contact_sheet,
    grid_sheet,
    overview,
    sheet_jpeg,
)

RED, BLUE = (200, 0, 0), (0, 0, 200)


def plain(colour, height=4, width=6):
    return np.full((height, width, 3), colour, np.uint8)


def test_pictures_lie_at_their_places_and_the_rest_is_paper():
    pictures = {(0, 0): plain(RED), (1, 1): plain(BLUE)}

    sheet = np.asarray(draw_contact_sheet(pictures, 2, 2, gap=3))

    expected = np.full((3 + 2 * 7, 3 + 2 * 9, 3), PAPER, np.uint8)
    expected[3:7, 3:9] = RED
    expected[10:14, 12:18] = BLUE
    np.testing.assert_array_equal(sheet, expected)


def test_column_may_lie_between_two_others():
    white = (255, 255, 255)
    sheet = draw_contact_sheet({(0.5, 0): plain(RED)}, 2, 1, gap=2, paper=white)

    red = (np.asarray(sheet) == RED).all(-1)
    assert np.flatnonzero(red.any(0)).tolist() == list(range(6, 12))


def test_grid_has_styles_above_contents_at_the_left_and_results_inside():
    contents = [plain((1, 0, 0), 8, 8).astype(np.float32)] * 2
    styles = [plain((0, 1, 0), 8, 8).astype(np.float32)]
    made = plain((0, 0, 1), 8, 8).astype(np.float32)

    sheet = np.asarray(grid_sheet(contents, styles, {(1, 0): made}, cell=10))

    def at(column, line):
        return sheet[6 + 16 * line + 5, 6 + 16 * column + 5].tolist()

    assert at(1, 0) == [0, 255, 0]
    assert at(0, 1) == at(0, 2) == [255, 0, 0]
    assert at(1, 2) == [0, 0, 255]
    assert at(0, 0) == at(1, 1) == list(PAPER)


def test_overview_shows_the_middle_squares_eight_a_line():
    wide = plain(BLUE, 100, 300)
    wide[:, 100:200] = RED

    image = Image.open(io.BytesIO(overview([wide] * 9)))

    assert (image.format, image.size) == ("JPEG", (8 * 164 + 4, 2 * 164 + 4))
    middle = np.asarray(image)[84, 84].astype(int)
    assert abs(middle - RED).max() < 6
    assert abs(np.asarray(image)[250, 250].astype(int) - PAPER).max() < 6


def test_jpeg_of_a_sheet_is_always_the_same():
    sheet = draw_contact_sheet({(0, 0): plain(RED)}, 1, 1)

    assert sheet_jpeg(sheet, 90) == sheet_jpeg(sheet, 90)
    assert Image.open(io.BytesIO(sheet_jpeg(sheet, 90))).size == sheet.size
