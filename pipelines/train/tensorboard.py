"""Scalars and pictures for TensorBoard, which need not be installed to write them.

`tf.summary.scalar` and `.image` are TensorBoard's own functions; TensorFlow 2.21 does
not bring them. What they write is a tensor with a few words of metadata:
https://github.com/tensorflow/tensorboard/blob/master/tensorboard/plugins/scalar/summary_v2.py
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf


class EventWriter:
    """Writes the event files of one run.

    Args:
        folder: Where they go; each process adds a file.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        # TensorFlow would make it without the user's umask.
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = tf.summary.create_file_writer(str(folder))
        self._scalars = _metadata("scalars", "DATA_CLASS_SCALAR")
        self._images = _metadata("images", "DATA_CLASS_BLOB_SEQUENCE")

    def scalars(self, prefix: str, values: Mapping[str, float], step: int) -> None:
        """Write numbers, each under `prefix/name`."""
        with self._writer.as_default(step):
            for name, value in values.items():
                tf.summary.write(
                    f"{prefix}/{name}",
                    tf.constant(value, tf.float32),
                    metadata=self._scalars,
                )

    def image(
        self, name: str, encoded: bytes, size: tuple[int, int], step: int
    ) -> None:
        """Write a picture.

        Args:
            name: Name of the picture.
            encoded: PNG or JPEG.
            size: Width and height in pixels.
            step: When it was made.
        """
        width, height = size
        parts = [str(width).encode(), str(height).encode(), encoded]
        with self._writer.as_default(step):
            tf.summary.write(name, tf.constant(parts), metadata=self._images)
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


def _metadata(plugin: str, data_class: str) -> Any:
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    field = metadata.DESCRIPTOR.fields_by_name["data_class"]
    metadata.data_class = field.enum_type.values_by_name[data_class].number
    return metadata
