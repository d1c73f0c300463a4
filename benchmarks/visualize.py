"""Sixteen gradient maps of one forward pass, against a pass there and back for each.

    python benchmarks/visualize.py --size 224 --channels 16

The loop is what a script does: for each feature map a forward and a backward pass of
Keras's graph through `tf.GradientTape`, in a traced function, cut off behind the layer.
Both give the same maps; the largest difference is printed. Rounds of the two alternate,
so that a machine that drifts hurts both, and the ratio is that of their medians. Times
are of the process's CPU as well as of the clock: on a busy machine the first counts.

`--kinds smoothgrad,integrated,grad-cam,occlusion` times those, too: a map for each
channel by one call, against a call for each map.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from model.attribution.grad_cam import grad_cam, grad_cam_plus_plus
from model.attribution.gradients import Attribution
from model.attribution.integrated import integrated_gradients
from model.attribution.occlusion import Probe, occlusion_maps
from model.attribution.smoothgrad import smoothgrad
from model.networks.encoder import build_vgg, layers_to, vgg_layers
from model.networks.weights import load_vgg_weights

# At least this many times the maps a second of the loop.
TARGETS = {"block5_conv1": 1.5, "block4_conv1": 1.7}


def measured(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float, float]:
    """Return the maps, and the seconds by the clock and of the CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    maps = work()
    return maps, time.perf_counter() - clock, time.process_time() - cpu


def compare(
    layer: str, image: np.ndarray, channels: int, rounds: int, arrays: Any
) -> None:
    """Print the ratio at one layer."""
    keras_network = build_vgg("vgg16", arrays, taps=[layer])

    @tf.function
    def one_map(pixels: tf.Tensor, channel: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            total = tf.reduce_sum(keras_network(pixels)[..., channel])
        return tape.gradient(total, pixels)

    pixels = tf.constant(image)
    ours = Attribution(layers_to(vgg_layers("vgg16"), layer), arrays)

    def loop() -> np.ndarray:
        maps = [one_map(pixels, tf.constant(c)).numpy()[0] for c in range(channels)]
        return np.stack(maps)

    def batch() -> np.ndarray:
        activations = ours.activations(image)
        return ours.gradients(activations, layer, "saliency", range(channels))[0]

    difference = np.abs(loop() - batch()).max() / np.abs(loop()).max()
    clocks: dict[str, list[float]] = {"loop": [], "batch": []}
    cpus: dict[str, list[float]] = {"loop": [], "batch": []}
    for _ in range(rounds):
        for name, work in (("loop", loop), ("batch", batch)):
            _, clock, cpu = measured(work)
            clocks[name].append(clock)
            cpus[name].append(cpu)
    by_clock = statistics.median(clocks["loop"]) / statistics.median(clocks["batch"])
    by_cpu = statistics.median(cpus["loop"]) / statistics.median(cpus["batch"])
    rate = channels / statistics.median(clocks["batch"])
    print(
        f"{layer}: {by_clock:.2f}x the loop by the clock, {by_cpu:.2f}x by CPU time "
        f"(wanted: {TARGETS[layer]}x); {rate:.1f} maps a second; largest relative "
        f"difference {difference:.1e}"
    )


METHODS = ("smoothgrad", "integrated", "grad-cam", "grad-cam-plus-plus", "occlusion")

# Few enough for a quick run; a ratio hardly depends on them.
SAMPLES = 4
STEPS = 8


def maps_of(
    kind: str, network: Attribution, image: np.ndarray, layer: str, channels: list[int]
) -> np.ndarray:
    """Return the maps of channels by one kind, one call for all of them."""
    if kind == "smoothgrad":
        return smoothgrad(
            network, image, layer, channels, samples=SAMPLES, noise=0.15, seed=[1]
        )
    if kind == "integrated":
        black = np.zeros_like(image)
        ask = {"fewest": STEPS, "most": STEPS, "at_a_time": 1}
        return integrated_gradients(network, image, black, layer, channels, **ask).maps
    if kind == "occlusion":
        window = image.shape[1] // 4
        probes = [Probe(network, layer, channels)]
        colour = np.full(3, 0.45, np.float32)
        return occlusion_maps(network, image, probes, window=window, colour=colour)[0]
    seen = network.activations(image)
    names = [spec.name for spec in network.layers]
    at = names[names.index(layer) - 1]
    method = grad_cam if kind == "grad-cam" else grad_cam_plus_plus
    gradients = network.gradients_at(seen, layer, channels, at)[0]
    return method(seen[at].numpy()[0], gradients)


def compare_kind(
    kind: str, layer: str, image: np.ndarray, channels: int, rounds: int, arrays: Any
) -> None:
    """Print the maps a second of one kind, together and one by one."""
    network = Attribution(layers_to(vgg_layers("vgg16"), layer), arrays)
    every = list(range(channels))

    def loop() -> np.ndarray:
        ask = (kind, network, image, layer)
        return np.concatenate([maps_of(*ask, [channel]) for channel in every])

    def batch() -> np.ndarray:
        return maps_of(kind, network, image, layer, every)

    difference = np.abs(loop() - batch()).max() / np.abs(loop()).max()
    rates: dict[str, list[float]] = {"loop": [], "batch": []}
    for _ in range(rounds):
        for name, work in (("loop", loop), ("batch", batch)):
            _, _, cpu = measured(work)
            rates[name].append(channels / cpu)
    one, all_ = (statistics.median(rates[name]) for name in ("loop", "batch"))
    print(
        f"{kind} of {layer}: {all_:.2f} maps a second of CPU, {all_ / one:.2f}x a call "
        f"for each map; largest relative difference {difference:.1e}"
    )


def main() -> None:
    """Print the ratio of each layer."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", default="", help=f"some of {', '.join(METHODS)}")
    args = parser.parse_args()
    shape = (1, args.size, args.size, 3)
    image = np.random.default_rng(1).random(shape, np.float32)
    arrays = load_vgg_weights("vgg16")
    print(f"command: python benchmarks/visualize.py {' '.join(sys.argv[1:])}")
    for layer in TARGETS:
        compare(layer, image, args.channels, args.rounds, arrays)
    for kind in filter(None, args.kinds.split(",")):
        layer = "block5_conv1"
        compare_kind(kind, layer, image, args.channels, args.rounds, arrays)


if __name__ == "__main__":
    main()
