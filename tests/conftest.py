import ctypes
import functools
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import hypothesis
import numpy as np
import pytest
from PIL import Image

from model.bundle import Bundle
from model.config import STYLE_LAYERS, ConvSpec
from model.networks.decoder import mirror_layers
from model.networks.family import family_member, narrow_layers

pytest_plugins = ["emulators", "quick_beam"]

# The same examples in every run; TensorFlow traces on first use, so no deadline.
hypothesis.settings.register_profile(
    "stylebeam", deadline=None, derandomize=True, max_examples=20, database=None
)
hypothesis.settings.load_profile("stylebeam")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Keep a quarter of the cases of each slow test where `SLOW_SEED` is set.

    At least one case of a test, but of the tests of a single case a half. CI has
    another seed for each commit, so that it meets them all in turn.
    """
    seed = os.environ.get("SLOW_SEED")
    if not seed:
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("slow"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)

    def chance(item: pytest.Item) -> str:
        return hashlib.sha256(f"{seed}/{item.nodeid}".encode()).hexdigest()

    alone = [item for of_one in cases.values() if len(of_one) == 1 for item in of_one]
    several = [of_one for of_one in cases.values() if len(of_one) > 1]
    left_out: set[pytest.Item] = set()
    for found, share in [(alone, 2), *((of_one, 4) for of_one in several)]:
        found.sort(key=chance)
        left_out |= set(found[-(-len(found) // share) :])
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=sorted(left_out, key=chance))


# As VGG-16 to relu4_1, narrow enough to run in milliseconds.
TINY_WIDTHS = (4, 8, 8, 16)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20170320)


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The reference data of the developers' machines."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"there is no reference data at {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_encoder_layers() -> tuple[ConvSpec, ...]:
    layers = []
    channels = 3
    for block, (width, count) in enumerate(
        zip(TINY_WIDTHS, (2, 2, 3, 1), strict=True), start=1
    ):
        for index in range(1, count + 1):
            layers.append(
                ConvSpec(
                    name=f"block{block}_conv{index}",
                    in_channels=channels,
                    out_channels=width,
                    pool_before=block > 1 and index == 1,
                )
            )
            channels = width
    return tuple(layers)


@pytest.fixture(scope="session")
def random_arrays() -> Callable[..., dict[str, np.ndarray]]:
    """Return a maker of He-initialised weights of layers."""

    def make(layers: Sequence[ConvSpec], seed: int = 0) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        arrays = {}
        for layer in layers:
            spread = np.sqrt(2 / (layer.kernel**2 * layer.in_channels))
            if layer.in_channels == 3:  # An encoder's first: BGR in 0..255 less mean.
                spread /= 64
            kernel = rng.normal(0, spread, layer.kernel_shape)
            bias = rng.normal(0, 0.1, layer.out_channels)
            arrays[f"{layer.name}/kernel"] = kernel.astype(np.float32)
            arrays[f"{layer.name}/bias"] = bias.astype(np.float32)
        return arrays

    return make


@pytest.fixture(scope="session")
def tiny_bundle(
    tiny_encoder_layers: tuple[ConvSpec, ...],
    random_arrays: Callable[..., dict[str, np.ndarray]],
) -> Bundle:
    """A narrow encoder and its mirror decoder with random weights."""
    decoder_layers = mirror_layers(tiny_encoder_layers)
    decoder = random_arrays(decoder_layers, seed=1)
    # Pixels around grey, so that clipping hides little.
    decoder[f"{decoder_layers[-1].name}/kernel"] *= np.float32(0.2)
    decoder[f"{decoder_layers[-1].name}/bias"] += np.float32(0.5)
    return Bundle.create(
        tiny_encoder_layers,
        random_arrays(tiny_encoder_layers),
        decoder_layers,
        decoder,
        about={"license": "none, random weights", "lineage": []},
    )


@pytest.fixture(scope="session")
def level_bundles(
    tiny_bundle: Bundle, random_arrays: Callable[..., dict[str, np.ndarray]]
) -> Callable[[str], Bundle]:
    """Return a maker of narrow networks of four taps with random weights and biases.

    `linear` and `relu`: an encoder of its own widths with projections of that
    activation; `vgg`: the encoder of the tiny bundle, without projections.
    """

    @functools.cache
    def make(kind: str) -> Bundle:
        layers = tiny_bundle.encoder_layers
        arrays = dict(tiny_bundle.encoder)
        channels = None
        if kind != "vgg":
            layers = narrow_layers(layers, (2, 4, 6, 8))
            channels = dict(zip(STYLE_LAYERS, (9, 10, 11, 12), strict=True))
        network = family_member(
            layers,
            decoder_channels=(7, 6, 5),
            tap_channels=channels,
            tap_activation="relu" if kind == "relu" else "linear",
            input_divisor=1.0 if kind == "vgg" else 64.0,
        )
        if kind != "vgg":
            arrays = random_arrays(network.encoder_convolutions, seed=2)
            arrays["block1_conv1/kernel"] *= np.float32(64)
        decoder = random_arrays(network.decoder_convolutions, seed=3)
        # Pixels around grey, so that clipping hides little.
        last = network.decoder_layers[-1].name
        decoder[f"{last}/kernel"] *= np.float32(0.2)
        decoder[f"{last}/bias"] += np.float32(0.5)
        about = {"license": "none, random weights", "lineage": []}
        return Bundle.seal(network, arrays, decoder, about)

    return make


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    """Return a painter of pictures with gradients, edges and texture."""

    def paint(height: int, width: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[0:height, 0:width] / 64.0
        planes = []
        for _ in range(3):
            a, b, c, d = rng.uniform(0.5, 4.0, 4)
            wave = 0.25 * np.sin(a * x + b * y) + 0.25 * np.sign(np.sin(c * x - d * y))
            planes.append(0.5 + wave + rng.normal(0, 0.03, wave.shape))
        return np.clip(np.stack(planes, axis=-1), 0, 1).astype(np.float32)

    return paint


@pytest.fixture
def photograph(picture: Callable[..., np.ndarray]) -> Callable[..., pathlib.Path]:
    """Return a maker of picture files, their format by the suffix."""

    def save(
        path: pathlib.Path, height: int, width: int, seed: int = 0, **options: object
    ) -> pathlib.Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.rint(picture(height, width, seed=seed) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(path, **options)
        return path

    return save


@pytest.fixture
def permissions_hold() -> Iterator[None]:
    """Have the permissions of files hold for this thread, also where tests run as root.

    Root passes them by two capabilities, which are laid down for the test; threads that
    it starts have them neither. Another user could not reach a clone below `/root`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    # Version 3 and this thread; then effective, permitted, inheritable, twice.
    head, before = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(head, before) == 0
    without = type(before)(*before)
    without[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(head, without) == 0
    yield
    assert libc.capset(head, before) == 0


@pytest.fixture
def tiny_vgg(
    monkeypatch: pytest.MonkeyPatch,
    random_arrays: Callable[..., dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """VGG of few channels in place of the packaged one, in this process; its weights.

    For whatever is not about the packaged network: it starts and works in a fraction of
    the time.
    """
    from model.networks import vgg, weights

    monkeypatch.setattr(vgg, "_CHANNELS", (4, 6, 8, 8, 8))
    arrays = random_arrays(vgg.vgg_layers("vgg16"))
    monkeypatch.setattr(weights, "_packaged_vgg16", lambda: arrays)
    return arrays


@pytest.fixture(scope="session")
def write_study() -> Callable[..., list[str]]:
    """Return a writer of what `optimize` leaves of invented runs, up to the report."""
    from types import SimpleNamespace

    from transforms.elements import ImageRef
    from transforms.images.thumbnails import preview
    from transforms.optimize.optimize_runs import preview_name
    from transforms.optimize.runs import (
        RUNS_TABLE,
        Original,
        Run,
        StyleUse,
        VggChoice,
        write_run,
    )
    from transforms.optimize.settings import RunSettings
    from transforms.storage.folder import OutputFolder
    from transforms.storage.parquet import write_table

    def write(
        output: OutputFolder,
        contents: Sequence[str],
        styles: Sequence[str],
        settings: Sequence[dict[str, object]],
        names: Sequence[str] = (),
    ) -> list[str]:
        import pyarrow as pa

        vgg = VggChoice("vgg16", "5a" * 32, None)
        # Whatever the defaults are.
        base = {"steps": 40, "style_weight": 1000.0, "tv_weight": 0.0}
        rows = []
        for content, style in [(c, s) for c in contents for s in styles]:
            for index, values in enumerate(settings):
                rng = np.random.default_rng(len(rows))
                chosen = RunSettings.from_values({**base, **values})
                content_ref, style_ref = (
                    Original(ImageRef(key, "in", ""), "0" * 64)
                    for key in (content, style)
                )
                name = names[index] if names else ""
                uses = (StyleUse(style_ref),)
                run = Run(content_ref, uses, chosen, chosen.id("5a"), name)
                curve = [
                    SimpleNamespace(
                        step=step,
                        total=1e9 * 0.9**step * (1 + index),
                        content=1e6 * (step + index),
                        style=1e5 * 0.8**step,
                        tv=3e4 + 10 * step,
                    )
                    for step in range(41)
                ]
                pixels = rng.integers(0, 255, (32, 48, 3), dtype=np.uint8)
                result = SimpleNamespace(
                    picture=pixels,
                    snapshots=((20, pixels),),
                    curve=curve,
                    losses_by_layer={"content/block4_conv2": 1.0},
                    steps=40,
                    stopped_early=False,
                )
                rows.append(write_run(output, run, vgg, result))
                for role, ref in (("content", content_ref), ("style", style_ref)):
                    output.write(preview_name(role, ref.ref.id), preview(pixels))
        rows.sort(
            key=lambda row: (row["content_key"], row["style_key"], row["setting"])
        )
        part = RUNS_TABLE.part_name(0, 1)
        write_table(output, part, pa.Table.from_pylist(rows, RUNS_TABLE.schema))
        return [part]

    return write
