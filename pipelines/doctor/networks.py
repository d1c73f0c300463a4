"""What the networks need: TensorFlow, Keras, the packaged weights; and what is fast."""

import json
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any, Final

from pipelines.doctor.findings import Finding
from transforms.steps.tensorflow_start import start_tensorflow, without_greeting

# A convolution as the networks have most of them, in batches as small as theirs.
_SIDE: Final = 128
_CHANNELS: Final = 64
_SECONDS_A_TYPE: Final = 0.8

# From here on a type is told to be faster: less is within what two measurements differ.
_PAYS: Final = 1.15


def look_at_networks() -> Iterator[Finding]:
    """Yield what there is to say of the networks."""
    yield from _environment()
    try:
        start_tensorflow()
        with without_greeting():
            from model.tensorflow_keras import keras
    except ImportError as error:
        yield Finding("wrong", "keras", f"{error}")
        return
    found = f"on {keras.config.backend()}, {keras.config.image_data_format()}"
    yield Finding("ok", "keras", f"{found}, as the networks need it")
    yield _accelerators()
    yield _bfloat16()
    yield from _weights()


def _environment() -> Iterator[Finding]:
    """Yield what asks for another Keras; no run of ours heeds it."""
    asked = []
    if backend := os.environ.get("KERAS_BACKEND", ""):
        asked.append(f"KERAS_BACKEND={backend}")
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    try:
        path = pathlib.Path(home, "keras.json")
        settings: Any = json.loads(path.read_text("utf-8"))
        asked += [
            f"{name} {settings[name]} in {path}"
            for name, ours in (
                ("backend", "tensorflow"),
                ("image_data_format", "channels_last"),
                ("floatx", "float32"),
            )
            if settings.get(name, ours) != ours
        ]
    except (OSError, ValueError, AttributeError):
        pass  # Keras itself passes over a file that it cannot read.
    asked = [one for one in asked if one != "KERAS_BACKEND=tensorflow"]
    if asked:
        yield Finding(
            "note",
            "keras settings",
            f"{', '.join(asked)}: for other programs; stylebeam's commands set it "
            "aside; a program of yours that imports keras before stylebeam's model "
            "would fail",
        )


def _accelerators() -> Finding:
    import tensorflow as tf

    details = tf.config.experimental.get_device_details
    names = [
        details(device).get("device_name", device.name)
        for device in tf.config.list_physical_devices("GPU")
    ]
    if names:
        return Finding("ok", "gpu", ", ".join(names))
    if os.path.exists("/dev/nvidia0"):
        return Finding(
            "wrong",
            "gpu",
            "there is one (/dev/nvidia0), which TensorFlow does not see. Run: pip "
            "install 'tensorflow[and-cuda]'; or hide it with CUDA_VISIBLE_DEVICES=-1",
        )
    return Finding("ok", "gpu", "none; jobs run on the processor")


def _bfloat16() -> Finding:
    """Measure in two seconds whether `--precision bfloat16` pays here."""
    import tensorflow as tf

    seconds = {}
    for kind in (tf.float32, tf.bfloat16):
        picture = tf.ones((1, _SIDE, _SIDE, _CHANNELS), kind)
        kernel = tf.ones((3, 3, _CHANNELS, _CHANNELS), kind)
        tf.nn.conv2d(picture, kernel, 1, "SAME").numpy()  # the first one starts up
        times: list[float] = []
        end = time.monotonic() + _SECONDS_A_TYPE
        while time.monotonic() < end or len(times) < 3:
            began = time.perf_counter()
            tf.nn.conv2d(picture, kernel, 1, "SAME").numpy()
            times.append(time.perf_counter() - began)
        # What else runs on the machine makes it slower, never faster.
        seconds[kind.name] = min(times)
    factor = seconds["float32"] / seconds["bfloat16"]
    if factor >= _PAYS:
        text = (
            f"pays: convolutions are {factor:.1f} times as fast; --precision bfloat16"
        )
    elif factor > 1 / _PAYS:
        text = "does not pay: a convolution is as fast as in float32"
    else:
        text = f"does not pay: a convolution takes {1 / factor:.1f} times as long"
    return Finding("ok", "bfloat16", text)


def _weights() -> Iterator[Finding]:
    from model.bundle import PACKAGED, load_bundle
    from model.networks.weights import load_vgg_weights

    for name in PACKAGED:
        try:
            bundle = load_bundle(name)
            yield Finding(
                "ok", f"bundle {name}", f"whole, bundle_id {bundle.bundle_id}"
            )
        except (OSError, ValueError) as error:
            yield Finding(
                "wrong", f"bundle {name}", f"{error} Install stylebeam again."
            )
    try:
        load_vgg_weights("vgg16")
        yield Finding("ok", "weights of vgg16", "whole")
    except (OSError, ValueError) as error:
        yield Finding("wrong", "weights of vgg16", str(error))
