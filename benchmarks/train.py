"""Measures `stylebeam train`: pairs a second, the wait for input, and bfloat16's worth.

    python benchmarks/train.py --content D... --style D... [--steps 12]
    python benchmarks/train.py --content D... --style D... --compare-steps 200
    python benchmarks/train.py --networks [--crops 128] [--steps 12]

The first prints, for 128 and 256 pixels and both precisions, the median of the steps
(less the first three, which trace the graph) and the share of them spent waiting for
the input; then how much faster bfloat16 is. The second trains both precisions for the
same steps and prints how far their held-out totals are apart. The third needs no data:
for VGG, which learns nothing, and a narrow encoder, which learns, and for several
widths of the decoder, it prints a table of pairs a second in both precisions, and of
the CPU seconds of this process a pair, which other load on the machine moves less. The
networks take turns, step by step, so that a machine that drifts hurts all alike.
"""

import argparse
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

_WARM_UP = 3

# What is measured of the networks: widths of the encoder (None is VGG), the layers of
# AdaIN, widths of the decoder, whether the step is one of imitation.
_LEVELS = tuple(f"block{block}_conv1" for block in (1, 2, 3, 4))
_NARROW = (16, 32, 64, 128)
_NETWORKS = (
    (None, _LEVELS[3:], (256, 128, 64), False),
    (None, _LEVELS, (256, 128, 64), False),
    (None, _LEVELS, (96, 32, 16), False),
    (None, _LEVELS, (64, 32, 16), False),
    (_NARROW, _LEVELS, (256, 128, 64), False),
    (_NARROW, _LEVELS, (96, 32, 16), False),
    (_NARROW, _LEVELS, (64, 32, 16), False),
    (_NARROW, _LEVELS, (96, 32, 16), True),
)
_PRECISIONS = ("float32", "bfloat16")


