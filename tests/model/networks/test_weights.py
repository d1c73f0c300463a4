import io
import pathlib
import shutil
from collections.abc import Callable

import h5py
import keras
import numpy as np
import pytest

from model.networks import weights
from model.networks.keras_network import get_weights
from model.networks.weights import load_vgg_weights

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def packaged() -> Arrays:
    return load_vgg_weights("vgg16")


def write_keras_h5(
    path: pathlib.Path, arrays: Arrays, names: tuple[str, str], group: str | None = None
) -> None:
    """Write what Keras's downloads are: groups of layers with `weight_names`."""
    with h5py.File(path, "w") as file:
        root = file if group is None else file.create_group(group)
        layers = list(dict.fromkeys(name.partition("/")[0] for name in arrays))
        root.attrs["layer_names"] = [
            n.encode() for n in ["input_1", *layers, "block1_pool"]
        ]
        for layer in ("input_1", "block1_pool"):
            root.create_group(layer).attrs["weight_names"] = np.array([], "S1")
        for layer in layers:
            here = root.create_group(layer)
            stored = [f"{layer}/{name.format(layer=layer)}" for name in names]
            here.attrs["weight_names"] = [name.encode() for name in stored]
            for part, name in zip(("kernel", "bias"), stored, strict=True):
                here[name] = arrays[f"{layer}/{part}"]


def assert_equal(actual: Arrays, expected: Arrays) -> None:
    assert actual.keys() == expected.keys()
    for name, array in actual.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_packaged_weights_are_those_of_keras(packaged: Arrays) -> None:
    assert len(packaged) == 26
    assert sum(array.size for array in packaged.values()) == 14_714_688
    # The first values of Keras's file, in float16 here.
    kernel, bias = packaged["block1_conv1/kernel"], packaged["block1_conv1/bias"]
    assert kernel[0, 0, 0, 0] == pytest.approx(0.42947057, rel=1e-3)
    assert bias[0] == pytest.approx(0.73429835, rel=1e-3)


def test_packaged_weights_are_the_originals_in_float16(
    packaged: Arrays, shared: pathlib.Path, relative_error: Callable[..., float]
) -> None:
    original = load_vgg_weights(
        "vgg16", str(shared / "weights" / "vgg16_imagenet_notop.npz")
    )
    assert packaged.keys() == original.keys()
    for name, array in packaged.items():
        assert relative_error(array, original[name]) <= 2**-11, name


def test_damaged_package_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "PRETRAINED", tmp_path / "pretrained")
    real = pathlib.Path(weights.__file__).parents[1] / "pretrained"
    (tmp_path / "pretrained").mkdir()
    shutil.copy(real / "vgg16.json", tmp_path / "pretrained")
    data = (real / "vgg16.npz").read_bytes()
    (tmp_path / "pretrained" / "vgg16.npz").write_bytes(data[:-1] + b"x")
    with pytest.raises(ValueError, match=r"is damaged: .* Install stylebeam again"):
        load_vgg_weights("vgg16")


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (("{layer}_W_1:0", "{layer}_b_1:0"), None),
        (("kernel:0", "bias:0"), None),
        (("kernel", "bias"), "model_weights"),
    ],
    ids=["2016", "tf.keras", "whole model"],
)
def test_keras_h5_is_read(
    packaged: Arrays, tmp_path: pathlib.Path, names: tuple[str, str], group: str | None
) -> None:
    path = tmp_path / "vgg16_notop.h5"
    write_keras_h5(path, packaged, names, group)
    assert_equal(load_vgg_weights("vgg16", str(path)), packaged)


