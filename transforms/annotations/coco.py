"""What COCO's files say of images: objects, captions, licences, and what is wrong.

An instance file and a caption file may be given together; their images are one where
their ids are. A `file_name` means the pictures whose keys end with it, part by part;
where none does, those whose whole keys it ends with, as where a folder was left out. So
`a/1.jpg` and `b/1.jpg` never get each other's annotations.
"""

import sqlite3
import tempfile

from transforms.annotations.coco_index import CocoImages
from transforms.annotations.json_stream import OddJsonError, open_json
from transforms.run_cache import kept_for_a_run


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
    is_instances = what == "instance"
    other = "caption" if is_instances else "instance"
    categories = ", `categories`" if is_instances else ""
    expected = (
        f"a COCO {what} file: it needs `images` with `id` and `file_name`{categories}, "
        f"and `annotations` with `image_id` and `{needed}`"
    )
    hint = f". Use {what}s_*.json, not {other}s_*.json"
    with open_json(path, odd, expected, hint) as file:
        images.add_file(file, instances=is_instances)
        images.sha256[path] = file.sha256
