"""An ONNX model is the networks of the bundle."""

import numpy as np
import pytest

from model.adain.stylizer import Stylizer

onnx = pytest.importorskip("onnx", reason="the extra interchange is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra interchange")

from model.interchange.onnx_model import onnx_model  # noqa: E402 - needs onnx


def session(data):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        data, options, providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize(
    "kind",
    ["linear", *(pytest.param(k, marks=pytest.mark.slow) for k in ("tiny", "relu"))],
)
def test_onnx_equals_the_stylizer(kind, tiny_bundle, level_bundles, picture):
    bundle = tiny_bundle if kind == "tiny" else level_bundles(kind)
    run = session(onnx_model(bundle)).run
    contents = np.stack([picture(45, 61, seed=seed) for seed in (1, 2)])
    styles = np.stack([picture(40, 33, seed=seed) for seed in (3, 4)])
    for content, style, alpha in (
        (contents, styles, 0.6),  # each with its own
        (contents, styles[:1], 1.0),  # both with one
        (picture(64, 32, seed=5)[None], styles[:1], 0.0),  # nothing to pad
    ):
        (found,) = run(
            ["image"],
            {"content": content, "style": style, "alpha": np.array(alpha, np.float32)},
        )
        style = np.broadcast_to(style, (len(content), *style.shape[1:]))
        expected = Stylizer(bundle).stylize(content, style, alpha)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_onnx_is_valid_and_says_what_it_takes(tiny_bundle):
    data = onnx_model(tiny_bundle)
    assert data == onnx_model(tiny_bundle)
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.domain for entry in model.opset_import} == {""}
    (entry,) = model.metadata_props
    assert (entry.key, entry.value) == ("bundle_id", tiny_bundle.bundle_id)
    found = session(data)
    assert {value.name: value.shape for value in found.get_inputs()} == {
        "content": ["batch", "height", "width", 3],
        "style": ["styles", "style_height", "style_width", 3],
        "alpha": [],
    }
    (image,) = found.get_outputs()
    assert (image.name, image.shape) == ("image", ["batch", "height", "width", 3])


def test_small_picture_is_refused_by_the_runtime(tiny_bundle, picture):
    small = picture(4, 4)[None]
    feed = {"content": small, "style": small, "alpha": np.array(1.0, np.float32)}
    with pytest.raises(Exception, match="Pad"):
        session(onnx_model(tiny_bundle)).run(None, feed)
