"""The packaged networks paint the same pictures in every format."""

import pathlib
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model.adain.stylizer import Stylizer
from model.bundle import load_bundle
from model.interchange.saved_model import PlainStylizer
from model.interchange.tflite import tflite_model

ROOT = pathlib.Path(__file__).parents[3]
STYLES = ROOT / "pipelines/demo/pictures/styles"
# Odd and even sides, padded at both, one or no end.
PHOTOGRAPHS = {"chelsea": (61, 83), "astronaut": (64, 57), "coffee": (56, 80)}
PAINTINGS = {
    "woodblock-waves.jpg": (49, 65),
    "cross-stitch.jpg": (64, 48),
    "roman-mosaic.jpg": (55, 56),
}


def pixels_of(path: pathlib.Path, size: tuple[int, int]) -> np.ndarray:
    """Return a picture, float32 `[1, height, width, 3]` in [0, 1]."""
    with Image.open(path) as image:
        small = image.convert("RGB").resize(size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(small, np.float32)[None] / 255


def saved_model(bundle):
    run = PlainStylizer(bundle).signatures()["stylize_image"]
    return lambda **inputs: run(**{k: tf.constant(v) for k, v in inputs.items()})[
        "image"
    ]


def tflite(bundle):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = tf.lite.Interpreter(model_content=tflite_model(bundle), num_threads=2)
    run = model.get_signature_runner("stylize_image")
    return lambda **inputs: run(**inputs)["image"]


def onnx(bundle):
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name, reason="the extra interchange is not installed")
    import onnxruntime

    from model.interchange.onnx_model import onnx_model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    run = onnxruntime.InferenceSession(
        onnx_model(bundle), options, providers=["CPUExecutionProvider"]
    ).run
    return lambda **inputs: run(None, inputs)[0]


@pytest.mark.slow
@pytest.mark.parametrize("build", [saved_model, tflite, onnx])
@pytest.mark.parametrize("name", ["default", "paper"])
def test_pictures_are_ours_to_one_grey_level(name, build):
    data = pytest.importorskip("skimage.data", reason="the extra demo")
    folder = pathlib.Path(data.__file__).parent
    bundle = load_bundle(name)
    stylizer = Stylizer(bundle)
    run = build(bundle)
    contents = [pixels_of(folder / f"{k}.png", v) for k, v in PHOTOGRAPHS.items()]
    styles = [pixels_of(STYLES / k, v) for k, v in PAINTINGS.items()]
    moments = [stylizer.encode_style(style) for style in styles]
    for content in contents:
        encoded = stylizer.encode_content(content)
        for style, (mean, std) in zip(styles, moments, strict=True):
            for alpha in (1.0, 0.5):
                pixels, _ = stylizer.paint(encoded, mean, std, alpha)
                found = np.asarray(
                    run(content=content, style=style, alpha=np.array(alpha, np.float32))
                )
                assert found.shape == content.shape
                levels = np.rint(found * 255)
                assert np.abs(levels - pixels.astype(np.float32)).max() <= 1
