"""What the maps of `visualize` are worth: completeness, insertion and deletion.

    python benchmarks/gradients.py photos --count 50 --size 224

For each photograph the target is the busiest channel of a layer. Printed are how many
integrated gradients are complete within 1 %, and for each kind the areas under the
curves of insertion and deletion (Petsiuk et al. 2018), as shares of what the whole
photograph gives, beside those of a random map and of a spot in the middle: in how many
photographs, and in the mean, a map is better than both. The intervals are those of the
mean, 95 %.
"""

import argparse
import os
import pathlib
import sys
import time
from typing import Any, cast

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from model.attribution.fidelity import area
from model.attribution.integrated import COMPLETE
from transforms.images.decoder import decode_image
from transforms.steps.vgg_weights import weights_sha256
from transforms.visualize.explanations import explain
from transforms.visualize.networks import Networks
from transforms.visualize.settings import (
    EXPLANATIONS,
    Channels,
    Kind,
    Methods,
    VisualizeSettings,
)

Areas = dict[str, list[tuple[float, float]]]


def make_settings(args: Any) -> VisualizeSettings:
    """Return the settings of a visualization that measures its maps."""
    from model.networks.weights import load_vgg_weights

    return VisualizeSettings(
        network="vgg16",
        weights_sha256=weights_sha256(load_vgg_weights("vgg16")),
        layers=(args.layer,),
        kinds=tuple(Kind(kind) for kind in args.kinds.split(",")),
        channels=Channels(top=1),
        gradient_channels=Channels(top=1),
        size=args.size,
        randomization_check=False,
        raw=False,
        methods=Methods(
            curves=True, baselines=tuple(args.baselines.split(",")), window=args.window
        ),
    )


def measure(pixels: np.ndarray, networks: Networks, settings: Any) -> dict[str, Any]:
    """Return, for each kind, the facts of the busiest channel's map."""
    seen = networks.network.activations(pixels)
    features = {name: seen[name].numpy()[0] for name in settings.targets}
    explained = explain(pixels, seen, features, networks, settings)
    found = {}
    for (_, kind), gradients in explained.items():
        for gradient in gradients:
            if gradient.channel is not None:
                name = f"{kind} {gradient.variant}".strip()
                found[name] = gradient.facts
    return found


def _areas(curves: dict[str, list[float]]) -> tuple[float, float]:
    return tuple(  # type: ignore[return-value]
        float(area(np.asarray(curves[name])[:, None])[0])
        for name in ("insertion", "deletion")
    )


def report(facts: list[dict[str, Any]]) -> None:
    """Print the tables."""
    for name in facts[0]:
        steps = [f[name]["steps"] for f in facts if "steps" in f[name]]
        if steps:
            missed = [f[name]["incomplete"] for f in facts]
            whole = sum(m is not None and m <= COMPLETE for m in missed)
            worst = max(m or 0 for m in missed)
            print(
                f"{name}: {whole} of {len(missed)} complete within {COMPLETE:.0%}, "
                f"the others say so; worst {worst:.2%}; steps: median "
                f"{int(np.median(steps))}, most {max(steps)}"
            )
    print(
        "\n| kind | insertion | deletion | insertion beats both | deletion beats both |"
    )
    print("|---|---|---|---|---|")
    own = {n: np.array([_areas(f[n]["curves"]) for f in facts]) for n in facts[0]}
    first = next(iter(facts[0]))
    controls = {
        n: np.array([_areas(f[first][n]) for f in facts]) for n in ("random", "centre")
    }
    high = np.maximum(*(c[:, 0] for c in controls.values()))
    low = np.minimum(*(c[:, 1] for c in controls.values()))
    for name, areas in {**own, **controls}.items():
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in map(_mean, areas.T)]
        if name in own:
            for better, gain in (
                (areas[:, 0] > high, areas[:, 0].mean() > _best(controls, 0, max)),
                (areas[:, 1] < low, areas[:, 1].mean() < _best(controls, 1, min)),
            ):
                mean = "and" if gain else "**not**"
                cells.append(f"{better.sum()} of {len(better)}, {mean} in the mean")
        else:
            cells += ["", ""]
        print(f"| {name} | {' | '.join(cells)} |")


def _best(controls: dict[str, np.ndarray], place: int, choose: Any) -> float:
    return cast(float, choose(c[:, place].mean() for c in controls.values()))


def _mean(values: np.ndarray) -> tuple[float, float]:
    return values.mean(), 1.96 * values.std(ddof=1) / max(1, len(values)) ** 0.5


def main() -> None:
    """Print the tables, and the seconds a photograph."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--layer", default="block5_conv1")
    parser.add_argument("--kinds", default=",".join(EXPLANATIONS))
    parser.add_argument("--baselines", default="black")
    parser.add_argument("--window", type=int, default=32)
    args = parser.parse_args()
    print(f"command: python benchmarks/gradients.py {' '.join(sys.argv[1:])}")
    settings = make_settings(args)
    networks = Networks(settings, None)
    found = []
    started = time.perf_counter()
    for path in sorted(pathlib.Path(args.photos).iterdir())[: args.count]:
        pixels = decode_image(path.read_bytes(), size=args.size).pixels
        found.append(measure(pixels[None].astype(np.float32) / 255, networks, settings))
        print(f"{len(found)}: {path.name}", file=sys.stderr)
    report(found)
    print(f"\n{(time.perf_counter() - started) / len(found):.1f} s a photograph")


if __name__ == "__main__":
    main()
