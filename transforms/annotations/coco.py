"""What COCO's files say of images: objects, captions, licences, and what is wrong.

An instance file and a caption file may be given together; their images are one where
their ids are. A `file_name` means the pictures whose keys end with it, part by part;
where none does, those whose whole keys it ends with, as where a folder was left out. So
`a/1.jpg` and `b/1.jpg` never get each other's annotations.
"""

import sqlite3
import tempfile
from typing import Final

from transforms.annotations.coco_index import CocoImages
from transforms.annotations.json_stream import JsonFile, OddJsonError
from transforms.run_cache import kept_for_a_run
from transforms.storage.files import open_file

# Bytes that a bucket is asked for at once.
_PIECE: Final = 1 << 20


@kept_for_a_run(maxsize=2)  # once a process, not once an image
def read_coco(instances: str = "", captions: str = "") -> CocoImages:
    """Return what COCO files say, each of them read once.

    What cannot be used of one image is the `problem` of that image, and stops none of
    the others.

    Args:
        instances: Path or URL of an instance file; '' for none.
        captions: Path or URL of a caption file; '' for none.

    Raises:
        OSError: A file cannot be read, or the disk is full.
        ValueError: A file is not JSON, is truncated, or holds something else.
    """
    try:
        return _read_files(instances, captions, odd=False)
    except OddJsonError:
        # Few have NaN or a number of any length, and to look for them takes long.
        return _read_files(instances, captions, odd=True)


def _read_files(instances: str, captions: str, odd: bool) -> CocoImages:
    images = CocoImages()
    try:
        if instances:
            _add(images, instances, "instance", "bbox` and `category_id", odd)
        if captions:
            _add(images, captions, "caption", "caption", odd)
        images.finish()
    except sqlite3.OperationalError as error:
        raise OSError(
            f"the index of the annotation files cannot be written to "
            f"{tempfile.gettempdir()}: {error}"
        ) from error
    return images


def _add(images: CocoImages, path: str, what: str, needed: str, odd: bool) -> None:
    """Take in a file, and turn what a wrong shape of it raises into a ValueError."""
    is_instances = what == "instance"
    try:
        with open_file(path, _PIECE) as opened:
            file = JsonFile(opened, odd)
            images.add_file(file, instances=is_instances)
            images.sha256[path] = file.sha256
    except (KeyError, TypeError, AttributeError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else "other types"
        other = "caption" if is_instances else "instance"
        categories = ", `categories`" if is_instances else ""
        raise ValueError(
            f"{path} is not a COCO {what} file: it needs `images` with `id` and "
            f"`file_name`{categories}, and `annotations` with `image_id` and "
            f"`{needed}` (found {found}). Use {what}s_*.json, not {other}s_*.json"
        ) from error
    except OddJsonError as error:
        raise OddJsonError(f"{path} {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
