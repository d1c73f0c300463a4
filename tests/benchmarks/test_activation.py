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

LAYER, SIZE, STEPS = "block5_conv1", 96, 20
# The second and the fourth are silent on noise.
CHANNELS = (37, 105, 140, 178)
PHOTOS = 20


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


def test_views_are_those_of_the_seed_and_lose_what_is_finer_than_a_thumbnail(
    activation,
):
    grain = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pictures = [np.repeat(grain[..., None], 3, axis=2)]
    (views,) = activation.robust(pictures, b"seed")
    assert views.shape == (activation.VIEWS, 64, 64, 3)
    assert views.dtype == np.float32
    np.testing.assert_array_equal(views, *activation.robust(pictures, b"seed"))
    assert activation.saved(pictures[0], 0.5).std() < 0.1 < pictures[0].std() / 255


def test_a_channel_passes_at_twice_the_best_crop_and_never_in_silence(activation):
    best = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    made = np.array([[2.0, 9.0], [1.9, 9.0], [0.1, 0.1], [0.0, 0.0]])
    ratios = activation.times(made, best)
    assert list(ratios[:, 0] >= activation.WANTED) == [True, False, True, False]
    assert activation.passing(ratios) == 0.5


@pytest.mark.slow
def test_visualizations_excite_more_than_any_photograph_and_plain_ascent_does_not(
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
        activation.scores(network, LAYER, CHANNELS, pictures)
        for pictures in (crops, made, plain)
    )
    assert activation.passing(activation.times(seen, best)) >= activation.SHARE
    assert activation.passing(activation.times(noise, best)) < activation.SHARE
    assert (noise[[1, 3], 0] < 0.01 * seen[[1, 3], 0]).all()