def test_npz_of_any_float_is_read_as_float32(
    packaged: Arrays, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "vgg16.npz"
    np.savez(path, **{name: a.astype(np.float16) for name, a in packaged.items()})
    assert_equal(load_vgg_weights("vgg16", str(path)), packaged)


def test_file_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    for path in (tmp_path / "none.h5", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"no weights file '{path}'"):
            load_vgg_weights("vgg16", str(path))


def _saved(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("w.pt", b"x", r"must be a Keras notop \.h5 or an \.npz"),
        ("w.h5", b"x", r"not a Keras notop \.h5 weights file"),
        ("w.npz", b"", r"not a readable \.npz"),
        ("w.npz", b"x" * 100, r"not a readable \.npz"),
        ("w.npz", _saved(a=np.zeros(100))[:-30], r"not a readable \.npz"),
        ("w.npz", _saved(a=np.array([{}], object)), "allow_pickle=False"),
        ("w.npz", _saved(a=np.zeros(3)), "has no array block1_conv1/kernel"),
        (
            "w.npz",
            _saved(**{"block1_conv1/kernel": np.zeros((3, 3, 64, 3))}),
            r"must have shape \(3, 3, 3, 64\). Received: shape=\(3, 3, 64, 3\)",
        ),
        (
            "w.npz",
            _saved(**{"block1_conv1/kernel": np.full((3, 3, 3, 64), np.nan)}),
            "kernel of .* is not finite",
        ),
    ],
)
def test_file_of_something_else_is_refused(
    tmp_path: pathlib.Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=message):
        load_vgg_weights("vgg16", str(tmp_path / name))


def test_h5_of_keras_3_is_refused(tmp_path: pathlib.Path) -> None:
    """`.weights.h5` has no layer names, only `layers/…/vars/0`."""
    net = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    net.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ValueError, match=r"not a Keras notop \.h5 weights file"):
        load_vgg_weights("vgg16", str(tmp_path / "w.weights.h5"))


def test_weights_of_the_other_network_are_refused(
    packaged: Arrays, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, **packaged)
    with pytest.raises(ValueError, match="has no array block3_conv4/kernel"):
        load_vgg_weights("vgg19", str(path))
    # A VGG-16 fits inside a VGG-19.
    more = {f"block{block}_conv4/bias": np.zeros(512) for block in (3, 4, 5)}
    np.savez(path, **packaged, **more)
    with pytest.raises(ValueError, match="not a vgg16: it also has block3_conv4"):
        load_vgg_weights("vgg16", str(path))


def test_classifier_beside_the_convolutions_does_not_matter(
    packaged: Arrays, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "with_top.h5"
    top = {"fc1/kernel": np.zeros((4, 4)), "fc1/bias": np.zeros(4)}
    write_keras_h5(path, packaged | top, ("kernel:0", "bias:0"))
    loaded = load_vgg_weights("vgg16", str(path))
    assert packaged.keys() <= loaded.keys()


def test_vgg19_without_a_network_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(**kwargs: object) -> None:
        raise Exception("URL fetch failure: Name or service not known")

    monkeypatch.setattr(keras.applications, "VGG19", fail)
    with pytest.raises(ConnectionError) as caught:
        load_vgg_weights("vgg19")
    message = str(caught.value)
    assert "URL fetch failure" in message
    assert "keras.applications.VGG19(include_top=False)" in message
    assert "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5" in message
    assert "--weights" in message


def test_a_head_comes_from_keras_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packaged weights have none, so they do not do."""

    def fail(*, weights: str, include_top: bool) -> None:
        assert (weights, include_top) == ("imagenet", True)
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG16", fail)
    with pytest.raises(ConnectionError) as caught:
        load_vgg_weights("vgg16", head=True)
    message = str(caught.value)
    assert "The vgg16 weights with their head are not shipped" in message
    assert "keras.applications.VGG16()" in message
    assert "vgg16_weights_tf_dim_ordering_tf_kernels.h5" in message


def test_vgg19_comes_from_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    built = keras.applications.VGG19(weights=None, include_top=False)

    def download(*, weights: str, include_top: bool) -> keras.Model:
        assert (weights, include_top) == ("imagenet", False)
        return built

    monkeypatch.setattr(keras.applications, "VGG19", download)
    assert_equal(load_vgg_weights("vgg19"), get_weights(built))
