"""Each source is a record in a spill file, a rejected row, or passed over."""

import apache_beam as beam
import numpy as np
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.annotations.sources import Annotation, SourceImage
from transforms.images.decoder import decode_image
from transforms.ingest import prepare
from transforms.ingest.prepare import PrepareImages, prepare_image
from transforms.storage.files import open_file
from transforms.storage.parts import stable_part
from transforms.storage.segments import merged_rows, unpack_row


def row_of(record):
    """Return the row that waits before a record."""
    with open_file(record["path"]) as file:
        file.seek(record["offset"])
        return unpack_row(file.read(record["row_length"]))


def told(shard_and_segment):
    shard, segment = shard_and_segment
    for record in merged_rows([segment]):
        row = row_of(record)
        yield shard, record["key"], record["sha256"], row["width"], row["label"]


def why(part_and_segment):
    part, segment = part_and_segment
    for row in merged_rows([segment]):
        assert stable_part(row["key"], 4) == part
        yield row["key"], row["reason"]


def test_accepted_rejected_and_examples(output, listed, settings, counters):
    files = [listed("a.png", 48, 60), listed("small.png", 20, 60, seed=1)]
    files += [listed("gone.png"), listed("text.png", data=b"no picture")]
    data = files[0].path
    with open_file(data) as file:
        streamed = SourceImage(
            listed("b.png"), file.read() + b" ", Annotation(label="cat")
        )
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        prepared = (
            pipeline
            | beam.Create([streamed, *map(SourceImage, files)])
            | PrepareImages(output, settings, committed=(), parts=4)
        )
        prepared_rows = [
            prepare_image(SourceImage(files[0]), _read(files[0]), settings).row,
            prepare_image(streamed, streamed.data, settings).row,
        ]
        expected = [
            (settings.shard_of(row["sha256"]), row["key"], row["sha256"], 50, label)
            for row, label in zip(prepared_rows, ("", "cat"), strict=True)
        ]
        # A spill file can be read once its bundle is over.
        records = prepared.records | beam.Reshuffle() | "Tell" >> beam.FlatMap(told)
        assert_that(records, equal_to(expected), "records")
        reasons = [
            ("gone.png", "not_found"),
            ("small.png", "too_small"),
            ("text.png", "not_an_image"),
        ]
        rejected = prepared.rejected | beam.FlatMap(why)
        assert_that(rejected, equal_to(reasons), "rejected")
        examples = prepared.examples | "Seen" >> beam.Map(
            lambda e: (e.key, e.reason, e.size, bool(e.thumbnail))
        )
        shown = [
            ("gone.png", "not_found", -1, False),
            ("small.png", "too_small", len(_read(files[1])), True),
            ("text.png", "not_an_image", 10, False),
        ]
        assert_that(examples, equal_to(shown), "examples")
    assert counters(pipeline) == {
        "PrepareImages.images_accepted": 2,
        "PrepareImages.images_rejected": 3,
        "Failures.not_an_image": 1,
        "Failures.not_found": 1,
        "Failures.too_small": 1,
    }


def _read(ref):
    with open_file(ref.path) as file:
        return file.read()


def test_what_a_whole_shard_holds_is_passed_over(
    output, listed, settings, counters, monkeypatch
):
    ref = listed("a.png", 48, 60)
    monkeypatch.setattr(
        prepare, "committed_keys", lambda _output, _settings, shards: {*shards, "a.png"}
    )
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        prepared = (
            pipeline
            | beam.Create([SourceImage(ref)])
            | PrepareImages(output, settings, settings.shard_names(), parts=1)
        )
        assert_that(prepared.records, equal_to([]), "records")
        assert_that(prepared.rejected, equal_to([]), "rejected")
    assert counters(pipeline) == {"PrepareImages.images_committed": 1}


def test_record_is_the_shrunk_picture(listed, settings):
    data = _read(listed("a.png", 80, 120))
    prepared = prepare_image(SourceImage(listed("a.png")), data, settings)
    row, start = prepared.row, prepared.image_offset
    assert (row["height"], row["width"]) == (40, 60)
    assert (row["original_height"], row["original_width"]) == (80, 120)
    image = prepared.frame[12:][start : start + row["image_length"]]
    np.testing.assert_array_equal(
        decode_image(image).pixels, decode_image(data, size=40).pixels
    )
