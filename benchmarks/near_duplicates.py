"""How long near-duplicates among very many pictures take to find, and in what memory.

    python benchmarks/near_duplicates.py --pictures 300000

No pictures are decoded: what `ingest` knows of each while it groups them, a perceptual
hash, is made up. A collection of each kind goes through the step of `ingest` in one
process: what each picture looks like waits on disk, is grouped, and is parted by shard.

    lone      random hashes; no two are near
    pairs     half of them, and each again with up to three other bits
    equal     all alike
    crowd     all within four bits of one hash: nearly all are near to hundreds
    loose     all within eight bits of one hash: most buckets are large, few are near

Peak memory is that of a process of its own for each kind. Precision and recall compare
groups with those of comparing all pairs of a sample, which is drawn from all kinds.
Prints a line of JSON for each kind.
"""

import argparse
import hashlib
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.sources import AnnotationSource
from transforms.ingest.group_near import WAITING, group_records
from transforms.ingest.near_duplicates import NEAR_BITS, Hashes, near_duplicates
from transforms.ingest.whole_shards import Committed
from transforms.storage.folder import OutputFolder
from transforms.storage.segments import Segment, SegmentWriter, merged_rows

SETTINGS = DatasetSettings(
    name="made_up",
    size=512,
    val_fraction=0.1,
    shards=100,
    encode="jpeg",
    quality=95,
    min_side=32,
    max_pixels=10**8,
    annotations=AnnotationSource(),
    near_duplicates="drop",
)


def turned(hashes: Hashes, bits: int, random: np.random.Generator) -> Hashes:
    """Return hashes with up to so many other bits each."""
    for _ in range(bits):
        places = random.integers(0, 64, len(hashes)).astype(np.uint64)
        hashes = hashes ^ (np.uint64(1) << places)
    return hashes


def lone(count: int, random: np.random.Generator) -> Hashes:
    """Return random hashes."""
    return random.integers(0, 2**64, count, dtype=np.uint64)


def pairs(count: int, random: np.random.Generator) -> Hashes:
    """Return random hashes, and each again with up to three other bits."""
    half = lone(-(-count // 2), random)
    return np.concatenate([half, turned(half, 3, random)])[:count]


def around(count: int, bits: int, random: np.random.Generator) -> Hashes:
    """Return hashes within so many bits of one."""
    one = np.full(count, random.integers(0, 2**64, dtype=np.uint64))
    return turned(one, bits, random)


KINDS = {
    "lone": lone,
    "pairs": pairs,
    "equal": lambda count, random: around(count, 0, random),
    "crowd": lambda count, random: around(count, 4, random),
    "loose": lambda count, random: around(count, 8, random),
}


def waiting(output: OutputFolder, hashes: Hashes) -> Iterator[tuple[str, Segment]]:
    """Write what `PrepareImages` would have of these pictures; yield where."""
    writer: SegmentWriter[str] = SegmentWriter(output)
    for number, value in enumerate(hashes.tolist()):
        key = f"folder/{number:07d}.jpg"
        row = {
            "key": key,
            "sha256": hashlib.sha256(key.encode()).hexdigest(),
            "path": "spill",
            "offset": 0,
            "row_length": 0,
            "frame_length": 0,
            "look": (f"{value:016x}", 100 + number % 7, False, ""),
        }
        yield from writer.add(WAITING, row)
    yield from writer.flush()


def measure(kind: str, count: int) -> dict[str, Any]:
    """Group pictures of a kind as `ingest` does; return what that took."""
    hashes = KINDS[kind](count, np.random.default_rng(7))
    with tempfile.TemporaryDirectory() as folder:
        output = OutputFolder(folder)
        places = [segment for _, segment in waiting(output, hashes)]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started, cpu = time.monotonic(), time.process_time()
        made = group_records((WAITING, places), output, SETTINGS, Committed())
        parted = [segment for _, segment in made]
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        changes = [row["change"] for part in parted for row in merged_rows([part])]
    return {
        "kind": kind,
        "pictures": len(changes),
        "grouped": sum(change.get("near_group") is not None for change in changes),
        "left_out": sum("status" in change for change in changes),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_mb": round(peak / 1024),
        "peak_before_mb": round(before / 1024),
    }


def grouped_pairs(labels: npt.NDArray[Any]) -> int:
    """Return how many pairs are in one group."""
    sizes = np.unique(labels, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


def compare(count: int) -> dict[str, Any]:
    """Compare groups with those of all pairs; return precision and recall of pairs."""
    random = np.random.default_rng(11)
    hashes = np.concatenate(
        [make(count // len(KINDS), random) for make in KINDS.values()]
    )
    near = np.stack([np.bitwise_count(hashes ^ one) <= NEAR_BITS for one in hashes])
    _, wanted = connected_components(csr_array(near), directed=False)
    found = np.arange(len(hashes))
    for group in near_duplicates(hashes):
        found[group] = group[0]
    labels = np.stack([wanted, found], axis=1)
    both = grouped_pairs(np.unique(labels, axis=0, return_inverse=True)[1])
    return {
        "kind": "all pairs of a sample",
        "pictures": len(hashes),
        "pairs": grouped_pairs(wanted),
        "precision": both / grouped_pairs(found),
        "recall": both / grouped_pairs(wanted),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="Groups very many made-up hashes.")
    parser.add_argument("--pictures", type=int, default=300_000)
    parser.add_argument("--sample", type=int, default=5_000)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    asked = parser.parse_args()
    # A process each: peak memory never falls.
    context = multiprocessing.get_context("spawn")
    for kind in asked.kinds:
        with context.Pool(1) as pool:
            print(json.dumps(pool.apply(measure, (kind, asked.pictures))), flush=True)
    print(json.dumps(compare(asked.sample)))


if __name__ == "__main__":
    main()
