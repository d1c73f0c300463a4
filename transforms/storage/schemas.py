"""The Parquet schemas of every output: contracts with whoever reads them."""

from typing import Final

import pyarrow as pa


def _columns(kind: pa.DataType, *names: str) -> list[tuple[str, pa.DataType]]:
    return [(name, kind) for name in names]


_BOX: Final = pa.list_(pa.float64())

# Objects in a picture (`transforms.annotations.objects`): empty where nothing is to be
# seen, null where nobody knows.
OBJECTS: Final = pa.list_(
    pa.struct(
        [
            ("id", pa.int64()),
            ("category", pa.string()),
            ("category_id", pa.int64()),
            # Left, top, width, height in pixels of the picture as it is kept.
            ("box", _BOX),
            ("area", pa.float64()),
            ("crowd", pa.bool_()),
            ("polygons", pa.list_(pa.list_(pa.float64()))),
            # COCO's compressed run-length code.
            ("mask", pa.string()),
            ("keypoints", pa.list_(pa.float64())),
            ("parts", pa.list_(pa.struct([("name", pa.string()), ("box", _BOX)]))),
            # Fields of the file that have no column, as JSON.
            ("more", pa.string()),
            ("note", pa.string()),
        ]
    )
)

# Segments of a panoptic map (`transforms.annotations.label_maps`).
SEGMENTS: Final = pa.list_(
    pa.struct(
        [
            ("id", pa.int64()),
            ("category", pa.string()),
            ("category_id", pa.int64()),
            ("box", _BOX),
            ("area", pa.int64()),
            ("crowd", pa.bool_()),
            ("more", pa.string()),
            ("note", pa.string()),
        ]
    )
)

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
        # What a reader should know of a picture that is there all the same.
        ("note", pa.string()),
        # Where the bytes are when they are not the file `path`.
        ("shard", pa.string()),
        ("offset", pa.int64()),
        (
            "metrics",
            pa.struct(
                [
                    ("content_loss", pa.float32()),
                    ("style_loss_relu1_1", pa.float32()),
                    ("style_loss_relu2_1", pa.float32()),
                    ("style_loss_relu3_1", pa.float32()),
                    ("style_loss_relu4_1", pa.float32()),
                    ("ssim", pa.float32()),
                    # What measured it; missing in tables of before.
                    ("ruler_encoder_sha256", pa.string()),
                ]
            ),
        ),
        # What is known of the content; null where nothing is known of any.
        (
            "annotation",
            pa.struct(
                [
                    ("label", pa.string()),
                    # -1 when none; null where there are no classes.
                    ("label_index", pa.int32()),
                    *_columns(pa.string(), "artist", "title"),
                    ("captions", pa.list_(pa.string())),
                    ("coco_id", pa.int64()),
                    *_columns(pa.string(), "split", "license", "license_url", "url"),
                    ("objects", OBJECTS),
                    # What the objects came in: voc, yolo, else COCO. Fields of the file
                    # that have no column, and columns of a table, each as JSON.
                    *_columns(pa.string(), "objects_from", "more", "metadata"),
                    # Of the panoptic map; null where there is none.
                    ("segments", SEGMENTS),
                ]
            ),
        ),
        # Label maps of the picture's size, PNG: classes, and ids of segments; null
        # where there is none.
        ("mask", pa.binary()),
        ("panoptic", pa.binary()),
        # What is known of the styles, in their order; null where nothing is.
        (
            "style_annotations",
            pa.list_(pa.struct(_columns(pa.string(), "label", "artist", "title"))),
        ),
    ]
)

# One row a wanted picture of a job on pairs; temporary.
PAIRS: Final = pa.schema(
    [
        ("content", pa.string()),
        ("number", pa.int64()),
        (
            "styles",
            pa.list_(
                pa.struct(
                    [
                        ("key", pa.string()),
                        ("weight", pa.float64()),
                        # A path, which need not be UTF-8.
                        ("mask", pa.binary()),
                        ("mask_sha256", pa.string()),
                    ]
                )
            ),
        ),
        ("alpha", pa.float64()),
        ("problem", pa.string()),
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

# One row a map of `visualize`: a tile of a sheet. `image_id` is `collection` where it
# belongs to no single image; `channel` is null for the maximum neurons and for rows
# that stand for a whole file. A sheet without a map has one row, of no width.
VISUALIZE_MAPS: Final = pa.schema(
    [
        ("cell_id", pa.string()),
        ("image_id", pa.string()),
        ("image_key", pa.string()),
        ("image_sha256", pa.string()),
        ("image_width", pa.int32()),
        ("image_height", pa.int32()),
        ("kind", pa.string()),
        ("layer", pa.string()),
        ("scale", pa.string()),
        ("channel", pa.int32()),
        ("part", pa.string()),
        ("minimum", pa.float64()),
        ("maximum", pa.float64()),
        ("mean", pa.float64()),
        ("l2", pa.float64()),
        ("zero", pa.bool_()),
        ("rank_correlation", pa.float64()),
        ("rank", pa.int32()),
        ("source_key", pa.string()),
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("sheet_width", pa.int32()),
        ("sheet_height", pa.int32()),
        ("left", pa.int32()),
        ("top", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("raw_path", pa.string()),
        ("raw_sha256", pa.string()),
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

# The same of a data set of version 2.
LABELLED_MANIFEST: Final = pa.schema(
    [
        *INGEST_MANIFEST,
        # -1 when none.
        ("label_index", pa.int32()),
        *_columns(pa.string(), "license", "license_url", "url"),
        # How many there were, and what is wrong with those that cannot be used.
        ("annotations", pa.int32()),
        ("wrong_annotations", pa.list_(pa.string())),
        # Empty where nothing is to be seen, null where nobody knows.
        ("objects", OBJECTS),
        *_columns(pa.string(), "objects_from", "more", "metadata"),
        ("segments", SEGMENTS),
        # Label maps inside the shard, PNG of the picture's size; null when none.
        *_columns(pa.int64(), "mask_offset", "mask_length"),
        *_columns(pa.int64(), "panoptic_offset", "panoptic_length"),
        *_columns(pa.string(), "mask_sha256", "panoptic_sha256"),
        # Where near-duplicates are grouped: whether the hash says too little to compare
        # it, and the key of the best picture of its group.
        ("flat", pa.bool_()),
        ("near_group", pa.string()),
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
        # To the content, in grey levels of 255: root mean square, mean absolute.
        ("rmse", pa.float64()),
        ("mae", pa.float64()),
        # Content loss against the photograph itself instead of AdaIN's target.
        ("photo_loss", pa.float64()),
    ]
)
