"""How fast is `stylebeam ingest`: against a plain loop, and against img2dataset.

    python benchmarks/ingest.py --images ../shared/data --plain
    python benchmarks/ingest.py --images ../shared/data --img2dataset PROGRAM

Both on the same files with the same number of processes, shortest side 256, JPEG 95.
The plain loop does the same work on each file: read, sha256, perceptual hash, decode,
resize, encode, write a record; it knows no failures, duplicates, order or resume. Its
processes take turns through the list and write a file each. img2dataset gets the files
from a server on localhost and writes its own TFRecord. Start-up is left out on both
sides: ours counts from the first picture read to the last file written, the loop from
when its processes are up, img2dataset by its own `duration`s and shard times.

The runs alternate, so that a slow minute of the machine hits both; the medians are
compared. On a machine that others use too, seconds on the clock say little even so;
`cpu_ratio` compares the processor time of all processes, less that of a run on eight
images, which is the start-up. Prints one line of JSON.
"""

import argparse
import functools
import hashlib
import http.server
import json
import multiprocessing
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import NamedTuple

from transforms.elements import ImageError
from transforms.images.decoder import decode_image, encode_image
from transforms.images.perceptual_hash import perceptual_hash
from transforms.storage.tfrecords import encode_example, frame_record

SIZE = 256
SUFFIXES = (".jpg", ".jpeg", ".png")


class Sample(NamedTuple):
    """What a run took.

    Attributes:
        seconds: On the clock, without start-up.
        cpu: Processor time of all its processes, with start-up.
    """

    seconds: float
    cpu: float


def find_images(root: pathlib.Path, most: int) -> list[pathlib.Path]:
    """Return the photographs and paintings below a folder, some of them broken."""
    found = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    return found[:most]


def link_images(images: list[pathlib.Path], folder: pathlib.Path) -> None:
    """Make one folder of all the files."""
    folder.mkdir()
    for number, image in enumerate(images):
        (folder / f"{number:06}{image.suffix.lower()}").symlink_to(image.resolve())


def time_ours(images: pathlib.Path, processes: int) -> float:
    """Return the seconds from the first picture read to the last file written."""
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "out")
        subprocess.run(
            [
                *(sys.executable, "-m", "pipelines", "ingest", "--name", "bench"),
                *("--input", str(images), "--output", output, "--size", str(SIZE)),
                f"--direct_num_workers={processes}",
                # Of this collection some files are broken on purpose.
                "--max-failure-rate=1",
            ],
            check=True,
            capture_output=True,
        )
        job = json.loads(pathlib.Path(output, "job.json").read_text("utf-8"))
    return float(job["timings"]["running_seconds"])


def _plain_worker(
    paths: list[str], target: str, ready: object, seconds: object
) -> None:
    ready.wait()  # type: ignore[attr-defined]
    began = time.perf_counter()
    with open(target, "wb") as file:
        for path in paths:
            data = pathlib.Path(path).read_bytes()
            sha256 = hashlib.sha256(data).hexdigest()
            try:
                decoded = decode_image(data, size=SIZE)
            except ImageError:
                continue
            height, width, _ = decoded.pixels.shape
            features = {
                "key": os.path.basename(path),
                "source": "images",
                "sha256": sha256,
                "perceptual_hash": perceptual_hash(decoded.pixels),
                "height": height,
                "width": width,
                "original_height": decoded.original_height,
                "original_width": decoded.original_width,
                "captions": [],
                **dict.fromkeys(("label", "artist", "title"), ""),
            }
            image = encode_image(decoded.pixels, "jpg", 95)
            file.write(frame_record(encode_example(features, image).data))
    seconds.put(time.perf_counter() - began)  # type: ignore[attr-defined]


