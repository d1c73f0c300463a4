"""Paint the pictures of `stylebeam demo` anew: 25 paintings, and the photograph.

    python tests/regenerate_demo.py

The paintings come from examples/paintings.py, the photograph from scikit-image. They
are packaged, so that the demo needs neither.
"""

import io
import pathlib
import sys

import numpy as np
import skimage.data
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples"))

from paintings import PAINTINGS  # noqa: E402

PICTURES = ROOT / "pipelines" / "demo" / "pictures"


def painting(pixels: np.ndarray) -> bytes:
    """Return the file of a painting, uint8 RGB [height, width, 3]."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=90, optimize=True)
    return data.getvalue()


def photograph() -> bytes:
    """Return the file of the photograph."""
    data = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).save(data, "PNG", optimize=True)
    return data.getvalue()


def main() -> None:
    """Write all pictures."""
    for name, painter in PAINTINGS.items():
        (PICTURES / "styles" / f"{name}.jpg").write_bytes(painting(painter()))
    (PICTURES / "content" / "chelsea.png").write_bytes(photograph())


if __name__ == "__main__":
    main()
