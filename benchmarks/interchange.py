"""How long do other runtimes take for one picture, and how far off are they?

    python benchmarks/interchange.py --rounds 7

A photograph and a painting become a picture, style encoded each time: by `Stylizer`, by
the SavedModel, by TFLite and by onnxruntime, in turns, in one process. Each has one
thread, and what is told is the processor time of the process, the median of the rounds:
on a busy machine only that says anything. The ratio is to `Stylizer` of the same round,
also a median. Needs the extras `interchange` and `demo`.
"""

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import numpy.typing as npt
import onnxruntime
import skimage.data
import tensorflow as tf

from model.adain.stylizer import Stylizer
from model.bundle import Bundle, load_bundle
from model.interchange.onnx_model import onnx_model
from model.interchange.saved_model import save_saved_model
from model.interchange.tflite import tflite_model

Picture = npt.NDArray[np.float32]
Paint = Callable[[Picture, Picture, float], Picture]


def ours(bundle: Bundle) -> Paint:
    """Return what every command of stylebeam paints with."""
    return Stylizer(bundle).stylize


def saved_model(bundle: Bundle) -> Paint:
    """Return the SavedModel, loaded from a folder."""
    with tempfile.TemporaryDirectory() as folder:
        save_saved_model(bundle, folder)
        loaded = tf.saved_model.load(folder)
    run = loaded.signatures["stylize_image"]

    def paint(content: Picture, style: Picture, alpha: float) -> Picture:
        tensors = (tf.constant(v) for v in (content, style, np.float32(alpha)))
        named = dict(zip(("content", "style", "alpha"), tensors, strict=True))
        found: Picture = run(**named)["image"].numpy()
        return found

    # The variables live as long as what was loaded.
    paint.loaded = loaded  # type: ignore[attr-defined]
    return paint


def tflite(bundle: Bundle) -> Paint:
    """Return the TFLite model in TensorFlow's interpreter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = tf.lite.Interpreter(model_content=tflite_model(bundle), num_threads=1)
    run: Any = model.get_signature_runner("stylize_image")
    return lambda content, style, alpha: run(
        content=content, style=style, alpha=np.float32(alpha)
    )["image"]


def onnx(bundle: Bundle) -> Paint:
    """Return the ONNX model in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx_model(bundle), options, providers=["CPUExecutionProvider"]
    )
    return lambda content, style, alpha: session.run(
        None,
        {"content": content, "style": style, "alpha": np.array(alpha, np.float32)},
    )[0]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    content = skimage.data.chelsea().astype(np.float32)[None] / 255
    style = skimage.data.coffee()[:, :400].astype(np.float32)[None] / 255
    print(f"{content.shape[2]} x {content.shape[1]} pixels")
    print("| bundle | runtime | CPU s | times ours | grey levels off |")
    print("|---|---|---|---|---|")
    for name in ("default", "paper"):
        bundle = load_bundle(name)
        runtimes = {f.__name__: f(bundle) for f in (ours, saved_model, tflite, onnx)}
        pictures = {k: paint(content, style, 1.0) for k, paint in runtimes.items()}
        seconds: dict[str, list[float]] = {k: [] for k in runtimes}
        for _ in range(arguments.rounds):
            for kind, paint in runtimes.items():
                start = time.process_time()
                paint(content, style, 1.0)
                seconds[kind].append(time.process_time() - start)
        levels = {k: np.rint(v * 255) for k, v in pictures.items()}
        for kind, taken in seconds.items():
            ratios = [a / b for a, b in zip(taken, seconds["ours"], strict=True)]
            off = np.abs(levels[kind] - levels["ours"]).max()
            print(
                f"| {name} | {kind} | {statistics.median(taken):.2f} | "
                f"{statistics.median(ratios):.2f} | {off:.0f} |"
            )


if __name__ == "__main__":
    main()
