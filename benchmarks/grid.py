"""The running job against a naive pair loop of the network of the paper.

    python benchmarks/grid.py --contents 8 --styles 64 --size 256 --precision bfloat16

The naive loop does what a script does: for every pair it reads and decodes content and
style, encodes both, decodes the features, and writes a JPEG, with the plain float32
networks (`model.networks.keras_network`), not those rearranged for inference. It is
timed on 16 pairs before and 16 after the job, so that a machine that drifts hurts both.
The job is timed from the first image read to the last file written, as job.json has it,
without its start-up (import of TensorFlow, loading, tracing), which is reported apart.
Images are made by the benchmark itself.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from model.adain.adain import adain, channel_moments
from model.adain.stylizer import to_float, to_uint8
from model.bundle import load_bundle
from model.networks.decoder import build_decoder
from model.networks.encoder import build_encoder
from transforms.images.decoder import decode_image, encode_image

NAIVE_PAIRS = 16


def make_images(folder: pathlib.Path, count: int, size: int, seed: int) -> None:
    """Write noisy gradients as JPEG: they cost the codec what photographs cost."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    y, x = np.mgrid[0:size, 0:size] / size
    for index in range(count):
        waves = [np.sin(rng.uniform(2, 30) * (x + rng.uniform() * y)) for _ in range(3)]
        noise = rng.normal(0, 0.08, (size, size, 3))
        pixels = np.clip(0.5 + 0.4 * np.stack(waves, -1) + noise, 0, 1)
        data = encode_image(to_uint8(pixels.astype(np.float32)), "jpg")
        (folder / f"{index:04d}.jpg").write_bytes(data)


def naive_network() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a function of content and style that does everything for each pair."""
    bundle = load_bundle("paper")
    encode = build_encoder(bundle.encoder_layers, bundle.encoder)
    decode = build_decoder(bundle.decoder_layers, bundle.decoder)

    @tf.function(reduce_retracing=True)
    def stylize(content: tf.Tensor, style: tf.Tensor) -> tf.Tensor:
        target = adain(encode(content), *channel_moments(encode(style)))
        return tf.clip_by_value(decode(target), 0.0, 1.0)

    return lambda content, style: stylize(content, style).numpy()


def naive_seconds(
    stylize: Callable[[np.ndarray, np.ndarray], np.ndarray],
    contents: pathlib.Path,
    styles: pathlib.Path,
    out: pathlib.Path,
) -> list[float]:
    """Return the seconds of each pair of the naive loop."""
    out.mkdir(exist_ok=True)
    content_paths, style_paths = sorted(contents.iterdir()), sorted(styles.iterdir())
    seconds = []
    for index in range(NAIVE_PAIRS):
        started = time.perf_counter()
        pair = (
            content_paths[index % len(content_paths)],
            style_paths[index % len(style_paths)],
        )
        content, style = (
            to_float(decode_image(path.read_bytes()).pixels)[None] for path in pair
        )
        picture = stylize(content, style)[0]
        (out / f"{index}.jpg").write_bytes(encode_image(to_uint8(picture), "jpg"))
        seconds.append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Print the ratio and what it is made of."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--contents", type=int, default=4)
    parser.add_argument("--styles", type=int, default=16)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--bundle", default="paper", help="of the job")
    args = parser.parse_args()
    cells = args.contents * args.styles
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        make_images(root / "contents", args.contents, args.size, seed=1)
        make_images(root / "styles", args.styles, args.size, seed=2)
        # The naive loop is float32 also where the job is not.
        network = naive_network()
        folders = (root / "contents", root / "styles", root / "naive")
        naive_seconds(network, *folders)  # Not counted: traces and fills the caches.
        naive = naive_seconds(network, *folders)
        command = [sys.executable, "-m", "pipelines", "stylize"]
        command += ["--content", str(root / "contents")]
        command += ["--style", str(root / "styles"), "--output", str(root / "out")]
        command += ["--precision", args.precision, "--bundle", args.bundle]
        subprocess.run(command, check=True, capture_output=True)
        naive += naive_seconds(network, *folders)
        timings = json.loads((root / "out" / "job.json").read_bytes())["timings"]
    pair = statistics.median(naive)
    start_up = timings["startup_seconds"]
    running = timings["running_seconds"] - start_up
    model = timings["model_seconds"]
    units = (args.contents + args.styles + cells) / 3
    print(f"command: python benchmarks/grid.py {' '.join(sys.argv[1:])}")
    print(
        f"{args.contents} x {args.styles} at {args.size} px, {args.precision}: "
        f"{cells * pair / running:.2f}x the naive loop "
        f"(bound by arithmetic alone: {cells / units:.2f}x)"
    )
    print(f"naive pair, median of {len(naive)}: {pair:.4f} s")
    print(f"job: {running / cells:.4f} s a cell, {running:.2f} s running")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"peak memory of the job: {peak:.2f} GiB")
    print(f"start-up apart: {start_up:.2f} s")
    print(f"overhead beyond model time: {(running - model) / model:.1%}")


if __name__ == "__main__":
    main()
