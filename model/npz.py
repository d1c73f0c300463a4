"""Weights as .npz bytes: plain arrays, no pickles, no clock; imports no TensorFlow."""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.config import ConvSpec

Arrays = Mapping[str, npt.NDArray[Any]]

# What zipfile and NumPy raise on damaged archives beside ValueError; the last one on an
# unknown compression.
_DAMAGE: Final = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
)


def read_npz(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an .npz file; pickled objects are refused.

    Raises:
        ValueError: The bytes are not a whole .npz of plain arrays.
    """
    # np.load would take a bare .npy too, and calls anything else a pickle.
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("not an .npz file, or only a part of one")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _DAMAGE as error:
        raise ValueError(f"a damaged .npz file: {error}") from error
    strange = [n for n, array in arrays.items() if not isinstance(array, np.ndarray)]
    if strange:
        raise ValueError(f"members that are no arrays: {', '.join(strange)}")
    return arrays


def write_npz(layers: Sequence[ConvSpec], arrays: Arrays) -> bytes:
    """Return the arrays as .npz bytes; in the order of the layers, so always the same.

    NumPy dates the members 1980-01-01, so that no clock gets in.

    Raises:
        ValueError: An array is missing.
    """
    names = [f"{layer.name}/{part}" for layer in layers for part in ("kernel", "bias")]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"The weights lack the arrays {', '.join(missing)}.")
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: arrays[name] for name in names})
    return buffer.getvalue()
