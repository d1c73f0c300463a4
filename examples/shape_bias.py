"""Stylize a data set for shape-bias training: ImageFolder in, ImageFolder out.

    python examples/shape_bias.py --data imagenet/train --paintings wikiart --output sin

Every photograph takes the style of K paintings, chosen by a hash of seed and pictures,
so the same command gives the same data set on every machine: Stylized-ImageNet of
Geirhos et al. 2019, https://arxiv.org/abs/1811.12231, without its random numbers. The
classes stay folders: `sin/images/<class>/…`. What was done to which picture is in
`sin/manifest/`. Flags behind `--` go to `stylebeam stylize`.
"""

import argparse
import subprocess
import sys


def main(argv: list[str] | None = None) -> int:
    """Run the recipe; returns the status of stylebeam."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder of class folders")
    parser.add_argument("--paintings", required=True, help="folder of paintings")
    parser.add_argument("--output", required=True, help="a folder")
    parser.add_argument("--styles-per-photo", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("more", nargs="*", help="further flags of stylebeam stylize")
    args = parser.parse_args(argv)
    command = [sys.executable, "-m", "pipelines", "stylize"]
    command += ["--content", args.data, "--style", args.paintings]
    command += ["--output", args.output, "--layout", "tree"]
    command += ["--pairing", "sample", "--seed", str(args.seed)]
    command += ["--styles-per-content", str(args.styles_per_photo)]
    # Training crops 224 px of pictures with the short side 256.
    command += ["--content-size", "256", "--style-size", "256"]
    command += args.more
    print(f"stylebeam {' '.join(command[3:])}", file=sys.stderr)
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
