"""A style bank of many styles: bytes a style, seconds and memory to write and to load.

    python benchmarks/bank.py --styles 80000

The vectors are random and have the default bundle's length. Writing goes through the
job's own transform on the in-process runner, loading is what each worker does; both in
a process of their own, whose peak memory is reported beside that of one that only
imports the same.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--styles", type=int, default=80_000)
    parser.add_argument("--serve", choices=("nothing", "write", "load"))
    parser.add_argument("--output")
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.output, args.styles)
        return
    print(f"command: python benchmarks/bank.py {' '.join(sys.argv[1:])}")
    with tempfile.TemporaryDirectory() as folder:
        for what in ("nothing", "write", "load"):
            command = [sys.executable, __file__, "--serve", what, "--output", folder]
            command += ["--styles", str(args.styles)]
            print(
                subprocess.run(command, check=True, capture_output=True)
                .stdout.decode()
                .strip()
            )
        size = pathlib.Path(folder, "styles.parquet").stat().st_size
    print(f"{size / 1e6:.0f} MB, {size / args.styles:.0f} bytes a style")


def serve(what: str, folder: str, count: int) -> None:
    """Do one of the two, or only import what they need."""
    import apache_beam as beam
    from apache_beam.testing.test_pipeline import TestPipeline

    from model.bundle import load_bundle
    from transforms.storage.folder import OutputFolder
    from transforms.stylize import style_bank
    from transforms.stylize.cells import StyleShare

    settings = style_bank.BankSettings("0" * 64, 256, "float32")
    channels = sum(load_bundle("default").architecture.channels)
    seconds = 0.0

    def styles(seed: int) -> list[style_bank.EncodedStyle]:
        rng = np.random.default_rng(seed)
        vectors = rng.random((2, 1000, channels), np.float32)
        return [
            style_bank.EncodedStyle(
                StyleShare(
                    f"{seed:08d}{i:08d}", f"{seed}/{i}.jpg", f"{seed:060d}{i:04d}"
                ),
                vectors[0, i],
                vectors[1, i],
            )
            for i in range(1000)
        ]

    started = time.perf_counter()
    if what == "write":
        with TestPipeline("FnApiRunner") as pipeline:
            made = pipeline | beam.Create(range(count // 1000)) | beam.FlatMap(styles)
            made | style_bank.WriteStyleBank(OutputFolder(folder), settings)
    elif what == "load":
        bank = style_bank.load_bank(f"{folder}/{style_bank.BANK_NAME}", settings)
        if bank is None or len(bank.styles) != count // 1000 * 1000:
            raise SystemExit("The bank is not whole.")
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what}: {seconds:.1f} s, {peak:.0f} MB at the peak")


if __name__ == "__main__":
    main()
