"""How long a COCO file takes to be read, and how much memory: files of any size.

    python benchmarks/coco_index.py --mb 4000 --folder /large/disk

It makes an instance file of that size in a folder, reads it as `ingest` does, and looks
up each of its images, in a process whose memory may not grow by more than `--memory`
megabytes. Of disk it takes the size of the file, as much for the database and as much
again for what workers look up; so it looks first whether there is room.
"""

import argparse
import json
import os
import pathlib
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable

from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.coco import read_coco
from transforms.annotations.sources import AnnotationSource

_OBJECTS_AN_IMAGE = 7
_CORNERS = 40

# The file, the database with its indexes, and what workers look up.
_DISK = 3.5


def main() -> None:
    """Print seconds of the processor, seconds of the clock and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=400, help="size of the file")
    parser.add_argument("--folder", help="where to; the temporary folder if left out")
    parser.add_argument(
        "--memory", type=int, default=600, help="most megabytes more than at the start"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        needed, free = _DISK * arguments.mb, shutil.disk_usage(folder).free / 1e6
        if free < needed:
            sys.exit(f"{folder} has {free:.0f} MB free, {needed:.0f} MB are needed")
        # Of what has no name yet, and of SQLite.
        tempfile.tempdir = os.environ["SQLITE_TMPDIR"] = folder
        path = pathlib.Path(folder) / "instances.json"
        images = _write(path, arguments.mb * 1_000_000)
        print(f"{path.stat().st_size / 1e6:.0f} MB, {images} images", flush=True)
        _limit(arguments.memory)
        _measured("nothing", lambda: None)
        _measured("read", lambda: read_coco(str(path)))
        _measured("look up and write down", lambda: _look_up(str(path), images))


def _limit(megabytes: int) -> None:
    """Let this process ask for so much more memory, and no more."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + megabytes * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _look_up(path: str, images: int) -> None:
    source = AnnotationSource("coco", instances=path)
    found = read_coco(path)
    found.fit(_key(number) for number in range(images))
    index = AnnotationIndex("x")
    for number in range(images):
        index.add(source.unchecked(_key(number)))


def _measured(what: str, work: Callable[[], object]) -> None:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        f"{what}: {processor:.1f} s of CPU, {clock:.1f} s, peak {peak:.0f} MB",
        flush=True,
    )


def _key(number: int) -> str:
    return f"train/{number:012d}.jpg"


def _write(path: pathlib.Path, size: int) -> int:
    draw = random.Random(1)
    outlines = [
        [round(draw.uniform(0, 400), 2) for _ in range(_CORNERS)] for _ in range(1000)
    ]
    number = 0
    with path.open("w") as file:
        file.write('{"categories": [{"id": 1, "name": "cat"}], "annotations": [')
        while file.tell() < 0.92 * size:
            for _ in range(1000):
                about = {
                    "segmentation": [outlines[number % 1000]],
                    "area": 702.1057499999998,
                    "iscrowd": 0,
                    "image_id": number // _OBJECTS_AN_IMAGE,
                    "bbox": [1.0, 2.0, 30.5, 40.25],
                    "category_id": 1,
                    "id": number,
                }
                file.write(("," if number else "") + json.dumps(about))
                number += 1
        file.write('], "images": [')
        images = number // _OBJECTS_AN_IMAGE + 1
        for image in range(images):
            name = _key(image).rpartition("/")[2]
            url = f"http://images.cocodataset.org/train2017/{name}"
            entry = {"id": image, "file_name": name, "coco_url": url, "license": 1}
            file.write(("," if image else "") + json.dumps(entry))
        file.write("]}")
    return images


if __name__ == "__main__":
    main()
