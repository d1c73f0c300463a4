"""The demo, from what is in the package: 25 paintings and a photograph."""

import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from pipelines import cli
from pipelines.demo import job

PICTURES = pathlib.Path(job.__file__).parent / "pictures"


@pytest.fixture
def few(monkeypatch, tmp_path, tiny_bundle) -> pathlib.Path:
    """A package with a tiny network, two small paintings and a small photograph."""
    import model.bundle

    tiny_bundle.save(tmp_path / "bundle")
    monkeypatch.setitem(model.bundle.PACKAGED, "default", str(tmp_path / "bundle"))
    for name in ("styles/a.jpg", "styles/b.jpg", "content/c.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (48, 40), (200, 90, 40)).save(path)
    monkeypatch.setattr(job, "_PICTURES", tmp_path / "pictures")
    return tmp_path


def test_demo_makes_pictures_a_gallery_and_a_sheet(few, capfd) -> None:
    out = few / "out"
    assert cli.main(["demo", "--output", str(out)]) == 0
    said = capfd.readouterr()
    assert said.out == f"{out}/stylized/gallery/index.html\n"
    assert f"stylebeam stylize --content {out}/content --style {out}/styles" in said.err
    assert {path.name for path in out.iterdir()} == {
        "content",
        "sheet.jpg",
        "styles",
        "stylized",
    }
    with Image.open(out / "sheet.jpg") as sheet:
        assert sheet.size == (1560, 242)
    # Again: nothing is made anew, and what the user put there takes part.
    Image.new("RGB", (40, 40)).save(out / "content" / "mine.png")
    assert cli.main(["demo", "--output", str(out)]) == 0
    assert "4 cells = 2 done + 2 kept" in capfd.readouterr().err


@pytest.mark.parametrize("output", ["gs://b/demo", "{tmp}/file/demo"])
def test_output_that_cannot_be_written_is_named(output, tmp_path, capsys) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["demo", "--output", output.format(tmp=tmp_path)]) == 2
    assert "--output " in capsys.readouterr().err.splitlines()[-1]


def test_package_has_25_paintings_and_one_photograph() -> None:
    styles = sorted((PICTURES / "styles").iterdir())
    assert len(styles) == 25
    assert [p.name for p in (PICTURES / "content").iterdir()] == ["chelsea.png"]
    for path in styles:
        with Image.open(path) as picture:
            assert min(picture.size) >= 480, path
    # What was promised of the wheel's size is in README and tests/test_packaging.py.
    assert sum(p.stat().st_size for p in PICTURES.glob("*/*")) < 4_400_000


def test_photograph_is_that_of_scikit_image() -> None:
    data = pytest.importorskip("skimage.data")
    with Image.open(PICTURES / "content" / "chelsea.png") as picture:
        assert np.array_equal(np.asarray(picture), data.chelsea())


@pytest.mark.parametrize("name", ["ink-mountains", "primary-grid"])
def test_painting_is_that_of_its_painter(name, monkeypatch) -> None:
    root = pathlib.Path(__file__).parents[3]
    monkeypatch.syspath_prepend(str(root / "examples"))
    from paintings import PAINTINGS

    painted = Image.fromarray(PAINTINGS[name]())
    data = io.BytesIO()
    painted.save(data, "JPEG", quality=90, optimize=True)
    with Image.open(PICTURES / "styles" / f"{name}.jpg") as packaged:
        again = np.asarray(Image.open(data), np.int16)
        # NumPy of another version may draw a pixel by another level.
        assert np.abs(np.asarray(packaged, np.int16) - again).mean() < 1
