"""The sheet of classes: what the head holds a picture for, and where."""

from typing import Final

import numpy as np

from model.networks.vgg import PREDICTIONS
from transforms.visualize import canvas
from transforms.visualize.canvas import CAPTION, GAP, MARGIN, Canvas
from transforms.visualize.explanations import class_probabilities
from transforms.visualize.handler import Look
from transforms.visualize.networks import chosen_channels
from transforms.visualize.settings import Kind, VisualizeSettings
from transforms.visualize.sheet import Sheet, Tile, sheet_path, statistics

_WIDTH: Final = 190
_COLUMNS: Final = 4


def draw_classes(look: Look, settings: VisualizeSettings) -> Sheet:
    """Draw the photograph and, for each class, its probability at each place.

    A place is what the head sees at once, 224 x 224 pixels, 32 from its neighbours; the
    maps have one scale, 0 to 1.
    """
    from model.networks.class_names import shown_name
    from model.networks.head import probabilities

    scores = look.features[PREDICTIONS]
    known = class_probabilities(scores)
    maps = probabilities(scores)
    pixels = look.image.pixels
    width, height = canvas.map_size(pixels, _WIDTH)
    chosen = chosen_channels(settings.methods.classes, scores)
    rows = -(-(1 + len(chosen)) // _COLUMNS)
    tall = height + 2 * CAPTION + GAP
    sheet = Canvas(
        2 * MARGIN + _COLUMNS * (width + GAP) - GAP, MARGIN + 30 + rows * tall + GAP
    )
    places = f"{scores.shape[1]} x {scores.shape[0]}"
    sheet.write(f"{PREDICTIONS}: classes at {places} places", MARGIN, MARGIN - 2, 15)
    tiles = []
    facts = []
    for place, number in enumerate((None, *chosen)):
        row, column = divmod(place, _COLUMNS)
        left, top = MARGIN + column * (width + GAP), MARGIN + 26 + row * tall
        box = (left, top, width, height)
        if number is None:
            sheet.paste(canvas.fitted(pixels, width, height), left, top)
            tiles.append(Tile("", box))
            sheet.write("the photograph", left, top + height + 3)
            continue
        one = maps[..., number]
        tiles.append(Tile(PREDICTIONS, box, number, **statistics(one)))
        grey = np.rint(one * 255).astype(np.uint8)
        shown = canvas.fitted(grey, width, height)
        sheet.paste(canvas.viridis(shown / 255), left, top)
        name = shown_name(look.class_names, number)
        rank = int((known > known[number]).sum()) + 1
        text = f"{known[number]:.1%}, place {rank} of {len(known)}"
        sheet.write(name, left, top + height + 3)
        sheet.write(text, left, top + height + 3 + CAPTION, 11, canvas.SOFT)
        facts.append(
            {
                "channel": number,
                "name": name,
                "probability": float(known[number]),
                "score": float(scores[..., number].mean(dtype=np.float64)),
                "notes": [text],
            }
        )
    path = sheet_path(look.image.ref.key, Kind.CLASSES, PREDICTIONS)
    size = sheet.size
    data = sheet.png()
    return Sheet(path, Kind.CLASSES, PREDICTIONS, "", data, size, tiles, facts=facts)
