"""Settings of a small visualization with the tiny network."""

import pytest

from transforms.steps.vgg_weights import weights_sha256
from transforms.visualize.settings import DEFAULT_KINDS, Channels, VisualizeSettings


@pytest.fixture
def settings(tiny_vgg) -> VisualizeSettings:
    return VisualizeSettings(
        network="vgg16",
        weights_sha256=weights_sha256(tiny_vgg),
        layers=("block1_conv2", "block2_conv1"),
        kinds=DEFAULT_KINDS,
        channels=Channels(top=2),
        gradient_channels=Channels(top=1),
        size=0,
        randomization_check=False,
        raw=False,
    )
