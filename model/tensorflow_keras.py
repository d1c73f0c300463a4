"""Keras on TensorFlow, with its own defaults, whatever the environment asks for.

`KERAS_BACKEND` and `~/.keras/keras.json` may choose another backend, another layout of
images or another type of numbers for other programs of the user. Our networks know one
of each. All modules take `keras` from here.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras

__all__ = ["keras"]

if keras.config.backend() != "tensorflow":
    raise ImportError(
        f"Keras was started on {keras.config.backend()} in this process. stylebeam "
        "needs it on TensorFlow: import its `model` first, or set "
        "KERAS_BACKEND=tensorflow."
    )
keras.config.set_floatx("float32")
keras.config.set_image_data_format("channels_last")
keras.config.set_epsilon(1e-7)
