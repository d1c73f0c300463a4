"""The settings of a small data set, and records that wait for its shards."""

import dataclasses

import pytest

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.sources import AnnotationSource, SourceImage
from transforms.ingest.prepare import prepare_image
from transforms.ingest.spill import SpillFile
from transforms.storage.files import read_file
from transforms.storage.segments import SegmentWriter


@pytest.fixture(scope="session")
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


@pytest.fixture
def spill(output, listed, settings):
    """Return a writer of pictures into a spill file; it returns shards and records."""

    def write(*pictures):
        file = SpillFile(output)
        records = []
        for key, seed in pictures:
            ref = listed(key, 40, 50, seed=seed)
            image = prepare_image(SourceImage(ref), read_file(ref.path), settings)
            record = file.append(image)
            records.append((settings.shard_of(record.sha256), record))
        file.close()
        return records

    return write


@pytest.fixture
def segments(output):
    """Return a maker of segments: (bucket, where its rows are) of (bucket, row)s."""

    def write(rows):
        writer = SegmentWriter(output)
        made = [segment for bucket, row in rows for segment in writer.add(bucket, row)]
        return [*made, *writer.flush()]

    return write


@pytest.fixture
def spilled(spill, segments):
    """Return a writer of pictures as `PrepareImages` gives them on."""

    def write(*pictures):
        records = spill(*pictures)
        return segments([(shard, dataclasses.asdict(r)) for shard, r in records])

    return write
