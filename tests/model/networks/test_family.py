"""Members of the network family: from widths, from arrays, in bundles of version 2."""

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from model.adain.stylizer import Stylizer
from model.architecture import Architecture, Skip, Tap
from model.bundle import Bundle, BundleError, load_bundle
from model.config import STYLE_LAYERS, ConvSpec
from model.networks.family import bundle_of_arrays, family_member, narrow_layers

Arrays = dict[str, np.ndarray]


def test_widths_of_the_default_member(
    tiny_encoder_layers: tuple[ConvSpec, ...],
) -> None:
    network = family_member(
        narrow_layers(tiny_encoder_layers, (2, 4, 6, 8)),
        decoder_channels=(7, 5, 3),
        tap_channels=dict(zip(STYLE_LAYERS, (9, 10, 11, 12), strict=True)),
        input_divisor=64.0,
    )
    assert network.map_channels == (2, 4, 6, 8)
    assert network.channels == (9, 10, 11, 12)
    assert network.tap_strides == (1, 2, 4, 8)
    chain = [(s.in_channels, s.out_channels) for s in network.decoder_layers]
    assert chain == [
        (12, 7), (7, 7), (7, 7), (7, 5), (5, 5), (5, 3), (3, 3), (3, 3)
    ]  # fmt: skip
    assert [(s.tap, s.added_to) for s in network.skips] == [
        ("block1_conv1", "decoder_block1_conv2"),
        ("block2_conv1", "decoder_block2_conv2"),
        ("block3_conv1", "decoder_block3_conv3"),
    ]
    assert not network.one_tap


@pytest.mark.parametrize("kind", ["linear", "relu", "vgg"])
def test_version_2_comes_back_as_it_was(
    level_bundles: Callable[[str], Bundle], tmp_path: pathlib.Path, kind: str
) -> None:
    bundle = level_bundles(kind)
    assert bundle.description["format_version"] == 2
    bundle.save(tmp_path)
    again = load_bundle(str(tmp_path))
    assert again.architecture == bundle.architecture
    assert again.bundle_id == bundle.bundle_id
    assert sorted(again.encoder) == sorted(bundle.encoder)
    order = [tap["layer"] for tap in again.description["encoder"]["taps"]]
    assert order == list(STYLE_LAYERS)


def test_one_tap_stays_version_1(tiny_bundle: Bundle) -> None:
    again = Bundle.seal(
        tiny_bundle.architecture,
        tiny_bundle.encoder,
        tiny_bundle.decoder,
        {"license": "none, random weights", "lineage": []},
    )
    assert again.description["format_version"] == 1
    assert again.bundle_id == tiny_bundle.bundle_id
    assert set(again.description["encoder"]) == {"input_range", "layers"}


def _changed(network: Architecture, **changes: Any) -> None:
    dataclasses.replace(network, **changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: {"taps": n.taps[:-1]}, "last tap must be the encoder's last layer"),
        (lambda n: {"taps": n.taps[::-1]}, "each once and in its order"),
        (lambda n: {"taps": (Tap("block9_conv1"), *n.taps)}, "layers of the encoder"),
        (lambda n: {"skips": n.skips[1:]}, "No projection leads from block1_conv1"),
        (lambda n: {"skips": (*n.skips, n.skips[0])}, "added to one layer"),
        (
            lambda n: {"skips": (_moved(n.skips[0], "decoder_x"), *n.skips[1:])},
            "lead from a tap",
        ),
        (
            lambda n: {
                "skips": (_moved(n.skips[0], "decoder_block3_conv2"), *n.skips[1:])
            },
            "gives 5 channels, but decoder_block3_conv2 has 7",
        ),
        (
            lambda n: {
                "skips": (_widened(n.skips[0]), *n.skips[1:])
            },
            "takes 99 channels, but block1_conv1 gives 9",
        ),
        (lambda n: {"input_divisor": 0.0}, "`input_divisor` must be a positive"),
        (
            lambda n: {
                "taps": (
                    *n.taps[:-1],
                    Tap("block4_conv1", ConvSpec("tap_block4_conv1", 8, 11, kernel=1)),
                )
            },
            "The decoder takes 12 channels, but the encoder gives 11",
        ),
        (
            lambda n: {
                "taps": (Tap("block1_conv1", ConvSpec("t", 2, 9)), *n.taps[1:])
            },
            "plain 1x1 convolution",
        ),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused(
    level_bundles: Callable[[str], Bundle],
    change: Callable[[Architecture], dict[str, Any]],
    message: str,
) -> None:
    network = level_bundles("linear").architecture
    with pytest.raises(ValueError, match=message):
        _changed(network, **change(network))


