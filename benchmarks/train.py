"""Measures `stylebeam train`: pairs a second, the wait for input, and bfloat16's worth.

    python benchmarks/train.py --content D... --style D... [--steps 12]
    python benchmarks/train.py --content D... --style D... --compare-steps 200

The first prints, for 128 and 256 pixels and both precisions, the median of the steps
(less the first three, which trace the graph) and the share of them spent waiting for
the input; then how much faster bfloat16 is. The second trains both precisions for the
same steps and prints how far their held-out totals are apart.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

_WARM_UP = 3


def main() -> int:
    """Run the benchmark; returns 1 where a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--content", nargs="+", required=True)
    parser.add_argument("--style", nargs="+", required=True)
    parser.add_argument("--init", help="bundle to begin with (default: the packaged)")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--crops", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--compare-steps", type=int, default=0)
    args = parser.parse_args()
    print(f"command: python {' '.join(sys.argv)}")
    return compare(args) if args.compare_steps else measure(args)


def measure(args: argparse.Namespace) -> int:
    """Print the rates."""
    held = True
    for crop in args.crops:
        rates = {}
        for precision in ("float32", "bfloat16"):
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
    for precision in ("float32", "bfloat16"):
        rows = train(args, precision, args.crops[0], args.compare_steps)
        totals[precision] = [r["total"] for r in rows if r["kind"] == "held_out"][-1]
        print(f"{precision}: held-out total {totals[precision]:.4f}", flush=True)
    apart = abs(totals["bfloat16"] / totals["float32"] - 1)
    print(f"apart after {args.compare_steps} steps: {apart:.2%}")
    return 0 if apart <= 0.02 else 1


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
