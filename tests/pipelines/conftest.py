import hashlib
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photograph(picture: Callable[..., np.ndarray]) -> Callable[..., pathlib.Path]:
    """Return a maker of picture files, their format by the suffix."""

    def save(
        path: pathlib.Path, height: int, width: int, seed: int = 0, **options: object
    ) -> pathlib.Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.rint(picture(height, width, seed=seed) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(path, **options)
        return path

    return save


@pytest.fixture(scope="session")
def files_of() -> Callable[[pathlib.Path], dict[str, str]]:
    """Return a function: the sha256 of every file but job.json, with the clock."""

    def hash_all(folder: pathlib.Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "job.json"
        }

    return hash_all