def _moved(skip: Skip, layer: str) -> Skip:
    return dataclasses.replace(skip, added_to=layer)


def _widened(skip: Skip) -> Skip:
    wide = dataclasses.replace(skip.projection, in_channels=99)
    return dataclasses.replace(skip, projection=wide)


def test_bundle_with_a_skip_to_elsewhere_is_refused(
    level_bundles: Callable[[str], Bundle], tmp_path: pathlib.Path
) -> None:
    level_bundles("linear").save(tmp_path)
    text = json.loads((tmp_path / "bundle.json").read_text())
    text["decoder"]["skips"][0]["added_to"] = "decoder_block2_conv2"
    (tmp_path / "bundle.json").write_text(json.dumps(text))
    with pytest.raises(BundleError, match=r"cannot be used: .*(gives|added to)"):
        load_bundle(str(tmp_path))


@pytest.mark.parametrize(("version", "word"), [(1, "must not have"), (2, "lacks")])
def test_levels_are_of_version_2_alone(
    level_bundles: Callable[[str], Bundle],
    tiny_bundle: Bundle,
    tmp_path: pathlib.Path,
    version: int,
    word: str,
) -> None:
    bundle = level_bundles("linear") if version == 1 else tiny_bundle
    bundle.save(tmp_path)
    text = json.loads((tmp_path / "bundle.json").read_text())
    text["format_version"] = version
    (tmp_path / "bundle.json").write_text(json.dumps(text))
    with pytest.raises(BundleError, match=f"Version {version} {word} taps"):
        load_bundle(str(tmp_path))


@pytest.mark.parametrize("kind", ["linear", "relu", "vgg"])
def test_arrays_become_the_bundle_they_are_of(
    level_bundles: Callable[[str], Bundle], tiny_bundle: Bundle, kind: str
) -> None:
    bundle = level_bundles(kind)
    arrays = dict(bundle.decoder)
    if kind != "vgg":
        for name, array in bundle.encoder.items():
            prefix = "" if name.startswith("tap_") else "encoder_"
            arrays[f"{prefix}{name}"] = array
    again = bundle_of_arrays(
        arrays,
        tiny_bundle,
        {"license": "none, random weights", "lineage": []},
        "linear" if kind == "linear" else "relu",
    )
    assert again.architecture == bundle.architecture
    assert again.bundle_id == bundle.bundle_id
    del arrays["decoder_block3_conv2/kernel"]
    with pytest.raises(ValueError, match="decoder_block3_conv2"):
        bundle_of_arrays(arrays, tiny_bundle, {})


def test_wrong_widths_are_refused(tiny_encoder_layers: tuple[ConvSpec, ...]) -> None:
    with pytest.raises(ValueError, match="needs 4 widths"):
        narrow_layers(tiny_encoder_layers, (4, 8))
    with pytest.raises(ValueError, match=r"must be the encoder's: .* relu4_1"):
        family_member(tiny_encoder_layers, adain_layers=["relu4_1"])
    with pytest.raises(ValueError, match="last tap must be"):
        family_member(tiny_encoder_layers, adain_layers=["block1_conv1"])


@pytest.mark.parametrize(("name", "own"), [("decoder.npz", False), ("slim.npz", True)])
def test_arrays_of_the_trials_become_bundles_to_go_on_from(
    shared: pathlib.Path,
    numpy_levels: Callable[[Bundle], Any],
    picture: Callable[..., np.ndarray],
    tmp_path: pathlib.Path,
    name: str,
    own: bool,
) -> None:
    """A decoder behind VGG-16, and one with a narrow encoder: pictures as by NumPy."""
    with np.load(shared / "weights" / "levels" / name) as file:
        arrays = dict(file)
    vgg = load_bundle("paper")
    about = {"name": name, "lineage": [], "license": "research use"}
    bundle_of_arrays(arrays, vgg, about).save(tmp_path)
    bundle = load_bundle(str(tmp_path))
    assert bundle.description["format_version"] == 2
    assert [tap.layer for tap in bundle.architecture.taps] == list(STYLE_LAYERS)
    widths = [s.out_channels for s in bundle.decoder_layers if s.upsample_before]
    assert widths == [96, 32, 16]
    assert (bundle.encoder_sha256 == vgg.encoder_sha256) != own
    assert bundle.architecture.map_channels == (64, 128, 256, 512)
    content, style = picture(32, 32, seed=1)[None], picture(32, 32, seed=2)[None]
    network = numpy_levels(bundle)
    expected = np.clip(network.decode(network.targets(content, style)), 0, 1)
    found = Stylizer(bundle).stylize(content, style)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
