"""The Parquet schemas of every output: contracts with whoever reads them."""

from typing import Final

import pyarrow as pa

# One row a cell of `stylize`.
STYLIZE_MANIFEST: Final = pa.schema(
    [
        ("cell_id", pa.string()),
        ("content_id", pa.string()),
        ("content_key", pa.string()),
        ("content_sha256", pa.string()),
        (
            "styles",
            pa.list_(
                pa.struct(
                    [
                        ("id", pa.string()),
                        ("key", pa.string()),
                        ("sha256", pa.string()),
                        ("weight", pa.float64()),
                        ("mask_sha256", pa.string()),
                    ]
                )
            ),
        ),
        ("alpha", pa.float64()),
        ("original_width", pa.int32()),
        ("original_height", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("bundle_id", pa.string()),
        ("status", pa.string()),
    ]
)

# One row an image or a cell that failed.
FAILURES: Final = pa.schema(
    [
        ("key", pa.string()),
        ("source", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
    ]
)

# One row a style; the file's metadata says which encoder, size and precision.
STYLE_BANK: Final = pa.schema(
    [
        ("id", pa.string()),
        ("key", pa.string()),
        ("sha256", pa.string()),
        ("mean", pa.list_(pa.float32())),
        ("std", pa.list_(pa.float32())),
    ]
)

# One row an input of `ingest`. Sizes and places are null where there is none: all from
# `sha256` on for a file that could not be read, from `format` on for one rejected.
# The places are those of the shard `<name>-<split>.tfrecord-<shard>-of-<shards>`.
INGEST_MANIFEST: Final = pa.schema(
    [
        ("key", pa.string()),
        ("id", pa.string()),
        ("source", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
        # Key of the accepted image with the same bytes.
        ("duplicate_of", pa.string()),
        # Of the source's bytes, and how many.
        ("sha256", pa.string()),
        ("source_bytes", pa.int64()),
        ("original_width", pa.int32()),
        ("original_height", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        # 64 bits, hexadecimal: near-duplicates differ in few.
        ("perceptual_hash", pa.string()),
        # jpeg or png; kept (the source's own bytes) or encoded.
        ("format", pa.string()),
        ("encoding", pa.string()),
        ("label", pa.string()),
        ("artist", pa.string()),
        ("title", pa.string()),
        ("captions", pa.list_(pa.string())),
        ("coco_id", pa.int64()),
        ("split", pa.string()),
        ("shard", pa.int32()),
        # Position among the records of the shard.
        ("record_index", pa.int64()),
        # The record with its frame of 12 bytes before and 4 behind: the records of a
        # shard follow each other without gaps.
        ("byte_offset", pa.int64()),
        ("byte_length", pa.int64()),
        # The encoded picture inside the shard, to be read without parsing the record.
        ("image_offset", pa.int64()),
        ("image_length", pa.int64()),
    ]
)

# One row a result of `evaluate`: of a pair, or of the identity test.
EVALUATION: Final = pa.schema(
    [
        ("kind", pa.string()),
        ("content_key", pa.string()),
        ("style_key", pa.string()),
        ("content_loss", pa.float64()),
        # By layer of the ruler's encoder.
        ("style_losses", pa.map_(pa.string(), pa.float64())),
        ("style_loss", pa.float64()),
        ("total", pa.float64()),
        # To the content, in [-1, 1].
        ("ssim", pa.float64()),
        # To the content, in grey levels of 255.
        ("rmse", pa.float64()),
    ]
)
