"""A small version of the measure: visualizations against crops of photographs."""

import importlib.util
import pathlib
import sys

import numpy as np
import pytest

from model.attribution.feature_visualization import FeatureVisualizer, Wish
from model.attribution.featuremaps import receptive_field
from model.attribution.gradients import Attribution
from model.networks.encoder import layers_to, vgg_layers
from model.networks.weights import load_vgg_weights
from model.pixels import to_float
from transforms.elements import ImageRef
from transforms.images.load import load_bytes, load_image

LAYER, SIZE, STEPS = "block4_conv1", 96, 64
CHANNELS = (3, 17, 42, 99)
PHOTOS = 40


@pytest.fixture(scope="module")
def activation():
    path = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "activation.py"
    spec = importlib.util.spec_from_file_location("activation", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["activation"] = module
    spec.loader.exec_module(module)
    return module


def best_crops(network, folder):
    """Return the square around the strongest neuron of each channel."""
    field = receptive_field(vgg_layers("vgg16"), LAYER)
    best = dict.fromkeys(CHANNELS, (-1.0, None))
    for path in sorted(folder.iterdir())[:PHOTOS]:
        ref = ImageRef(path.name, "", str(path))
        pixels = load_image(load_bytes(ref), 96).pixels
        maps = network.activations(to_float(pixels)[None])[LAYER].numpy()[0]
        for channel in CHANNELS:
            score = maps[..., channel].max()
            if score > best[channel][0]:
                place = np.unravel_index(maps[..., channel].argmax(), maps.shape[:2])
                top, left, bottom, right = field.box(*place, *pixels.shape[:2])
                y, x = (
                    int(np.clip((low + high - SIZE) // 2, 0, side - SIZE))
                    for low, high, side in (
                        (top, bottom, pixels.shape[0]),
                        (left, right, pixels.shape[1]),
                    )
                )
                best[channel] = score, pixels[y : y + SIZE, x : x + SIZE]
    return [crop for _, crop in best.values()]


@pytest.mark.slow
def test_visualizations_excite_more_than_any_photograph_and_than_plain_ascent(
    activation, shared
):
    arrays = load_vgg_weights("vgg16")
    network = Attribution(layers_to(vgg_layers("vgg16"), LAYER), arrays)
    crops = best_crops(network, shared / "data" / "photos")
    wishes = [
        Wish(channels=((c, 1.0),), seed=bytes([c]), group=i)
        for i, c in enumerate(CHANNELS)
    ]
    visualizer = FeatureVisualizer(vgg_layers("vgg16"), arrays)
    made = [v.picture for v in visualizer.visions(LAYER, wishes, SIZE, STEPS)]
    plain = activation.plain_loop(LAYER, CHANNELS, SIZE, STEPS, arrays)
    best, seen, noise = (
        activation.scores(network, LAYER, CHANNELS, pictures)[:, 0]
        for pictures in (crops, made, plain)
    )
    assert np.mean(seen / best >= activation.WANTED) >= activation.SHARE
    assert np.mean(seen > noise) >= activation.SHARE
