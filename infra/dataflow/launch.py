"""What the flex template's launcher runs: it adds the command to the parameters."""

import sys

from pipelines.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["stylize", *sys.argv[1:]]))
