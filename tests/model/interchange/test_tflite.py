"""A TFLite model is the networks of the bundle, by operations of its own alone."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from model.adain.stylizer import Stylizer
from model.interchange.tflite import tflite_model


def interpreter(data):
    with warnings.catch_warnings():
        # It moves to a package of its own, ai-edge-litert.
        warnings.simplefilter("ignore")
        return tf.lite.Interpreter(model_content=data, num_threads=1)


def check(bundle, picture):
    model = interpreter(tflite_model(bundle))
    content, style = picture(45, 61, seed=1)[None], picture(40, 33, seed=2)[None]
    alpha = np.float32(0.6)
    run = model.get_signature_runner
    moments = run("encode_style")(image=style)
    mean, std = Stylizer(bundle).encode_style(style)
    np.testing.assert_allclose(moments["mean"], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(moments["std"], std, rtol=1e-4, atol=1e-5)
    one = run("stylize")(content=content, alpha=alpha, **moments)["image"]
    two = run("stylize_image")(content=content, style=style, alpha=alpha)["image"]
    expected = Stylizer(bundle).stylize(content, style, 0.6)
    for found in (one, two):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-4)
    # Another size in the same interpreter, and a picture that needs no padding.
    content = picture(64, 32, seed=3)[None]
    found = run("stylize_image")(content=content, style=style, alpha=alpha)["image"]
    expected = Stylizer(bundle).stylize(content, style, 0.6)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    names = {operation["op_name"] for operation in model._get_ops_details()}
    assert "CONV_2D" in names
    assert not [name for name in names if name.startswith("Flex")]


# The functions are those of the SavedModel, which is tested each time. `vgg` is in
# test_same_pictures.py.
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "relu"])
def test_tflite_equals_the_stylizer(kind, level_bundles, picture):
    check(level_bundles(kind), picture)
