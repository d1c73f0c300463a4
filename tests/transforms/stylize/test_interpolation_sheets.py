"""What lies between styles, as one picture a content and strength."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from apache_beam import Create
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.images.decoder import decode_image, encode_image
from transforms.storage.parquet import write_table
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.stylize.cells import StyleShare
from transforms.stylize.interpolation_sheets import WriteSheets, sheet_places
from transforms.stylize.manifest import MANIFEST_TABLE
from transforms.stylize.pairing import BlendPairing

WEIGHTS = ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0))


@pytest.fixture
def part(output):
    """Write the rows of two contents, their pictures ever lighter; one has failed."""
    rows = []
    for content in ("a", "b"):
        for index, weights in enumerate(WEIGHTS):
            shares = [
                dataclasses.asdict(StyleShare(key, f"{key}.png", "00", weight))
                for key, weight in zip("st", weights, strict=True)
                if weight
            ]
            path = f"images/{content}/{index}.png"
            done = (content, index) != ("b", 1)
            if done:
                pixels = np.full((32, 40, 3), 60 * index, np.uint8)
                output.write(path, encode_image(pixels, "png"))
            rows.append(
                {
                    "content_id": content,
                    "content_key": f"{content}.png",
                    "styles": shares,
                    "alpha": 1.0,
                    "path": path,
                    "status": "done" if done else "failed",
                }
            )
    name = MANIFEST_TABLE.part_name(0, 1)
    write_table(output, name, pa.Table.from_pylist(rows, STYLIZE_MANIFEST))
    return name


def test_sheet_of_each_content_with_white_for_what_failed(output, part):
    # Nothing of strength 0.5 was made, so there is no sheet of it.
    pairing = BlendPairing((1.0, 0.5), WEIGHTS)
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        sheets = pipeline | Create([part]) | WriteSheets(output, pairing)
        assert_that(sheets, equal_to(["sheets/a.jpg", "sheets/b.jpg"]))
    levels = {}
    for name in ("a", "b"):
        pixels = decode_image(output.read(f"sheets/{name}.jpg")).pixels
        row = pixels[pixels.shape[0] // 2, :, 0].astype(int)
        third = len(row) // 6
        levels[name] = [row[third], row[len(row) // 2], row[-third]]
    np.testing.assert_allclose(levels["a"], [0, 60, 120], atol=3)
    np.testing.assert_allclose(levels["b"], [0, 255, 120], atol=3)


@pytest.mark.parametrize(
    ("corners", "pictures", "last"), [(2, 5, (4, 0)), (3, 6, (2, 2)), (4, 9, (2, 2))]
)
def test_each_picture_has_its_place(corners, pictures, last):
    places = sheet_places(corners, pictures)
    assert len(set(places)) == pictures
    assert places[-1] == last
