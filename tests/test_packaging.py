import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from apache_beam.runners.portability.stager import Stager

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[1]

SHIPPED: set[str] = {
    "model/py.typed",
    "model/pretrained/vgg16.json",
    "model/pretrained/vgg16.npz",
    *(
        f"model/pretrained/{bundle}/{file}"
        for bundle in ("default", "paper")
        for file in ("bundle.json", "decoder.npz", "encoder.npz")
    ),
    "pipelines/__main__.py",
    "pipelines/demo/pictures/content/chelsea.png",
    "pipelines/demo/pictures/styles/woodblock-waves.jpg",
    "pipelines/py.typed",
    "stylebeam/__init__.py",
    "stylebeam/__main__.py",
    "stylebeam/py.typed",
    "transforms/py.typed",
    *(
        f"transforms/pages/templates/{path.name}"
        for path in (ROOT / "transforms" / "pages" / "templates").iterdir()
    ),
}
# What README says of it.
LARGEST_WHEEL = 46_000_000
PACKAGES = {"model", "pipelines", "stylebeam", "transforms"}

# Run in a folder of its own with the installed files alone on the path.
USE = """
import pathlib, sys
from model.bundle import load_bundle
from model.networks.weights import load_vgg_weights
from transforms.stylize.gallery import index_html
import model, pipelines.stylize, stylebeam, transforms
for package in (model, pipelines, stylebeam, transforms):
    assert pathlib.Path(package.__file__).is_relative_to(sys.argv[1]), package
assert load_bundle().bundle_id != load_bundle("paper").bundle_id
assert len(load_vgg_weights("vgg16")) == 26
import pipelines.demo.job as demo
assert len(list(demo._PICTURES.glob("styles/*.jpg"))) == 25
assert b"<html" in index_html("title", "bundle", [])
assert stylebeam.Stylizer.__module__ == "stylebeam.stylizing"
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A copy of what git would clone: building leaves files in the tree."""
    folder = tmp_path_factory.mktemp("checkout") / "stylebeam"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def sdist(
    checkout: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """What `--setup_file ./setup.py` stages to the workers, by Beam's own code."""
    folder = tmp_path_factory.mktemp("sdist")
    return pathlib.Path(
        Stager._build_setup_package(str(checkout / "setup.py"), str(folder))
    )


@pytest.fixture(scope="module")
def wheel(
    sdist: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """The wheel made of the sdist, as a worker makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(sdist)]
    subprocess.run(command, check=True)
    (path,) = folder.glob("*.whl")
    return path


def without_metadata(names: list[str]) -> set[str]:
    return {name for name in names if ".dist-info/" not in name}


def test_sdist_has_the_weights_and_no_tests(sdist: pathlib.Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert SHIPPED - names == set()
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"} <= names
    tops = {name.partition("/")[0] for name in names if "/" in name}
    assert tops <= PACKAGES | {"stylebeam.egg-info"}


def test_wheel_has_the_three_packages_and_nothing_else(wheel: pathlib.Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert SHIPPED - set(names) == set()
    assert sum("/pictures/styles/" in name for name in names) == 25
    assert wheel.stat().st_size < LARGEST_WHEEL
    assert f"{LARGEST_WHEEL // 1_000_000} MB" in (ROOT / "README.md").read_text("utf-8")
    assert {n.partition("/")[0] for n in without_metadata(names)} == PACKAGES
    ours = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == ours
    metadata = [name for name in names if ".dist-info/" in name]
    for file in ("LICENSE", "NOTICE", "entry_points.txt"):
        assert any(name.endswith(f"/{file}") for name in metadata)


def test_installed_package_works_away_from_the_checkout(
    wheel: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--target", str(target), str(wheel)], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    subprocess.run(
        [sys.executable, "-c", USE, str(target)],
        cwd=elsewhere,
        env={"PYTHONPATH": str(target), "PATH": ""},
        check=True,
    )
    assert (target / "bin" / "stylebeam").exists()
