import io
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from model.adain.pytorch_adain import import_pytorch_adain
from model.bundle import Bundle
from model.config import ADAIN_LAYER, STYLE_LAYERS
from model.networks.decoder import build_decoder
from model.networks.encoder import build_encoder
from model.networks.torch_file import read_tensors

Arrays = dict[str, np.ndarray]

# The layers of naoto0804/pytorch-AdaIN/net.py: index in nn.Sequential, side of the
# kernel, channels in and out. "pool" and "up" stand between them.
ENCODER = [
    (0, 1, 3, 3),
    (2, 3, 3, 64),
    (5, 3, 64, 64),
    "pool",
    (9, 3, 64, 128),
    (12, 3, 128, 128),
    "pool",
    (16, 3, 128, 256),
    (19, 3, 256, 256),
    (22, 3, 256, 256),
    (25, 3, 256, 256),
    "pool",
    (29, 3, 256, 512),
]
DECODER = [
    (1, 3, 512, 256),
    "up",
    (5, 3, 256, 256),
    (8, 3, 256, 256),
    (11, 3, 256, 256),
    (14, 3, 256, 128),
    "up",
    (18, 3, 128, 128),
    (21, 3, 128, 64),
    "up",
    (25, 3, 64, 64),
    (28, 3, 64, 3),
]
TAPS = (2, 9, 16, 29)


def random_tensors(layers: list, seed: int) -> Arrays:
    """Return weights [out, in, height, width] and biases, as PyTorch names them."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for layer in layers:
        if isinstance(layer, tuple):
            index, side, taken, given = layer
            kernel = rng.normal(
                0, np.sqrt(2 / (side**2 * taken)), (given, taken, side, side)
            )
            arrays[f"{index}.weight"] = kernel.astype(np.float32)
            arrays[f"{index}.bias"] = rng.normal(0, 0.1, given).astype(np.float32)
    return arrays


@pytest.fixture(scope="module")
def encoder() -> Arrays:
    # The published file goes on to relu5_4; what comes after relu4_1 is not needed.
    return {
        **random_tensors(ENCODER, 1),
        **random_tensors([(32, 3, 512, 8)], 2),
    }


@pytest.fixture(scope="module")
def decoder() -> Arrays:
    return random_tensors(DECODER, 3)


@pytest.fixture(scope="module")
def bundle(encoder: Arrays, decoder: Arrays) -> Bundle:
    return import_pytorch_adain(encoder, decoder, {"license": "made by the test"})


def original(
    layers: list, arrays: Arrays, x: tf.Tensor
) -> Iterator[tuple[int, tf.Tensor]]:
    """Yield each layer's output as net.py computes it, written out."""
    for layer in layers:
        if layer == "pool":  # kernel 2, stride 2, rounding up
            x = tf.nn.max_pool2d(x, 2, 2, "SAME")
        elif layer == "up":
            x = tf.repeat(tf.repeat(x, 2, 1), 2, 2)
        else:
            index, side, _, _ = layer
            if side == 3:
                x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT")
            kernel = arrays[f"{index}.weight"].transpose(2, 3, 1, 0)
            x = tf.nn.conv2d(x, kernel, 1, "VALID") + arrays[f"{index}.bias"]
            if index not in (0, 28):
                x = tf.nn.relu(x)
            yield index, x


def test_encoder_gives_what_the_original_gives(
    bundle: Bundle, encoder: Arrays, picture
) -> None:
    x = picture(40, 56, seed=4)[None].astype(np.float32)
    ours = build_encoder(bundle.encoder_layers, bundle.encoder, taps=STYLE_LAYERS)(x)
    theirs = dict(original(ENCODER, encoder, tf.constant(x)))

    for tap, features in zip(TAPS, ours, strict=True):
        expected = theirs[tap].numpy()
        assert features.shape == expected.shape
        assert np.abs(features - expected).max() <= 1e-4 * np.abs(expected).max()


def test_decoder_gives_what_the_original_gives(bundle: Bundle, decoder: Arrays) -> None:
    features = np.random.default_rng(5).uniform(0, 1, (1, 5, 7, 512)).astype(np.float32)
    ours = build_decoder(bundle.decoder_layers, bundle.decoder)(features)
    *_, (_, theirs) = original(DECODER, decoder, tf.constant(features))

    assert ours.shape == (1, 40, 56, 3)
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_names_of_a_wrapped_network_and_float16_are_read(
    encoder: Arrays, decoder: Arrays, bundle: Bundle
) -> None:
    wrapped = {f"module.{n}": a.astype(np.float16) for n, a in decoder.items()}
    found = import_pytorch_adain(encoder, wrapped, {})

    assert found.encoder_layers[-1].name == ADAIN_LAYER
    name = "decoder_block4_conv1/kernel"
    np.testing.assert_allclose(
        found.decoder[name], bundle.decoder[name], rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        (
            "decoder",
            {"8.weight": None, "8.bias": None},
            "has 8 convolutions that count",
        ),
        ("encoder", {"0.weight": None, "0.bias": None}, "the 1x1 convolution of the"),
        ("encoder", {"25.weight": None, "25.bias": None}, "block3_conv4 .* expected"),
        ("decoder", {"8.bias": None}, "Layer 8 of the decoder is no convolution"),
        ("decoder", {"8.bias": np.full(256, np.nan, np.float32)}, "NaN or infinity"),
        ("decoder", {"layer.scale": np.ones(1, np.float32)}, "Expected names such as"),
        ("decoder", {"28.bias": np.zeros(4, np.float32)}, r"expected \(3, 3, 64, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(
    encoder: Arrays, decoder: Arrays, part: str, change: dict, said: str
) -> None:
    parts = {"encoder": encoder, "decoder": decoder}
    changed = {**parts[part], **change}
    parts[part] = {name: array for name, array in changed.items() if array is not None}

    with pytest.raises(ValueError, match=said):
        import_pytorch_adain(parts["encoder"], parts["decoder"], {})


def test_files_that_torch_writes_give_what_torch_gives(
    encoder: Arrays, decoder: Arrays, bundle: Bundle, picture
) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch, which is not installed")
    arrays = {name: torch.from_numpy(array) for name, array in encoder.items()}
    for new in (True, False):
        file = io.BytesIO()
        torch.save(arrays, file, _use_new_zipfile_serialization=new)
        for name, array in read_tensors(file.getvalue()).items():
            np.testing.assert_array_equal(array, encoder[name])

    def run(layers: list, weights: Arrays, x: "torch.Tensor") -> "torch.Tensor":
        functional = torch.nn.functional
        for layer in layers:
            if layer == "pool":
                x = functional.max_pool2d(x, 2, 2, ceil_mode=True)
            elif layer == "up":
                x = functional.interpolate(x, scale_factor=2)
            else:
                index, side, _, _ = layer
                if side == 3:
                    x = functional.pad(x, [1] * 4, mode="reflect")
                w, b = (
                    torch.from_numpy(weights[f"{index}.{p}"])
                    for p in ("weight", "bias")
                )
                x = functional.conv2d(x, w, b)
                x = x if index in (0, 28) else functional.relu(x)
        return x

    content = torch.from_numpy(picture(40, 56, seed=4).transpose(2, 0, 1)[None].copy())
    features = run(ENCODER, encoder, content.float())
    expected = run(DECODER, decoder, features).numpy().transpose(0, 2, 3, 1)
    ours = build_encoder(bundle.encoder_layers, bundle.encoder)(
        content.numpy().transpose(0, 2, 3, 1).astype(np.float32)
    )
    found = build_decoder(bundle.decoder_layers, bundle.decoder)(ours)

    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
