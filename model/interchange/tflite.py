"""TFLite, for phones and small boards: only operations that every interpreter has."""

import tempfile

import tensorflow as tf

from model.bundle import Bundle
from model.interchange.saved_model import PlainStylizer


def tflite_model(bundle: Bundle) -> bytes:
    """Return a TFLite model that needs no operations of TensorFlow (SELECT_TF_OPS).

    Its signatures are those of `save_saved_model` on arrays, `encode_style`, `stylize`
    and `stylize_image`, for one picture a call: `[1, height, width, 3]`, float32 RGB in
    [0, 1], of any size from 16 pixels a side. They share the weights, in float32.

    Args:
        bundle: What to convert.
    """
    module = PlainStylizer(bundle)
    signatures = module.signatures(batch=1)
    # Several functions with shared weights are converted from a SavedModel only.
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return bytes(converter.convert())