def time_plain(images: pathlib.Path, processes: int) -> float:
    """Return the seconds of the slowest process of the plain loop."""
    paths = sorted(map(str, images.iterdir()))
    context = multiprocessing.get_context("spawn")
    ready, seconds = context.Barrier(processes), context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            context.Process(
                target=_plain_worker,
                args=(
                    paths[number::processes],
                    os.path.join(folder, str(number)),
                    ready,
                    seconds,
                ),
            )
            for number in range(processes)
        ]
        for worker in workers:
            worker.start()
        longest = max(seconds.get() for _ in workers)
        for worker in workers:
            worker.join()
    return float(longest)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def time_img2dataset(images: pathlib.Path, processes: int, program: str) -> float:
    """Return the seconds of img2dataset from its first download to its last shard."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(images))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    with tempfile.TemporaryDirectory() as folder:
        urls = pathlib.Path(folder, "urls.txt")
        names = sorted(path.name for path in images.iterdir())
        urls.write_text(
            "\n".join(
                f"http://127.0.0.1:{port}/{urllib.parse.quote(name)}" for name in names
            )
        )
        output = pathlib.Path(folder, "out")
        command = [
            *(program, "--url_list", str(urls)),
            *("--output_folder", str(output), "--output_format", "webdataset"),
            *("--image_size", str(SIZE), "--resize_mode", "keep_ratio"),
            *("--encode_quality", "95", "--enable_wandb", "False"),
            *("--processes_count", str(processes), "--thread_count", "16"),
            # A shard for each process and turn, so that all are busy to the end.
            *("--number_sample_per_shard", str(-(-len(names) // (2 * processes)))),
            *("--compute_hash", "sha256"),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        server.shutdown()
        server.server_close()
        stats = [json.loads(p.read_text()) for p in output.glob("*_stats.json")]
    done = sum(shard["successes"] for shard in stats)
    if done < 0.97 * len(names):
        raise RuntimeError(f"img2dataset took in only {done} of {len(names)} images")
    return float(
        max(shard["end_time"] for shard in stats)
        - min(shard["start_time"] for shard in stats)
    )


def measure(run: Callable[[pathlib.Path], float], images: pathlib.Path) -> Sample:
    """Return the seconds and the processor seconds of a run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = run(images)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(seconds, cpu)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=pathlib.Path, required=True)
    parser.add_argument("--most", type=int, default=3100, help="images at most")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    other = parser.add_mutually_exclusive_group(required=True)
    other.add_argument("--plain", action="store_true", help="compare with the loop")
    other.add_argument(
        "--img2dataset", metavar="PROGRAM", help="its img2dataset, to compare with"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = pathlib.Path(folder, "images")
        found = find_images(args.images, args.most)
        link_images(found, images)
        few = pathlib.Path(folder, "few")
        link_images(found[100:108], few)
        our_run = functools.partial(time_ours, processes=args.processes)
        other_run = functools.partial(time_plain, processes=args.processes)
        if not args.plain:
            other_run = functools.partial(
                time_img2dataset, processes=args.processes, program=args.img2dataset
            )
        starts = measure(our_run, few).cpu, measure(other_run, few).cpu
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(measure(our_run, images))
            theirs.append(measure(other_run, images))
    our_seconds = [sample.seconds for sample in ours]
    other_seconds = [sample.seconds for sample in theirs]
    our_cpu = statistics.median(sample.cpu for sample in ours) - starts[0]
    other_cpu = statistics.median(sample.cpu for sample in theirs) - starts[1]
    result = {
        "images": len(found),
        "processes": args.processes,
        "ours_seconds": [round(seconds, 2) for seconds in our_seconds],
        "other": "plain loop" if args.plain else "img2dataset",
        "other_seconds": [round(seconds, 2) for seconds in other_seconds],
        "ratio": round(
            statistics.median(other_seconds) / statistics.median(our_seconds), 3
        ),
        "ours_cpu_seconds": round(our_cpu, 2),
        "other_cpu_seconds": round(other_cpu, 2),
        "cpu_ratio": round(other_cpu / our_cpu, 3),
        "ours_images_a_second": round(len(found) / statistics.median(our_seconds), 1),
        "command": " ".join(["python", *sys.argv]),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
