"""Labelled data sets, stylized: one command each; docs/recipes.md explains them.

    python examples/recipes.py coco --images train2017 --instances instances.json \
        --paintings wikiart --output sets/coco
    python examples/recipes.py voc --images JPEGImages --annotations Annotations \
        --paintings wikiart --output sets/boxes
    python examples/recipes.py masks --images JPEGImages --masks SegmentationClass \
        --paintings wikiart --output sets/voc
    python examples/recipes.py mixed --images imagenet/train \
        --paintings wikiart --output sets/mixed
    python examples/recipes.py regions --images train2017 --instances instances.json \
        --regions examples/regions.csv --paintings art --output sets/regions

Each writes `<output>/set`, what `stylebeam ingest` knows of the pictures (not for
`mixed`), and `<output>/stylized`, whose annotation files real loaders open. Flags
behind `--` go to `stylebeam stylize`. `shape_bias.py` makes Stylized-ImageNet.
"""

import argparse
import pathlib
import shlex
import sys
from collections.abc import Sequence

from pipelines import cli

_PATHS = {
    "images": "folder of pictures",
    "instances": "instances_*.json of COCO",
    "annotations": "folder of the XML files of Pascal VOC",
    "masks": "folder of maps of classes, PNG, named like the pictures",
    "regions": "which class takes which style, .csv or .parquet",
    "paintings": "folder of paintings",
    "output": "folder for the data set and for what is made of it",
}
_NEEDS = {
    "coco": ("images", "instances", "paintings", "output"),
    "voc": ("images", "annotations", "paintings", "output"),
    "masks": ("images", "masks", "paintings", "output"),
    "mixed": ("images", "paintings", "output"),
    "regions": ("images", "instances", "regions", "paintings", "output"),
}


def commands(recipe: str, paths: dict[str, pathlib.Path]) -> list[list[str]]:
    """Return the commands of a recipe, one after the other.

    Args:
        recipe: Its name.
        paths: What it needs, by name.
    """
    made, output = paths["output"] / "set", paths["output"] / "stylized"
    # Pictures keep their size and bytes, and stay in one split.
    ingest = ["ingest", "--input", str(paths["images"]), "--output", str(made)]
    ingest += ["--name", "pictures", "--size", "0", "--encode", "keep"]
    ingest += ["--val-fraction", "0"]
    stylize = ["stylize", "--style", str(paths["paintings"]), "--output", str(output)]
    stylize += ["--layout", "tree"]
    once = ["--pairing", "sample", "--styles-per-content", "1"]
    if recipe == "mixed":
        stylize += ["--content", str(paths["images"]), *once]
        # The crop of training is 224 px of a short side of 256.
        stylize += ["--content-size", "256", "--keep-original", "0.5"]
        return [stylize]
    if recipe == "masks":
        ingest += ["--masks", str(paths["masks"])]
    elif recipe == "voc":
        ingest += ["--kind", "voc", "--annotations", str(paths["annotations"])]
    else:
        ingest += ["--kind", "coco", "--instances", str(paths["instances"])]
    # COCO and VOC were annotated on the pixels as they are stored.
    ingest += ["--annotated-as", "stored"]
    stylize += ["--content", str(made)]
    if recipe == "regions":
        return [ingest, [*stylize, "--region-styles", str(paths["regions"])]]
    return [ingest, [*stylize, *once]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a recipe; returns the status of the first command that fails, or 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    kinds = parser.add_subparsers(dest="recipe", required=True, metavar="RECIPE")
    for recipe, needs in _NEEDS.items():
        kind = kinds.add_parser(recipe)
        for name in needs:
            kind.add_argument(
                f"--{name}", type=pathlib.Path, required=True, help=_PATHS[name]
            )
        kind.add_argument("more", nargs="*", help="further flags of stylebeam stylize")
    args = vars(parser.parse_args(argv))
    *before, last = commands(args["recipe"], args)
    for command in (*before, [*last, *args["more"]]):
        print(f"stylebeam {shlex.join(command)}", file=sys.stderr)
        if status := cli.main(command):
            return status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
