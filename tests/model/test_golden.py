import importlib.util
import pathlib
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

# Float32 sums differ in their last bits between CPUs: a value on the edge of two grey
# levels may fall to either side, in a few pixels. Anything else is a change.
MOST_LEVELS = 2
MEAN_LEVELS = 0.05


@pytest.fixture(scope="module")
def golden() -> ModuleType:
    """The script that made the golden pictures, so that both paint the same."""
    path = pathlib.Path(__file__).parents[1] / "regenerate_golden.py"
    spec = importlib.util.spec_from_file_location("regenerate_golden", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pictures(golden: ModuleType) -> dict[str, np.ndarray]:
    return golden.pictures()


def difference(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    assert actual.shape == expected.shape
    return np.abs(actual.astype(int) - expected)


NAMES = [
    "alpha-1000",
    "alpha-0500",
    "blend",
    "mask-hard",
    "mask-soft",
    "color-luminance",
    "color-histogram",
]


@pytest.mark.parametrize("name", NAMES)
def test_packaged_bundle_gives_the_golden_picture(
    name: str,
    golden: ModuleType,
    pictures: dict[str, np.ndarray],
    tmp_path: pathlib.Path,
) -> None:
    found = difference(pictures[name], golden.read(name))

    if found.max() > MOST_LEVELS or found.mean() > MEAN_LEVELS:
        Image.fromarray(pictures[name]).save(tmp_path / "actual.png")
        seen = np.minimum(found * 16, 255).astype(np.uint8)
        Image.fromarray(seen).save(tmp_path / "diff.png")
        pytest.fail(
            f"{name}.png differs by max {found.max()}, mean {found.mean():.3f} grey "
            f"levels (allowed: {MOST_LEVELS}, {MEAN_LEVELS}). Look at actual.png and "
            f"diff.png (16 times) in {tmp_path}; if the change is meant: `make golden`."
        )


def test_golden_pictures_are_all_there_and_no_more(golden: ModuleType) -> None:
    names = {path.stem for path in golden.FOLDER.glob("*.png")}

    assert names == {*golden.ALPHAS, *golden.CONTROLS} == set(NAMES)


def test_golden_pictures_tell_strengths_and_channels_apart(golden: ModuleType) -> None:
    full, half = (golden.read(name) for name in golden.ALPHAS)

    assert difference(full, half).mean() > 100 * MEAN_LEVELS
    assert difference(full, full[..., ::-1]).mean() > 100 * MEAN_LEVELS
    assert difference(full, golden.content()).mean() > 100 * MEAN_LEVELS
