"""Does a stylized set make a classifier see shapes? Measured on toys, in minutes.

    python examples/cue_conflicts.py --output toys

Ten shapes are drawn, each filled with a texture of its own, so that a classifier may
learn either. `stylebeam stylize --keep-original 1` gives each picture other textures,
those of paintings, which know nothing of the classes. A layer on frozen features of
VGG-16 is trained on the originals alone, then on originals and stylized pictures, then
on the latter with shuffled labels, which must fail. Each is asked about cue conflicts,
the shape of one class with the texture of another, as in Geirhos et al. 2019,
https://arxiv.org/abs/1811.12231. All of it is done for every seed.
"""

import argparse
import dataclasses
import pathlib
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import paintings
import pyarrow.parquet as pq
from PIL import Image
from toys import CLASSES, Toy, conflicts, draw_toy, plain

from model.networks.encoder import build_vgg
from model.networks.weights import load_vgg_weights
from model.tensorflow_keras import keras
from pipelines import cli

# Stride 8: what is finer than 8 pixels is texture, what is coarser is shape.
_LAYER: Final = "block4_conv3"

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a classifier decides.

    Attributes:
        seed: Seed of pictures and weights.
        trained_on: What it was trained on.
        accuracy: Share of the plain pictures that it knows.
        shape: Share of the cue conflicts decided for the shape.
        texture: Share of the cue conflicts decided for the texture.
    """

    seed: int
    trained_on: str
    accuracy: float
    shape: float
    texture: float

    def line(self) -> str:
        """Return the result as a line of a table."""
        bias = self.shape / max(self.shape + self.texture, 1e-9)
        shares = (self.accuracy, self.shape, self.texture, bias)
        cells = " | ".join(f"{100 * share:.0f} %" for share in shares)
        return f"| {self.seed} | {self.trained_on} | {cells} |"


HEAD: Final = (
    "| seed | trained on | right on plain pictures | conflicts decided by shape | by "
    "texture | shape bias |\n|---|---|---|---|---|---|"
)


def draw_training_set(root: pathlib.Path, seed: int, count: int) -> None:
    """Write `<root>/<seed>/<class>/<number>.png`, so many of each class."""
    rng = np.random.default_rng([seed, 0])
    for number, toy in enumerate(plain(count)):
        path = root / str(seed) / CLASSES[toy.shape] / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_toy(toy, rng)).save(path)


def stylize(
    contents: pathlib.Path,
    styles: pathlib.Path,
    output: pathlib.Path,
    more: Sequence[str] = (),
) -> int:
    """Run stylebeam; returns its status."""
    command = ["stylize", "--content", str(contents), "--style", str(styles)]
    command += ["--output", str(output), "--layout", "tree", "--format", "png"]
    command += ["--pairing", "sample", "--styles-per-content", "4"]
    command += ["--style-size", "256", "--keep-original", "1", *more]
    print(f"stylebeam {shlex.join(command)}", file=sys.stderr)
    return cli.main(command)


def stylized_set(
    output: pathlib.Path, seed: int
) -> tuple[Pixels, Labels, npt.NDArray[np.bool_]]:
    """Return the pictures of a seed, their classes, and which are originals.

    Args:
        output: Output of `stylize`.
        seed: Whose pictures.
    """
    found = []
    rows = pq.read_table(output / "manifest").to_pylist()
    for row in sorted(rows, key=lambda row: row["path"]):
        folder, name, _ = row["content_key"].split("/")
        if folder == str(seed):
            with Image.open(output / row["path"]) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            original = row["styles"][0]["id"] == "original"
            found.append((pixels, CLASSES.index(name), original))
    pictures, labels, originals = zip(*found, strict=True)
    return np.stack(pictures), np.array(labels), np.array(originals)


def draw(toys: Iterable[Toy], rng: np.random.Generator) -> Pixels:
    """Return pictures: uint8 [pictures, 64, 64, 3]."""
    return np.stack([draw_toy(toy, rng) for toy in toys])


def train(features: npt.NDArray[np.float32], labels: Labels, seed: int) -> Any:
    """Return a classifier of frozen features: transfer learning with one layer."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            layers.GlobalAveragePooling2D(),
            layers.LayerNormalization(),
            layers.Dense(len(CLASSES), activation="softmax"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(1e-3), loss)
    model.fit(features, labels, epochs=20, batch_size=32, verbose=0)
    return model


def judge(seed: int, encoder: Any, output: pathlib.Path) -> list[Result]:
    """Train on what `stylize` made for a seed, and ask about pictures never seen."""

    def encode(pictures: Pixels) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = encoder.predict(
            pictures.astype(np.float32) / 255, batch_size=32, verbose=0
        )
        return found

    pictures, labels, originals = stylized_set(output, seed)
    features = encode(pictures)
    rng = np.random.default_rng([seed, 1])
    known, torn = list(plain(10)), list(conflicts(4))
    plain_features, torn_features = encode(draw(known, rng)), encode(draw(torn, rng))
    shapes = [toy.shape for toy in torn]
    textures = [toy.texture for toy in torn]
    shuffled = np.random.default_rng([seed, 2]).permutation(labels)
    results = []
    for name, chosen, said in (
        ("original", originals, labels),
        ("original + stylized", np.ones(len(labels), bool), labels),
        ("shuffled labels", np.ones(len(labels), bool), shuffled),
    ):
        model = train(features[chosen], said[chosen], seed)
        decided = model.predict(torn_features, verbose=0).argmax(1)
        right = model.predict(plain_features, verbose=0).argmax(1)
        results.append(
            Result(
                seed,
                name,
                float(np.mean(right == [toy.shape for toy in known])),
                float(np.mean(decided == shapes)),
                float(np.mean(decided == textures)),
            )
        )
    return results


def main(argv: list[str] | None = None) -> int:
    """Draw, stylize, train, and print a table; returns the status of stylebeam."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, required=True, help="a folder")
    parser.add_argument("--seeds", type=int, default=3, help="how often")
    parser.add_argument("--per-class", type=int, default=40, help="training pictures")
    args = parser.parse_args(argv)
    contents, styles = args.output / "drawn", args.output / "styles"
    output = args.output / "stylized"
    paintings.main(["--output", str(styles)])
    for seed in range(args.seeds):
        draw_training_set(contents, seed, args.per_class)
    status = stylize(contents, styles, output)
    if status:
        return status
    encoder = build_vgg("vgg16", load_vgg_weights("vgg16"), taps=[_LAYER])
    print(HEAD)
    for seed in range(args.seeds):
        for result in judge(seed, encoder, output):
            print(result.line(), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
