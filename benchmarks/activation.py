"""Do feature visualizations excite their channels more than any photograph does?

    python benchmarks/activation.py --photos photos --work /tmp/activation

`stylebeam visualize` finds the photograph that excites each of 32 channels of a layer
most, and makes the channel's feature visualization. The crop of the photograph around
its strongest neuron has the area of the visualization. Both are seen in 32 views from
one seed: shifted, scaled, turned, saved as JPEG of quality 75 at between half and all
of their resolution, and shown at their own size again. What is compared is the mean
over the views of the activation of the channel's strongest neuron, by which top images
are ranked. The mean of the map is told beside it, but proves nothing: a photograph
excites in one place, and whatever is made to excite in all places beats it many times.

Beside them stands the plain loop: as many steps of ascent on pixels, without waves,
colours, views and redirected gradients. A way of making pictures passes where in every
layer wanted at least 80 % of the channels are excited twice as much as by the best
crop. The plain loop fails at the start: noise of any strength leaves about a third of
the channels of block5_conv1 silent, and a silent channel has no gradient. What fires on
noise the plain loop excites 0.5 to 1 times as strongly, which is told, too.

The job goes on where it was stopped; give the same command again.
"""

import argparse
import io
import json
import os
import pathlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import tensorflow as tf
from PIL import Image

from model.attribution.feature_visualization import FeatureVisualizer, Wish
from model.attribution.featuremaps import receptive_field
from model.attribution.gradients import Attribution
from model.attribution.robust_views import draw_views, seen_through
from model.networks.encoder import build_vgg, layers_to, vgg_layers
from model.networks.weights import load_vgg_weights
from model.pixels import to_float, to_uint8
from pipelines import cli
from transforms.elements import ImageRef
from transforms.images.load import load_bytes, load_image
from transforms.visualize.sheet import scores_path

Pixels = npt.NDArray[np.uint8]

# A visualization excites its channel at least so many times as much, on such a share
# of the channels; block3_conv1 is measured alone.
WANTED, SHARE = 2.0, 0.8
WANTED_IN = ("block4_conv1", "block5_conv1")
VIEWS = 32

# A view is saved at no less than this share of its resolution: what a thumbnail of half
# the size has lost, nobody would miss in a photograph.
COARSEST = 0.5


def robust(pictures: Sequence[Pixels], seed: bytes) -> Iterator[npt.NDArray[Any]]:
    """Yield each picture in 32 views behind JPEG: float32 [32, size, size, 3]."""
    shares = np.random.default_rng(list(seed)).uniform(COARSEST, 1, VIEWS)
    for picture in pictures:
        height, width, _ = picture.shape
        views = draw_views(seed, VIEWS, height, width)
        copies = np.repeat(to_float(picture)[None], VIEWS, axis=0)
        seen = seen_through(copies, views).numpy()
        yield np.stack(
            [saved(to_uint8(v), s) for v, s in zip(seen, shares, strict=True)]
        )


def saved(pixels: Pixels, share: float) -> npt.NDArray[np.float32]:
    """Return pixels saved as JPEG of quality 75 at a share of their resolution."""
    height, width, _ = pixels.shape
    small = Image.fromarray(pixels).resize(
        (round(width * share), round(height * share)), Image.Resampling.LANCZOS
    )
    file = io.BytesIO()
    small.save(file, "JPEG", quality=75)
    with Image.open(file) as image:
        again = image.resize((width, height), Image.Resampling.BICUBIC)
    return to_float(np.asarray(again))


