"""The Parquet schemas of `optimize`: contracts with whoever reads its tables."""

from typing import Final

import pyarrow as pa

# One row a run of `optimize`: a content, a style and settings.
OPTIMIZE_RUNS: Final = pa.schema(
    [
        # Changes with everything that changes bytes.
        ("run_id", pa.string()),
        # Of the content and the style.
        ("pair_id", pa.string()),
        # Of the settings and the network.
        ("setting", pa.string()),
        # From the sweep file; empty where it gives none.
        ("name", pa.string()),
        ("content_id", pa.string()),
        ("content_key", pa.string()),
        ("content_sha256", pa.string()),
        ("style_id", pa.string()),
        ("style_key", pa.string()),
        ("style_sha256", pa.string()),
        # Each style with its share and its mask: of several, the three columns above
        # hold a name of the mix, all keys, and a sha256 over all of it.
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
        ("network", pa.string()),
        ("network_sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        (
            "settings",
            pa.struct(
                [
                    ("content_layers", pa.list_(pa.string())),
                    ("style_layers", pa.list_(pa.string())),
                    ("layer_weights", pa.list_(pa.float64())),
                    ("content_weight", pa.float64()),
                    ("style_weight", pa.float64()),
                    ("tv_weight", pa.float64()),
                    ("tv", pa.string()),
                    ("optimizer", pa.string()),
                    ("learning_rate", pa.float64()),
                    ("steps", pa.int32()),
                    ("pooling", pa.string()),
                    ("init", pa.string()),
                    ("pyramid", pa.int32()),
                    ("precision", pa.string()),
                    ("tolerance", pa.float64()),
                    ("snapshots", pa.int32()),
                    ("seed", pa.int64()),
                    ("size", pa.int32()),
                    ("preserve_color", pa.string()),
                    ("style_scale", pa.float64()),
                ]
            ),
        ),
        ("steps", pa.int32()),
        ("stopped_early", pa.bool_()),
        # Of the last step: the weighted sum, and the terms without their weights.
        ("total", pa.float64()),
        ("content", pa.float64()),
        ("style", pa.float64()),
        ("tv", pa.float64()),
        # content/<layer> and style/<layer>, without their weights.
        ("losses_by_layer", pa.map_(pa.string(), pa.float64())),
        # What `model.gatys.sharpness` says of the picture.
        ("high_frequency_energy", pa.float64()),
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        (
            "snapshots",
            pa.list_(
                pa.struct(
                    [
                        ("step", pa.int32()),
                        ("path", pa.string()),
                        ("sha256", pa.string()),
                    ]
                )
            ),
        ),
        ("curve_path", pa.string()),
        ("curve_sha256", pa.string()),
        ("status", pa.string()),
        # What a reader should know: whose mask is empty, which way was up.
        ("note", pa.string()),
    ]
)

# One row a step of a run of `optimize`.
OPTIMIZE_CURVES: Final = pa.schema(
    [
        ("run_id", pa.string()),
        ("setting", pa.string()),
        ("step", pa.int32()),
        ("total", pa.float64()),
        ("content", pa.float64()),
        ("style", pa.float64()),
        ("tv", pa.float64()),
    ]
)
