"""Figures of what the network sees: feature maps, what moves them, what they want."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.attribution.feature_visualization import FeatureVisualizer, Wish
from model.attribution.featuremaps import most_active
from model.attribution.gradients import RULES, Attribution, Rule
from model.config import ConvSpec
from model.networks.class_names import imagenet_names, shown_name
from model.networks.encoder import IMAGENET_MEAN_BGR
from model.networks.head import has_head, head_of, probabilities
from model.networks.vgg import PREDICTIONS
from slides.classroom import BLOCKS, Classroom, floats
from slides.figure import Figure, NotDrawnError, Picture, Table
from transforms.images.decoder import resize_image
from transforms.visualize.canvas import viridis
from transforms.visualize.gradient_sheets import gradient_views

_NAMES = {
    "saliency": "plain backpropagation",
    "deconvnet": "deconvnet",
    "guided": "guided backpropagation",
}
_LAYER = BLOCKS[4]
# A side in pixels: such pictures are made in hundreds of steps.
_WISHED = 128
# The shortest side in pixels that the head of VGG takes.
_CLASSIFIED = 224

# Springenberg et al. 2014, figure 1: what comes into a ReLU on the way forward, and
# what arrives at it on the way back.
FORWARD = ((1, -1, 5), (2, -5, -7), (-3, 2, 4))
ARRIVING = ((-2, 3, -1), (6, -3, 1), (2, -1, 3))


def feature_maps(room: Classroom) -> Sequence[Figure]:
    """Draw the busiest maps of the first layer, and two of each block."""
    found: list[Figure] = [Picture(room.small, "the photograph")]
    for layer, count in zip(BLOCKS, (7, 2, 2, 2, 2), strict=True):
        features = room.activations[layer].numpy()[0]
        height, width, _ = features.shape
        for channel in most_active(features, count):
            shown = features[..., channel]
            caption = f"{layer}, map {channel} ({width} × {height})"
            largest = float(np.quantile(shown, 0.999)) or float(shown.max()) or 1.0
            found.append(Picture(viridis(shown / largest), caption, crisp=True))
    return found


def gradients(room: Classroom) -> Sequence[Figure]:
    """Draw what moves the maximum neurons of a layer, and one map, by three rules."""
    busiest = most_active(room.activations[_LAYER].numpy()[0], 1)[0]
    found: list[Figure] = []
    for channel, name in ((None, "maximum neurons"), (busiest, f"map {busiest}")):
        for rule in RULES:
            gradient = room.seen.gradients(room.activations, _LAYER, rule, [channel])
            shown = gradient_views(room.small, gradient[0, 0])["gradient"]
            found.append(Picture(shown, f"{name} of {_LAYER}, {_NAMES[rule]}"))
    return found


def named(room: Classroom) -> Sequence[Figure]:
    """Tell what the whole network, with its classifier, calls the photograph."""
    if not has_head(room.arrays):
        raise NotDrawnError(
            "These weights end with the last convolution, as the packaged ones do. A "
            f"file with the classifier tells it: make course NETWORK={room.network} "
            "WEIGHTS=FILE"
        )
    if (side := min(room.photograph.shape[:2])) < _CLASSIFIED:
        raise NotDrawnError(
            f"The classifier needs a photograph of {_CLASSIFIED} pixels a side; the "
            f"shorter one of this has {side}."
        )
    head, dense = head_of(room.arrays, room.layers[-1], origin="the file of weights")
    network = Attribution((*room.layers, *head), {**room.arrays, **dense})
    photograph = resize_image(room.photograph, _CLASSIFIED)
    scores = network.activations(floats(photograph))[PREDICTIONS].numpy()[0]
    shares = probabilities(scores.mean(axis=(0, 1)))
    names = imagenet_names()
    names = names if len(names) == len(shares) else ()
    rows = [
        [shown_name(names, number), f"{shares[number]:.1%}"]
        for number in np.argsort(-shares, kind="stable")[:5]
    ]
    return [
        Picture(photograph, "what the network looks at"),
        Table(("class", "probability"), rows, "the five likeliest of all classes"),
    ]


def wishes(room: Classroom) -> Sequence[Figure]:
    """Draw what the busiest maps of two layers would like to see."""
    visualizer = FeatureVisualizer(room.layers, room.arrays)
    size = min(_WISHED, room.size)
    found: list[Figure] = []
    for layer in (BLOCKS[2], BLOCKS[4]):
        busiest = most_active(room.activations[layer].numpy()[0], 3)
        asked = [
            # Each in a group of its own: they need not differ from one another.
            Wish(
                channels=((channel, 1.0),),
                seed=f"{layer} {channel}".encode(),
                group=place,
            )
            for place, channel in enumerate(busiest)
        ]
        visions = visualizer.visions(layer, asked, size, room.steps)
        if any(vision.lost for vision in visions):
            raise NotDrawnError(f"A number on the way to {layer} was not finite.")
        for channel, vision in zip(busiest, visions, strict=True):
            found.append(Picture(vision.picture, f"{layer}, what map {channel} wants"))
    return found


def small_example(room: Classroom) -> Sequence[Figure]:
    """Tell the numbers of the slide on guided backpropagation, by our code."""
    del room
    rows = [["forward, before the ReLU", _matrix(FORWARD)]]
    rows += [["forward, behind it", _matrix(np.maximum(FORWARD, 0))]]
    rows += [["backward, arriving at it", _matrix(ARRIVING)]]
    for rule in RULES:
        passed = through_relu(np.array(FORWARD), np.array(ARRIVING), rule)
        rows.append([f"passed on: {_NAMES[rule]}", _matrix(passed)])
    caption = (
        "Backpropagation passes on where the forward value was positive, a deconvnet "
        "where the arriving one is, guided backpropagation where both are."
    )
    return [Table(["", "numbers"], rows, caption)]


def through_relu(
    forward: npt.NDArray[np.int64], arriving: npt.NDArray[np.int64], rule: Rule
) -> npt.NDArray[np.int64]:
    """Return what a ReLU passes on, as our networks do it.

    Each row of the example is a network of two layers on a grey pixel: the biases of
    the first are the forward values, the weights of the second are what arrives.

    Args:
        forward: Values before the ReLU, `[rows, 3]`.
        arriving: Gradient that arrives behind it, `[rows, 3]`.
        rule: How it is passed on.
    """
    layers = (
        ConvSpec("first", 3, 3, kernel=1, padding="zero"),
        ConvSpec("second", 3, 1, kernel=1, padding="zero"),
    )
    # The mean of the network's input is 0 behind its preprocessing.
    pixel = np.array(IMAGENET_MEAN_BGR[::-1], np.float64)[None, None, None] / 255
    passed = []
    for values, gradient in zip(forward, arriving, strict=True):
        arrays = {
            "first/kernel": np.eye(3)[None, None, :, ::-1].copy(),  # From BGR.
            "first/bias": values.astype(np.float64),
            "second/kernel": gradient.astype(np.float64)[None, None, :, None],
            "second/bias": np.array([1000.0]),  # So that it fires.
        }
        network = Attribution(layers, arrays, dtype="float64")
        found = network.gradients(network.activations(pixel), "second", rule, [0])
        # Per grey level: the network has pictures in [0, 1].
        passed.append(found[0, 0, 0, 0] / 255)
    return np.rint(np.stack(passed)).astype(np.int64)


def _matrix(values: object) -> str:
    rows = np.asarray(values)
    return " | ".join(" ".join(f"{value:>2}" for value in row) for row in rows)
