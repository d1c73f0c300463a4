"""The example paintings: 25, of a fit size, repeatable, each unlike the others."""

import importlib.util
import itertools
import pathlib
import re
import sys
import types
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

_EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
_CHEAP = ("op-art-waves", "neon-dusk", "cross-stitch", "ink-mountains", "batik-crackle")


@pytest.fixture(scope="module")
def paintings() -> Iterator[types.ModuleType]:
    # As `python examples/paintings.py` does, find `paintbox` beside the script.
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(_EXAMPLES))
        path = _EXAMPLES / "paintings.py"
        spec = importlib.util.spec_from_file_location("example_paintings", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
        for name in [name for name in sys.modules if name.split(".")[0] == "paintbox"]:
            patch.delitem(sys.modules, name)


@pytest.fixture(scope="module")
def painted(paintings: types.ModuleType) -> dict[str, np.ndarray]:
    """Return every painting, checked for its form, by name."""
    images = {}
    for name, paint in paintings.PAINTINGS.items():
        image = paint()
        assert image.dtype == np.uint8, name
        assert image.ndim == 3, name
        assert image.shape[2] == 3, name
        assert min(image.shape[:2]) >= 512, name
        assert max(image.shape[:2]) <= 640, name
        images[name] = image
    return images


def test_names_are_25_sorted_kebab_case(paintings: types.ModuleType) -> None:
    names = list(paintings.PAINTINGS)
    assert len(set(names)) == 25
    assert names == sorted(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


@pytest.mark.parametrize("name", _CHEAP)
def test_painting_again_gives_the_same_bytes(
    paintings: types.ModuleType, painted: dict[str, np.ndarray], name: str
) -> None:
    np.random.seed(7)  # noqa: NPY002 - global random state must not matter
    assert paintings.PAINTINGS[name]().tobytes() == painted[name].tobytes()


def _signature(image: np.ndarray) -> np.ndarray:
    """Return means and deviations of colour, and of detail at four scales."""
    values = image.astype(np.float32)
    gray = values.mean(-1)
    parts = [values.mean((0, 1)), values.std((0, 1))]
    for step in (1, 2, 4, 8):
        down = np.abs(gray[step:] - gray[:-step]).mean()
        across = np.abs(gray[:, step:] - gray[:, :-step]).mean()
        parts += [np.array([2 * down, 2 * across])]
    return np.concatenate(parts)


def test_every_pair_differs_in_colour_or_texture(
    painted: dict[str, np.ndarray],
) -> None:
    signatures = {name: _signature(image) for name, image in painted.items()}
    gaps = {
        (one, other): float(np.linalg.norm(signatures[one] - signatures[other]))
        for one, other in itertools.combinations(signatures, 2)
    }
    nearest = min(gaps, key=lambda pair: gaps[pair])
    # The same picture mirrored stays below 2; the nearest two measured 30.1 apart.
    assert gaps[nearest] > 20, f"{nearest}: {gaps[nearest]:.1f}"
    for name in _CHEAP:
        mirrored = _signature(painted[name][:, ::-1])
        assert np.linalg.norm(signatures[name] - mirrored) < 2


def test_every_painting_has_contrast(painted: dict[str, np.ndarray]) -> None:
    contrast = {name: image.std() for name, image in painted.items()}
    assert min(contrast.values()) > 25, contrast


def test_main_writes_the_named_painting(
    paintings: types.ModuleType,
    painted: dict[str, np.ndarray],
    tmp_path: pathlib.Path,
) -> None:
    paintings.main(["--output", str(tmp_path / "styles"), "op-art-waves"])
    (written,) = (tmp_path / "styles").iterdir()
    assert written.name == "op-art-waves.png"
    with Image.open(written) as image:
        pixels = np.asarray(image)
    np.testing.assert_array_equal(pixels, painted["op-art-waves"])


def test_main_refuses_an_unknown_name(
    paintings: types.ModuleType,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        paintings.main(["--output", str(tmp_path), "mona-lisa"])
    assert "no such painting: mona-lisa" in capsys.readouterr().err
