"""The settings of a small data set."""

import pytest

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.sources import AnnotationSource


@pytest.fixture
def settings() -> DatasetSettings:
    return DatasetSettings(
        name="tiny",
        size=40,
        val_fraction=0.5,
        shards=2,
        encode="png",
        quality=92,
        min_side=32,
        max_pixels=10_000,
        annotations=AnnotationSource(),
        fingerprint="f0",
    )
