"""A SavedModel is the networks of the bundle, where stylebeam is not installed."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from model.adain.stylizer import Stylizer, to_uint8
from model.bundle import Bundle
from model.interchange.saved_model import save_saved_model

# Where the project cannot be imported: from another folder, isolated, blocked.
SCRIPT = """
import sys
for name in ("model", "transforms", "pipelines", "keras"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load("saved")
data = np.load("in.npz")
content, style = (tf.constant(data[name]) for name in ("content", "style"))
moments = loaded.signatures["encode_style"](image=style)
alpha = tf.constant(0.6)
stylize = loaded.signatures["stylize"]
one = stylize(content=content, alpha=alpha, **moments)["image"]
two = loaded.signatures["stylize_image"](content=content, style=style, alpha=alpha)
both = stylize(content=tf.repeat(content, 2, axis=0), alpha=alpha, **moments)["image"]
assert both.shape == (2, 45, 61, 3) and moments["mean"].shape[0] == 1
np.savez("out.npz", one=one, two=two["image"])
"""


def test_saved_model_works_without_the_project(tiny_bundle, tmp_path, picture):
    save_saved_model(tiny_bundle, str(tmp_path / "saved"))
    content = picture(45, 61, seed=1)[None]
    style = picture(40, 33, seed=2)[None]
    np.savez(tmp_path / "in.npz", content=content, style=style)
    subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT], check=True, cwd=tmp_path, timeout=120
    )
    expected = Stylizer(tiny_bundle).stylize(content, style, 0.6)
    found = np.load(tmp_path / "out.npz")
    for name in ("one", "two"):
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected, atol=2e-5)


@pytest.mark.parametrize(
    "kind", ["linear", "vgg", pytest.param("relu", marks=pytest.mark.slow)]
)
def test_saved_model_equals_the_stylizer(
    level_bundles: Callable[[str], Bundle],
    picture: Callable[..., np.ndarray],
    tmp_path: pathlib.Path,
    kind: str,
) -> None:
    bundle = level_bundles(kind)
    save_saved_model(bundle, str(tmp_path))
    signatures = tf.saved_model.load(str(tmp_path)).signatures
    content, style = picture(29, 43)[None], picture(32, 24, 7)[None]
    stylizer = Stylizer(bundle)
    mean, std = stylizer.encode_style(style)
    found = signatures["encode_style"](image=style)
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["std"], std, rtol=1e-4, atol=1e-5)
    alpha = np.float32(0.6)
    result = signatures["stylize_image"](content=content, style=style, alpha=alpha)
    expected = stylizer.stylize(content, style, 0.6)
    np.testing.assert_allclose(result["image"], expected, rtol=0, atol=1e-4)


# Run where no stylebeam and no Keras can be imported.
SERVE = """
import pathlib, sys
for name in ("model", "pipelines", "transforms", "keras"):
    sys.modules[name] = None
import tensorflow as tf
folder = pathlib.Path(sys.argv[1])
serve = tf.saved_model.load(str(folder / "sm")).signatures["serving_default"]
for content in ("content.png", "content.jpg"):
    found = serve(
        content=tf.constant((folder / content).read_bytes()),
        style=tf.constant((folder / "style.jpg").read_bytes()),
        alpha=tf.constant(0.75),
    )
    (folder / f"{content}.made.png").write_bytes(found["image"].numpy())
"""


def test_saved_model_serves_files_without_stylebeam(tiny_bundle, picture, tmp_path):
    save_saved_model(tiny_bundle, str(tmp_path / "sm"))
    for name, size, seed in (
        ("content.png", (45, 61), 1),
        ("content.jpg", (45, 61), 1),
        ("style.jpg", (50, 40), 2),
    ):
        image = Image.fromarray(to_uint8(picture(*size, seed=seed)))
        image.save(tmp_path / name, quality=95)
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    environment = {"PATH": os.environ["PATH"], "TF_CPP_MIN_LOG_LEVEL": "2"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)

    stylizer = Stylizer(tiny_bundle)
    pixels = {
        name: np.asarray(Image.open(tmp_path / name).convert("RGB"), np.float32) / 255
        for name in ("content.png", "content.jpg", "style.jpg")
    }
    for name in ("content.png", "content.jpg"):
        made = stylizer.stylize(pixels[name][None], pixels["style.jpg"][None], 0.75)
        ours = to_uint8(made[0])
        served = np.asarray(Image.open(tmp_path / f"{name}.made.png"))
        assert served.shape == ours.shape
        assert np.abs(served.astype(int) - ours.astype(int)).max() <= 1
