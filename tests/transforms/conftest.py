"""An output folder, pictures to read, and what a pipeline counted."""

import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from transforms.elements import ImageRef
from transforms.storage.folder import OutputFolder


@pytest.fixture
def output(tmp_path: pathlib.Path) -> OutputFolder:
    return OutputFolder(str(tmp_path / "out"))


@pytest.fixture
def listed(tmp_path: pathlib.Path, photograph: Callable[..., Any]):
    """Return a maker of references: of pictures, of other bytes, or of nothing."""

    def make(
        key: str, height: int = 0, width: int = 0, data: bytes | None = None, **options
    ) -> ImageRef:
        path = tmp_path / "in" / key
        if height:
            photograph(path, height, width, **options)
        elif data is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return ImageRef(key, "in", str(path))

    return make


@pytest.fixture(scope="session")
def counters() -> Callable[[Any], dict[str, int]]:
    """Return a function: the metrics of a pipeline that ran, as `<step>.<name>`."""

    def read(pipeline: Any) -> dict[str, int]:
        found = pipeline.result.metrics().query()["counters"]
        return {
            f"{c.key.metric.namespace}.{c.key.metric.name}": c.committed for c in found
        }

    return read
