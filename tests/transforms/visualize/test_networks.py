"""The networks of a visualization: all that is shown has the same weights."""

import dataclasses

import numpy as np
import pytest

from model.networks import weights
from transforms.steps.vgg_weights import weights_sha256
from transforms.visualize import networks as module
from transforms.visualize.activation import handler
from transforms.visualize.networks import kept_on_disk, load_weights, on_disk
from transforms.visualize.settings import Channels, Methods
from transforms.visualize.visualize_images import write_filters


@pytest.fixture
def with_head(settings, tiny_vgg, monkeypatch):
    """Return settings with classes; their weights are not the packaged ones."""
    head = {"predictions/kernel": np.ones((8, 3), np.float32)}
    arrays = {**tiny_vgg, **head}
    monkeypatch.setattr(weights, "_downloaded", lambda *_: arrays)
    return dataclasses.replace(
        settings,
        weights_sha256=weights_sha256(arrays),
        methods=Methods(classes=Channels(top=1)),
    )


def test_filters_and_feature_visualizations_are_those_of_the_head_too(
    output, settings, with_head
):
    assert "predictions/kernel" not in load_weights(settings, None)
    assert "predictions/kernel" in load_weights(with_head, None)
    handler._load_visualizer.cache_clear()
    assert handler._load_visualizer(with_head, None)
    handler._load_visualizer.cache_clear()
    made = list(write_filters(("block1_conv1",), [], output, with_head, None, 1))
    assert [count for _, count in made] == [1, 1]
    assert output.names("sheets/collection")


def test_maps_of_large_pictures_wait_on_disk():
    maps = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    kept = kept_on_disk(maps)
    assert isinstance(kept, np.memmap)
    np.testing.assert_array_equal(kept, maps)
    part = kept[1:]
    assert kept_on_disk(part) is part
    made = kept + 1  # NumPy calls it a memmap, too, but it lies in memory.
    assert not np.shares_memory(kept_on_disk(made), made)
    assert on_disk((0, 3), np.float32).shape == (0, 3)


def test_a_disk_without_room_is_told_before_anything_is_written(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "posix_fallocate", full)
    with pytest.raises(MemoryError, match=r"has no room for 0\.4 GB of maps"):
        on_disk((100, 1000, 1000), np.float32)
