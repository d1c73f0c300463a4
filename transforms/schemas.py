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

# One row a map of `visualize`: a tile of a sheet. `image_id` is `collection` where it
# belongs to no single image; `channel` is null for the maximum neurons and for rows
# that stand for a whole file.
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