class Measured:
    """What was measured, in a file, so that a stopped run goes on.

    Args:
        path: The file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._known = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def scores(
        self,
        network: Attribution,
        layer: str,
        what: str,
        channels: Sequence[int],
        pictures: Iterable[Pixels],
    ) -> npt.NDArray[np.float64]:
        """Return what `scores` does, of each picture once; they are made as needed."""
        known = self._known.setdefault(f"{layer} {what}", {})
        for channel, picture in zip(channels, pictures, strict=True):
            if str(channel) not in known:
                (found,) = scores(network, layer, [channel], [picture])
                known[str(channel)] = found.tolist()
                self._path.write_text(json.dumps(self._known), "utf-8")
        return np.array([known[str(channel)] for channel in channels])


def scores(
    network: Attribution,
    layer: str,
    channels: Sequence[int],
    pictures: Sequence[Pixels],
) -> npt.NDArray[np.float64]:
    """Return the strongest neuron and the mean of each channel: [channels, 2]."""
    found = []
    for channel, views in zip(channels, robust(pictures, b"benchmark"), strict=True):
        maps = network.activations(views)[layer].numpy()[..., channel]
        found.append([maps.max(axis=(1, 2)).mean(), maps.mean()])
    return np.array(found)


def plain_loop(
    layer: str, channels: Sequence[int], size: int, steps: int, arrays: Any
) -> list[Pixels]:
    """Return pictures of gradient ascent on pixels, from noise around grey."""
    keras_network = build_vgg("vgg16", arrays, taps=[layer])

    @tf.function(reduce_retracing=True)
    def step(pictures: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            maps = tf.gather(keras_network(pictures), wanted, axis=3, batch_dims=1)
            gain = tf.reduce_sum(tf.reduce_mean(maps, axis=(1, 2)))
        gradient = tape.gradient(gain, pictures)
        rms = tf.sqrt(tf.reduce_mean(gradient**2, axis=(1, 2, 3), keepdims=True))
        return tf.clip_by_value(pictures + gradient / (rms + 1e-8) / 255, 0, 1)

    pictures: list[Pixels] = []
    for first in range(0, len(channels), 4):
        wanted = tf.constant(channels[first : first + 4])
        shape = (len(wanted), size, size, 3)
        start = 0.5 + np.random.default_rng(first).normal(0, 0.04, shape)
        now = tf.constant(start, tf.float32)
        for _ in range(steps):
            now = step(now, wanted)
        pictures += list(to_uint8(now.numpy()))
    return pictures


class Seen:
    """What the command made.

    Args:
        work: Its output folder.
        photos: The folder of the photographs.
        side: Shortest side that they were shrunk to.
    """

    def __init__(self, work: str, photos: str, side: int) -> None:
        self._work = work
        self._photos = photos
        self._side = side
        self._rows = pq.read_table(f"{work}/maps.parquet").to_pylist()

    def visualization(self, layer: str, channel: int) -> Pixels:
        """Return the feature visualization of a channel."""
        row = self._row("activation", layer, channel)
        with Image.open(f"{self._work}/{row['path']}") as sheet:
            pixels = np.asarray(sheet.convert("RGB"))
        top, left = row["top"], row["left"]
        return pixels[top : top + row["height"], left : left + row["width"]]

    def crop(self, layer: str, channel: int, size: int) -> Pixels:
        """Return the square around what excites a channel most in all photographs."""
        key = self._row("top-images", layer, channel)["source_key"]
        data = load_bytes(ImageRef(key, "", os.path.join(self._photos, key)))
        pixels = load_image(data, self._side).pixels
        with np.load(f"{self._work}/{scores_path(key)}") as arrays:
            place = [
                int(arrays[f"{layer}/{part}"][channel]) for part in ("row", "column")
            ]
        field = receptive_field(vgg_layers("vgg16"), layer)
        top, left, bottom, right = field.box(*place, *pixels.shape[:2])
        corner = [
            min(max(0, (low + high - size) // 2), side - size)
            for low, high, side in (
                (top, bottom, pixels.shape[0]),
                (left, right, pixels.shape[1]),
            )
        ]
        return pixels[corner[0] :, corner[1] :][:size, :size]

    def _row(self, kind: str, layer: str, channel: int) -> dict[str, Any]:
        wanted = {"kind": kind, "layer": layer, "channel": channel, "rank": 1}
        for row in self._rows:
            if all(row[name] == value for name, value in wanted.items()):
                return row
        raise SystemExit(f"{layer} has no {kind} of channel {channel}")


def chosen(count: int) -> list[int]:
    """Return channels that every layer has, drawn from a seed."""
    rng = np.random.default_rng(2017)
    return sorted(int(c) for c in rng.choice(256, count, replace=False))


def kept_plain(
    folder: pathlib.Path,
    layer: str,
    channels: Sequence[int],
    size: int,
    steps: int,
    arrays: Any,
) -> Iterator[Pixels]:
    """Yield what `plain_loop` does, four at a time, and keep it in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(channels), 4):
        some = channels[first : first + 4]
        paths = [folder / f"{layer}-{c}-{size}-{steps}.png" for c in some]
        if not all(path.exists() for path in paths):
            made = plain_loop(layer, some, size, steps, arrays)
            for path, pixels in zip(paths, made, strict=True):
                Image.fromarray(pixels).save(path)
        for path in paths:
            with Image.open(path) as image:
                yield np.asarray(image)


