"""Boxes around top images follow from the scores that are kept of each photograph."""

import numpy as np

from model.attribution.featuremaps import receptive_field
from model.networks.vgg import vgg_layers
from transforms.visualize.photograph_boxes import boxes_of
from transforms.visualize.sheet import scores_path
from transforms.visualize.top_scores import pack_scores

LAYER = "block2_conv1"


def test_a_box_is_what_the_strongest_neuron_sees(output, settings, tiny_vgg):
    score = np.float32([1, 2, 3, 4, 5, 6])
    row, column = (np.arange(6, dtype=np.int32) * step for step in (2, 3))
    data = pack_scores({LAYER: (score, row, column)})
    output.write(scores_path("a.png"), data)
    tops = [("a.png", LAYER, c) for c in (0, 5)] + [("gone.png", LAYER, 1)]
    found = boxes_of(tops, {"a.png": (60, 40)}, output, settings)
    field = receptive_field(vgg_layers("vgg16"), LAYER)
    assert found == {
        ("a.png", LAYER, 0): field.box(0, 0, 40, 60),
        ("a.png", LAYER, 5): field.box(10, 15, 40, 60),
    }
    # Scores that are gone leave the photograph without a box.
    assert not boxes_of(tops, {"gone.png": (60, 40)}, output, settings)
