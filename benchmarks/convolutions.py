"""How near a bundle's networks come to what their convolutions reach singly.

    python benchmarks/convolutions.py --bundle paper --size 256

Each convolution of the encoder and of the decoder is timed alone, on maps of the same
size, and then the whole network; rounds alternate. The bound is the sum of the single
times: a network without any other work would take it. Then a trace of one run says how
long each kind of operation takes inside the network. Wanted: the convolutions in the
network run at 90 % of the rate that they have singly.
"""

import argparse
import collections
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from model.bundle import PACKAGED, load_bundle
from model.networks.level_inference import LevelDecoder, fast_level_encoder

v1 = tf.compat.v1


def main() -> int:
    """Run the benchmark; returns 1 where the convolutions are slower than wanted."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bundle", default="paper")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    print(f"command: python {' '.join(sys.argv)}")
    bundle = load_bundle(PACKAGED.get(args.bundle, args.bundle))
    network = bundle.architecture
    rng = np.random.default_rng(0)
    slow = False
    with v1.Graph().as_default():
        encoder = fast_level_encoder(network, bundle.encoder, precision=args.precision)
        decoder = LevelDecoder(
            network, bundle.encoder, bundle.decoder, precision=args.precision
        )
        pixels = rng.random((1, args.size, args.size, 3), np.float32)
        images = v1.placeholder(tf.float32, pixels.shape)
        maps = encoder(images)
        dtype = tf.as_dtype(args.precision)
        given = [v1.placeholder(dtype, one.shape) for one in maps]
        scale = np.ones((1, sum(network.channels)), np.float32)
        session = session_of_all_cores()
        found = session.run(maps, {images: pixels})
        for name, made, feed in (
            ("encoder", maps, {images: pixels}),
            (
                "decoder",
                decoder(given, tf.constant(scale), tf.constant(0 * scale)),
                dict(zip(given, found, strict=True)),
            ),
        ):
            slow |= report(name, session, made, feed, args.rounds) < 0.9
    return int(slow)


def session_of_all_cores() -> Any:
    """Return a session that does one operation at a time, with all cores."""
    return v1.Session(config=v1.ConfigProto(inter_op_parallelism_threads=1))


def report(
    name: str, session: Any, made: Any, feed: dict[Any, Any], rounds: int
) -> float:
    """Print how a network and its convolutions ran.

    Returns:
        The rate of the convolutions in the network as a share of that singly.
    """
    convolutions = needed_convolutions(made)
    singly = [alone(one) for one in convolutions]
    whole = session.make_callable(made, list(feed))
    values = list(feed.values())
    times: list[list[float]] = [[] for _ in (*singly, whole)]
    for _ in range(rounds + 2):
        for kept, run in zip(times, (*singly, lambda: whole(*values)), strict=True):
            started = time.perf_counter()
            run()
            kept.append(time.perf_counter() - started)
    *each, all_of_it = (statistics.median(kept[2:]) for kept in times)
    kinds = trace(session, made, feed, rounds)
    inside = sum(s for kind, s in kinds.items() if "Conv2D" in kind)
    flops = sum(map(arithmetic, convolutions))
    print(f"{name}: {flops / 1e9:.1f} GFLOP in {len(convolutions)} convolutions")
    print(f"  singly {1e3 * sum(each):.1f} ms, {flops / sum(each) / 1e9:.0f} GFLOP/s")
    print(f"  inside {1e3 * inside:.1f} ms, {flops / inside / 1e9:.0f} GFLOP/s")
    print(
        f"  the network {1e3 * all_of_it:.1f} ms, {flops / all_of_it / 1e9:.0f} "
        f"GFLOP/s: {sum(each) / all_of_it:.0%} of singly, its convolutions "
        f"{sum(each) / inside:.0%}"
    )
    total = sum(kinds.values())
    shares = [f"{kind} {s / total:.1%}" for kind, s in kinds.most_common(8)]
    print(f"  where the time goes: {', '.join(shares)}", flush=True)
    return sum(each) / inside


def needed_convolutions(made: Any) -> list[Any]:
    """Return the convolutions that tensors are made by."""
    seen, waiting = set(), [one.op for one in tf.nest.flatten(made)]
    while waiting:
        operation = waiting.pop()
        if operation.name not in seen:
            seen.add(operation.name)
            waiting += [tensor.op for tensor in operation.inputs]
    every = tf.nest.flatten(made)[0].graph.get_operations()
    return [one for one in every if one.type == "Conv2D" and one.name in seen]


def arithmetic(convolution: Any) -> float:
    """Return the operations of a convolution; multiply and add are two."""
    kernel, out = convolution.inputs[1].shape, convolution.outputs[0].shape
    return 2.0 * float(np.prod(kernel.as_list())) * float(np.prod(out.as_list()[:3]))


def alone(convolution: Any) -> Callable[[], Any]:
    """Return a convolution with bias and ReLU by itself, on maps of the same size."""
    maps, kernel = (tensor.shape.as_list() for tensor in convolution.inputs)
    with v1.Graph().as_default():
        rng = np.random.default_rng(0)
        dtype = convolution.inputs[0].dtype
        given, weights = (
            v1.Variable(
                tf.cast(rng.random(shape, np.float32), dtype), use_resource=True
            )
            for shape in (maps, kernel)
        )
        out = tf.nn.conv2d(
            given, weights, 1, convolution.get_attr("padding").decode(), "NHWC"
        )
        biased = tf.nn.bias_add(out, tf.zeros(kernel[-1], dtype))
        session = session_of_all_cores()
        session.run(v1.global_variables_initializer())
        return session.make_callable(tf.nn.relu(biased).op)


def trace(
    session: Any, made: Any, feed: dict[Any, Any], rounds: int
) -> "collections.Counter[str]":
    """Return the seconds of each kind of operation in one run, the median by kind."""
    options = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)
    runs: list[dict[str, float]] = []
    for _ in range(rounds):
        told = v1.RunMetadata()
        session.run(made, feed, options, told)
        seconds: dict[str, float] = collections.defaultdict(float)
        for device in told.step_stats.dev_stats:
            for node in device.node_stats:
                kind = node.timeline_label.partition(" = ")[2].partition("(")[0]
                seconds[kind or node.node_name] += node.all_end_rel_micros / 1e6
        runs.append(seconds)
    kinds = {kind for run in runs for kind in run}
    return collections.Counter(
        {k: statistics.median(run.get(k, 0.0) for run in runs) for k in kinds}
    )


if __name__ == "__main__":
    raise SystemExit(main())