def main() -> int:
    """Run the benchmark; returns 1 where a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--content", nargs="+")
    parser.add_argument("--style", nargs="+")
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--init", help="bundle to begin with (default: the packaged)")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--crops", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--compare-steps", type=int, default=0)
    args = parser.parse_args()
    print(f"command: python {' '.join(sys.argv)}")
    if args.networks:
        return networks(args)
    if not (args.content and args.style):
        parser.error("--content and --style are needed without --networks")
    return compare(args) if args.compare_steps else measure(args)


def measure(args: argparse.Namespace) -> int:
    """Print the rates."""
    held = True
    for crop in args.crops:
        rates = {}
        for precision in _PRECISIONS:
            rows = [
                row
                for row in train(args, precision, crop, args.steps)
                if row["kind"] == "train"
            ][_WARM_UP:]
            seconds = statistics.median(row["seconds"] for row in rows)
            waited = sum(row["input_seconds"] for row in rows)
            share = waited / sum(row["seconds"] for row in rows)
            rates[precision] = args.batch_size / seconds
            held &= share <= 0.03
            print(
                f"{crop} px, {precision}: {rates[precision]:.2f} pairs/s "
                f"({seconds:.3f} s a step), {share:.2%} waiting for input",
                flush=True,
            )
        ratio = rates["bfloat16"] / rates["float32"]
        held &= ratio >= 1.6
        print(f"{crop} px: bfloat16 is {ratio:.2f} times as fast as float32")
    return 0 if held else 1


def compare(args: argparse.Namespace) -> int:
    """Print how far apart the held-out totals of both precisions are."""
    totals = {}
    for precision in _PRECISIONS:
        rows = train(args, precision, args.crops[0], args.compare_steps)
        totals[precision] = [r["total"] for r in rows if r["kind"] == "held_out"][-1]
        print(f"{precision}: held-out total {totals[precision]:.4f}", flush=True)
    apart = abs(totals["bfloat16"] / totals["float32"] - 1)
    print(f"apart after {args.compare_steps} steps: {apart:.2%}")
    return 0 if apart <= 0.02 else 1


def networks(args: argparse.Namespace) -> int:
    """Print pairs a second of each encoder and width of the decoder."""
    import numpy as np

    crop, size = args.crops[0], args.batch_size
    pictures = np.random.default_rng(0).random((2, size, crop, crop, 3), np.float32)
    batch = (pictures[0], pictures[1])
    cases = list(itertools.product(_NETWORKS, _PRECISIONS))
    trainers = [trainer_of(*network, precision, size) for network, precision in cases]
    seconds: list[list[tuple[float, float]]] = [[] for _ in cases]
    for _ in range(args.steps):
        for trainer, times in zip(trainers, seconds, strict=True):
            begun = time.perf_counter(), time.process_time()
            trainer.train_step(batch)
            wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
            times.append((wall, cpu))
    medians = [
        tuple(statistics.median(part) for part in zip(*times[_WARM_UP:], strict=True))
        for times in seconds
    ]
    print(f"\n{crop} px, batches of {size}\n")
    print("| encoder | levels | decoder | " + " | ".join(_PRECISIONS) + " | CPU |")
    print("|---|---|---|---|---|---|")
    for (network, _), (wall, cpu), (half, half_cpu) in zip(
        cases[::2], medians[::2], medians[1::2], strict=True
    ):
        encoder, layers, decoder, imitates = network
        does = "imitates" if imitates else "learns"
        name = f"{_joined(encoder)}, {does}" if encoder else "VGG-16, frozen"
        stage = "none yet" if imitates else _joined(decoder)
        print(
            f"| {name} | {len(layers)} | {stage} | {size / wall:.2f} | "
            f"{size / half:.2f} | {cpu / size:.3f} / {half_cpu / size:.3f} s |",
            flush=True,
        )
    return 0


def _joined(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def trainer_of(
    encoder: tuple[int, ...] | None,
    layers: tuple[str, ...],
    decoder: tuple[int, ...],
    imitates: bool,
    precision: Any,
    batch_size: int,
) -> Any:
    """Return the trainer of a new network, as `stylebeam train` makes it."""
    from model.bundle import RULER_BUNDLE, Bundle, load_bundle
    from model.networks.decoder import fresh_weights
    from model.networks.family import INPUT_DIVISOR, family_member, narrow_layers
    from model.training.settings import TrainingSettings
    from model.training.trainer import Trainer

    ruler = load_bundle(RULER_BUNDLE)
    vgg = ruler.encoder_layers
    network = family_member(
        narrow_layers(vgg, encoder) if encoder else vgg,
        adain_layers=layers,
        decoder_channels=decoder,
        tap_channels={s.name: s.out_channels for s in vgg} if encoder else None,
        input_divisor=INPUT_DIVISOR if encoder else 1.0,
    )
    convolutions = (*network.decoder_convolutions, *network.encoder_convolutions)
    weights = fresh_weights(convolutions, seed=0)
    start = Bundle.seal(network, weights if encoder else ruler.encoder, weights, {})
    settings = TrainingSettings(
        batch_size=batch_size,
        precision=precision,
        train_encoder=encoder is not None,
        distill_steps=1000 if imitates else 0,
    )
    return Trainer(settings, start, ruler)


def train(
    args: argparse.Namespace, precision: str, crop: int, steps: int
) -> list[dict[str, float]]:
    """Train in a process of its own; return the rows of its metrics."""
    init = args.init or "paper"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pipelines", "train", "--workdir", folder]
        command += ["--content", *args.content, "--style", *args.style]
        command += ["--init", init, "--precision", precision, "--crop", str(crop)]
        command += ["--steps", str(steps), "--batch-size", str(args.batch_size)]
        command += ["--eval-every", str(steps), "--checkpoint-every", str(steps)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        lines = (pathlib.Path(folder) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


if __name__ == "__main__":
    raise SystemExit(main())
