"""The networks of a visualization: all that is shown has the same weights."""

import dataclasses

import numpy as np
import pytest

from model.networks import weights
from transforms.steps.vgg_weights import weights_sha256
from transforms.visualize.activation import handler
from transforms.visualize.networks import load_weights
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
