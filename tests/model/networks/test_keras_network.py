from collections.abc import Callable

import numpy as np
import pytest

from model.config import ConvSpec
from model.networks.keras_network import (
    ReflectionPadding2D,
    build_network,
    check_arrays,
    get_weights,
    set_weights,
)


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_reflection_padding(
    rng: np.random.Generator, check_layer: Callable[..., None], padding: int
) -> None:
    x = rng.normal(size=(2, 4, 3, 5)).astype(np.float32)
    sides = (padding, padding)
    layer = ReflectionPadding2D(padding)
    np.testing.assert_array_equal(
        layer(x), np.pad(x, ((0, 0), sides, sides, (0, 0)), mode="reflect")
    )
    check_layer(layer, x)


@pytest.mark.parametrize("policy", ["float32", "bfloat16", "mixed_bfloat16", "float16"])
def test_reflection_padding_keeps_the_dtype_of_its_policy(policy: str) -> None:
    layer = ReflectionPadding2D(dtype=policy)
    output = layer(np.ones((1, 4, 4, 2), np.float32))
    assert output.dtype == layer.compute_dtype


# Everything a layer can be, in one network.
LAYERS = (
    ConvSpec("block1_conv1", 3, 4, padding="zero"),
    ConvSpec("block1_conv2", 4, 6, kernel=1),
    ConvSpec("block2_conv1", 6, 5, kernel=5, pool_before=True),
    ConvSpec("extra", 5, 4, upsample_before=True, activation="linear"),
    ConvSpec("last", 4, 2, pool_before=True, padding="zero"),
)
TAPS = ["block1_conv1", "block1_conv2", "block1_pool", "block2_conv1", "extra"]


@pytest.mark.parametrize("size", [(12, 16), (13, 17)])
def test_network_equals_numpy(
    rng: np.random.Generator,
    numpy_network: Callable[..., dict[str, np.ndarray]],
    random_arrays: Callable[..., dict[str, np.ndarray]],
    relative_error: Callable[..., float],
    size: tuple[int, int],
) -> None:
    arrays = random_arrays(LAYERS)
    taps = [*TAPS, "last_pool", "last"]
    network = build_network(LAYERS, taps=taps, name="net")
    set_weights(network, arrays)
    x = rng.uniform(0, 100, (2, *size, 3)).astype(np.float32)
    expected = numpy_network(LAYERS, arrays, x)
    expected["block1_pool"] = expected.pop("block2_conv1<")
    expected["last_pool"] = expected.pop("last<")
    for tap, actual in zip(taps, network(x), strict=True):
        assert relative_error(actual, expected[tap]) <= 1e-5, tap


def test_layers_behind_the_last_tap_are_not_built() -> None:
    network = build_network(LAYERS, taps=["block1_pool"], name="net")
    assert [v.path for v in network.variables] == [
        f"{layer}/{part}"
        for layer in ("block1_conv1", "block1_conv2")
        for part in ("kernel", "bias")
    ]
    assert network.output.shape == (None, None, None, 6)


def test_weights_round_trip(
    random_arrays: Callable[..., dict[str, np.ndarray]],
) -> None:
    network = build_network(LAYERS, name="net")
    arrays = random_arrays(LAYERS)
    set_weights(network, arrays)
    again = get_weights(network)
    assert again.keys() == arrays.keys()
    for name, array in again.items():
        np.testing.assert_array_equal(array, arrays[name])


def test_bfloat16_keeps_the_picture_in_float32() -> None:
    network = build_network(LAYERS, precision="bfloat16", name="net")
    dtypes = {layer.name: layer.compute_dtype for layer in network.layers}
    assert dtypes["block1_conv1"] == "float32"
    assert {
        dtypes[name]
        for name in ("block1_conv2", "block1_pool", "block2_conv1", "extra", "last")
    } == {"bfloat16"}


def test_unknown_tap_is_refused_with_the_choice() -> None:
    with pytest.raises(ValueError, match=r"'relu4_1'.*block1_conv1, block1_conv2"):
        build_network(LAYERS, taps=["relu4_1"], name="net")


def test_layers_that_do_not_chain_are_refused() -> None:
    layers = (ConvSpec("a", 3, 4), ConvSpec("b", 5, 4))
    with pytest.raises(ValueError, match="b takes 5 channels, but 4 come in"):
        build_network(layers, name="net")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (None, "there has no array extra/bias"),
        (np.zeros(5, np.float32), r"must have shape \(4,\)"),
        (np.float32([0, np.inf, 0, 0]), "extra/bias of there is not finite"),
        (np.float32([0, np.nan, 0, 0]), "extra/bias of there is not finite"),
    ],
)
def test_arrays_that_are_not_the_layers_are_refused(
    random_arrays: Callable[..., dict[str, np.ndarray]],
    array: np.ndarray | None,
    message: str,
) -> None:
    arrays = random_arrays(LAYERS)
    check_arrays(LAYERS, arrays, origin="there")
    if array is None:
        del arrays["extra/bias"]
    else:
        arrays["extra/bias"] = array
    with pytest.raises(ValueError, match=message):
        check_arrays(LAYERS, arrays, origin="there")