def times(
    made: npt.NDArray[np.float64], best: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return how many times the scores of crops are reached; 0 is 0 times nothing."""
    return np.divide(made, np.maximum(best, np.finfo(np.float32).tiny))


def passing(ratios: npt.NDArray[Any]) -> float:
    """Return on what share of the channels the wanted ratio is reached."""
    return float(np.mean(ratios[:, 0] >= WANTED))


def tell(what: str, layer: str, ratios: npt.NDArray[Any]) -> None:
    """Print how the ratios of a layer are spread."""
    peaks, means = ratios.T
    wanted = f" (wanted: {SHARE:.0%})" if layer in WANTED_IN else ""
    print(
        f"{layer}, {what}: {passing(ratios):.0%} of {len(peaks)} channels at least "
        f"{WANTED:g} times the best crop{wanted}; ratio of the strongest neuron "
        f"median {np.median(peaks):.2f}, least {peaks.min():.2f}; silent "
        f"{np.sum(peaks == 0)}; of the mean of the map median {np.median(means):.2f}",
        flush=True,
    )


def seconds_a_channel(layer: str, size: int, steps: int, arrays: Any) -> None:
    """Print what a channel takes in a full batch, without the first trace."""
    network = FeatureVisualizer(vgg_layers("vgg16"), arrays)
    wishes = [Wish(channels=((c, 1.0),), seed=bytes([c]), group=c) for c in range(4)]
    network.visions(layer, wishes, size, 17)  # Both traces.
    clock, cpu = time.perf_counter(), time.process_time()
    network.visions(layer, wishes, size, 17)
    clock, cpu = (time.perf_counter() - clock) / 17, (time.process_time() - cpu) / 17
    print(
        f"{layer}, {size} px, {steps} steps: {clock * steps / 4:.1f} s a channel by "
        f"the clock, {cpu * steps / 4:.1f} s of CPU",
        flush=True,
    )


def main() -> None:
    """Make what is missing, and print the ratios of each layer."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--layer", nargs="+", default=["block3_conv1", *WANTED_IN])
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--side", type=int, default=224, help="of the photographs")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--only", help="compare this layer alone")
    parser.add_argument("--first", type=int, help="compare so many channels")
    parser.add_argument("--part", choices=["job", "time", "compare"], default="compare")
    args = parser.parse_args()
    print(f"command: python benchmarks/activation.py {' '.join(sys.argv[1:])}")
    arrays = load_vgg_weights("vgg16")
    if args.part == "time":
        for layer in args.layer:
            seconds_a_channel(layer, args.size, args.steps, arrays)
        return
    channels = chosen(args.channels)
    command = ["visualize", "--input", args.photos, "--output", args.work]
    command += ["--layers", ",".join(args.layer)]
    command += ["--channels", ",".join(map(str, channels))]
    command += ["--kinds", "top-images,activation", "--size", str(args.side)]
    command += ["--activation-size", str(args.size)]
    command += ["--activation-steps", str(args.steps)]
    if (status := cli.main(command)) or args.part == "job":
        raise SystemExit(status)
    seen = Seen(args.work, args.photos, args.side)
    channels = channels[: args.first]
    folder = pathlib.Path(args.work) / "plain"
    measured = Measured(pathlib.Path(args.work) / "measured.json")
    shares: dict[str, list[float]] = {"visualize": [], "plain loop": []}
    for layer in args.layer if args.only is None else [args.only]:
        network = Attribution(layers_to(vgg_layers("vgg16"), layer), arrays)
        crops = (seen.crop(layer, channel, args.size) for channel in channels)
        best = measured.scores(network, layer, "crop", channels, crops)
        pictures: dict[str, Iterable[Pixels]] = {
            "visualize": (seen.visualization(layer, channel) for channel in channels)
        }
        if layer in WANTED_IN:
            pictures["plain loop"] = kept_plain(
                folder, layer, channels, args.size, args.steps, arrays
            )
        for what, made in pictures.items():
            found = measured.scores(network, layer, what, channels, made)
            ratios = times(found, best)
            tell(what, layer, ratios)
            if layer in WANTED_IN:
                shares[what].append(passing(ratios))
    for what, reached in shares.items():
        if reached:
            verdict = "passes" if min(reached) >= SHARE else "fails"
            told = ", ".join(f"{share:.0%}" for share in reached)
            print(f"{what}: {verdict} ({told})")


if __name__ == "__main__":
    main()
