"""Pictures out of a data set, for its preview and its report."""

from typing import Any, Final

from transforms.annotations.dataset_layout import DatasetSettings, shard_of_row
from transforms.images.decoder import Pixels, decode_image
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder

# Shortest side, twice that of a picture on the contact sheet.
_SIDE: Final = 320


def read_picture(
    output: OutputFolder, settings: DatasetSettings, row: dict[str, Any]
) -> Pixels:
    """Return the picture of an accepted row of the manifest, small.

    Args:
        output: The data set.
        settings: Settings of the data set.
        row: A row with `split`, `shard`, `image_offset` and `image_length`.

    Returns:
        uint8 [height, width, 3], RGB; the shortest side at most 320 pixels.
    """
    with open_file(output.path(shard_of_row(settings, row))) as file:
        file.seek(row["image_offset"])
        data = file.read(row["image_length"])
    decoded = decode_image(data, min_side=1, max_pixels=settings.max_pixels, size=_SIDE)
    return decoded.pixels
