"""The network of a worker: built once, whatever the number of its threads."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from transforms.steps.vgg_weights import load_arrays, weights_sha256
from transforms.storage.folder import OutputFolder
from transforms.visualize import handler as looks
from transforms.visualize.handler import LookHandler
from transforms.visualize.settings import GRADIENTS, Channels, VisualizeSettings


@pytest.fixture
def settings():
    return VisualizeSettings(
        network="vgg16",
        weights_sha256="0",
        layers=("block1_conv1",),
        kinds=GRADIENTS,
        channels=Channels(top=1),
        gradient_channels=Channels(top=1),
        size=224,
        randomization_check=True,
        raw=False,
    )


def test_network_is_built_once_in_a_process(settings, tmp_path, monkeypatch):
    built = []

    def slow(*args):
        time.sleep(0.05)
        built.append(args)
        return object()

    looks._load_networks.cache_clear()
    monkeypatch.setattr(looks, "Networks", slow)
    handler = LookHandler(settings, None, OutputFolder(str(tmp_path)))
    barrier = threading.Barrier(6)

    def ask(_):
        model = handler.load_model()  # Beam may load one a thread.
        barrier.wait()
        return model()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(ask, range(6)))
    looks._load_networks.cache_clear()
    assert len(built) == 1
    assert all(one is found[0] for one in found)


def test_other_weights_than_those_of_the_launch_are_refused(settings):
    with pytest.raises(ValueError, match=r"'vgg16' changed since the job was started"):
        load_arrays(settings.network, None, settings.weights_sha256)


def test_hash_of_weights_is_of_names_and_numbers(rng):
    a, b = rng.normal(size=(2, 3)), rng.normal(size=4)
    hashes = {
        weights_sha256(arrays)
        for arrays in (
            {"a": a, "b": b},
            {"b": b, "a": a.copy()},
            {"a": b, "b": a},
            {"a": a.T, "b": b},
            {"a": a.astype("f4"), "b": b},
        )
    }
    assert len(hashes) == 4
