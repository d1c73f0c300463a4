"""Networks by their word, file or folder; each sees what its kind sees elsewhere."""

import dataclasses

import numpy as np
import pytest

from model.networks.vgg import vgg_layers
from transforms.visualize.comparison import networks as module
from transforms.visualize.comparison.networks import (
    NetworkSource,
    is_network,
    load_looks,
    load_network,
)
from transforms.visualize.comparison.settings import SeenBy


@pytest.fixture
def places(tmp_path, tiny_vgg, tiny_bundle, random_arrays):
    tiny_bundle.save(tmp_path / "bundle")
    deep = random_arrays(vgg_layers("vgg19"), seed=4)
    np.savez(tmp_path / "deep.npz", **deep, **{"fc1/kernel": np.zeros(3, np.float32)})
    np.savez(tmp_path / "none.npz", a=np.zeros(3, np.float32))
    return tmp_path


def test_words_files_and_folders_are_networks(places, tiny_vgg, tiny_bundle):
    for place in ("vgg16", "paper", str(places / "deep.npz"), str(places / "bundle")):
        assert is_network(place)
    assert not is_network(str(places))
    packaged = load_network(NetworkSource("vgg16"))
    assert packaged.layers == vgg_layers("vgg16")
    deep = load_network(NetworkSource(str(places / "deep.npz")))
    assert deep.layers == vgg_layers("vgg19")
    assert "fc1/kernel" not in deep.arrays
    bundle = NetworkSource(f"{places}/bundle/")
    assert bundle.label == "bundle"
    assert load_network(bundle).sha256 == tiny_bundle.encoder_sha256
    with pytest.raises(ValueError, match=r"none\.npz.*block1_conv1"):
        load_network(NetworkSource(str(places / "none.npz")))
    with pytest.raises(OSError, match="no weights file"):
        load_network(NetworkSource("absent.h5"))


def test_each_sees_what_its_kind_sees_elsewhere(
    places, networks, picture, tiny_vgg, tiny_bundle
):
    from model.adain.stylizer import to_uint8
    from model.attribution.gradients import Attribution
    from model.networks.encoder import build_encoder

    sources = (NetworkSource("vgg16"), NetworkSource(str(places / "bundle")))
    loaded = [load_network(source) for source in sources]
    settings = dataclasses.replace(
        networks,
        networks=tuple(
            SeenBy(source.label, one.sha256, tuple(s.name for s in one.layers))
            for source, one in zip(sources, loaded, strict=True)
        ),
        layers=("block2_conv1", "block3_conv3", "block5_conv1"),
    )
    pixels = to_uint8(picture(38, 50))
    vgg, bundle = (look(pixels) for look in load_looks(sources, settings))
    assert [*vgg] == list(settings.layers)
    assert [*bundle] == list(settings.layers[:2])
    images = pixels[None].astype(np.float32) / 255
    own = Attribution(vgg_layers("vgg16"), tiny_vgg).activations(images)
    for name, values in vgg.items():
        np.testing.assert_allclose(values, own[name][0], atol=2e-3, rtol=1e-4)
    layers = tiny_bundle.encoder_layers[:7]
    encoder = build_encoder(layers, tiny_bundle.encoder)
    np.testing.assert_allclose(
        bundle["block3_conv3"], encoder(images)[0], atol=2e-3, rtol=1e-3
    )


def test_a_network_that_changed_since_the_start_is_refused(networks, tiny_vgg):
    module.load_looks.cache_clear()
    with pytest.raises(ValueError, match="'vgg16' changed since the job was started"):
        load_looks((NetworkSource("vgg16"),), networks)
