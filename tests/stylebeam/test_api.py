"""What a notebook may rely on: names, shapes, errors, and the same pictures."""

import pathlib
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import stylebeam
from model.options import options_of
from pipelines.stylize.config import StylizeConfig
from stylebeam import jobs, pictures

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def painted() -> dict[str, np.ndarray]:
    y, x = np.mgrid[0:48, 0:64]
    photograph = np.stack([4 * x, 5 * y, x + y], axis=-1).astype(np.uint8)
    painting = np.where((x // 4 + y // 4)[..., None] % 2, [220, 40, 30], [20, 30, 90])
    return {"photograph": photograph, "painting": painting.astype(np.uint8)}


@pytest.fixture(scope="module")
def grid(painted, tmp_path_factory) -> stylebeam.Output:
    """One photograph in one painting, out of a folder with a `model.py` of its own."""
    folder = tmp_path_factory.mktemp("notebook")
    for name, pixels in painted.items():
        (folder / name).mkdir()
        Image.fromarray(pixels).save(folder / name / "a.png")
    (folder / "model.py").write_text("raise RuntimeError('not ours')", "utf-8")
    code = (
        "import stylebeam\n"
        "done = stylebeam.stylize('photograph', 'painting', 'grid', format='png')\n"
        "assert done.counts['cells_done'] == 1, done.counts\n"
        "print(done.place)\n"
        "try:\n"
        "    stylebeam.Stylizer\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    place, error = told.stdout.splitlines()
    assert place == "grid/gallery/index.html"
    assert error.startswith(f"Python finds `model` at {folder}/model.py, and stylebeam")
    assert "1 cells = 1 done + 0 kept + 0 failed" in told.stderr
    return stylebeam.Output(str(folder / "grid"), place)


def test_public_names_come_when_asked_for() -> None:
    assert set(stylebeam.__all__) == set(stylebeam._HOMES)
    assert set(stylebeam.__all__) <= set(dir(stylebeam))
    for name in stylebeam.__all__:
        assert getattr(stylebeam, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'stylise'"):
        _ = stylebeam.stylise


class TestStylize:
    @pytest.mark.slow
    def test_rows_are_those_of_the_manifest(self, grid) -> None:
        table = pq.read_table(f"{grid.folder}/manifest").to_pylist()

        assert list(grid.rows()) == table
        assert grid.counts["cells_done"] == 1

    @pytest.mark.slow
    def test_stylizer_makes_the_picture_of_the_job(self, grid, painted) -> None:
        (row,) = grid.rows()
        with Image.open(f"{grid.folder}/{row['path']}") as written:
            expected = np.asarray(written)

        made = stylebeam.Stylizer()(painted["photograph"], painted["painting"])

        np.testing.assert_array_equal(np.asarray(made), expected)

    def test_wrong_option_is_told_before_anything_is_written(self, tmp_path) -> None:
        with pytest.raises(ValueError, match=r"unrecognized arguments: --alhpa=0\.5"):
            stylebeam.stylize("photos", "paintings", tmp_path / "out", alhpa=0.5)

        assert not (tmp_path / "out").exists()

    def test_options_become_words_as_the_command_reads_them(self) -> None:
        # A list is words with commas and False is silence: so it must be for all.
        for name, about in options_of(StylizeConfig).items():
            if name in ("content", "style", "launch"):
                continue
            assert not (about.many and about.read is None), name
            assert not (about.type is bool and about.default), name

    def test_place_that_looks_like_a_flag_stays_a_place(self) -> None:
        assert jobs._places("-x") == ["./-x"]
        assert jobs._places([pathlib.Path("a"), "b"]) == ["a", "b"]

    def test_job_that_fails_names_status_and_reason(self, monkeypatch) -> None:
        said = "stylebeam stylize: error: 3 of 4 images failed"
        code = f"import sys; print({said!r}, file=sys.stderr); sys.exit(1)"
        real = subprocess.Popen
        monkeypatch.setattr(
            subprocess,
            "Popen",
            lambda _, **how: real([sys.executable, "-c", code], **how),
        )

        with pytest.raises(stylebeam.JobError, match=r"^3 of 4 images failed$") as told:
            stylebeam.stylize("photos", "paintings", "out")

        assert (told.value.status, told.value.output) == (1, "out")


class TestPictures:
    def test_path_image_and_array_are_the_same_picture(self, painted, tmp_path) -> None:
        array = painted["photograph"]
        path = tmp_path / "a.png"
        Image.fromarray(array).save(path)

        for picture in (array, path, str(path), Image.fromarray(array)):
            np.testing.assert_array_equal(pictures.pixels_of(picture), array)

    def test_orientation_and_alpha_of_an_image_count(self, painted, tmp_path) -> None:
        image = Image.fromarray(painted["photograph"])
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "turned.jpg", exif=exif)

        with Image.open(tmp_path / "turned.jpg") as turned:
            assert pictures.pixels_of(turned).shape == (64, 48, 3)
        clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
        assert (pictures.pixels_of(clear) == 255).all()

    @pytest.mark.parametrize(
        ("picture", "error", "message"),
        [
            (np.zeros((40, 40, 3)), ValueError, r"floats in \[0, 1\]"),
            (np.zeros((40, 40), np.uint8), ValueError, r"shape=\(40, 40\)"),
            (np.zeros((8, 40, 3), np.uint8), ValueError, "too_small"),
            (Image.new("F", (40, 40)), ValueError, "mode F"),
            (None, TypeError, "NoneType"),
            ("nowhere.png", FileNotFoundError, "nowhere.png"),
            (__file__, ValueError, "test_api.py cannot be used: not_an_image"),
        ],
    )
    def test_what_is_no_picture_is_named(self, picture, error, message) -> None:
        with pytest.raises(error, match=message):
            pictures.pixels_of(picture)

    def test_size_is_a_side_that_jobs_allow(self, painted) -> None:
        with pytest.raises(ValueError, match="`size` must be 0"):
            pictures.pixels_of(painted["photograph"], size=8)


class TestLookAndOptimize:
    def test_settings_are_checked_before_the_network_is_loaded(self, painted) -> None:
        two = (painted["photograph"], painted["painting"])
        with pytest.raises(TypeError, match="There is no setting 'step'"):
            stylebeam.optimize(*two, step=3)
        with pytest.raises(ValueError, match="`content_layers` must be layers of vgg"):
            stylebeam.optimize(*two, content_layers="block9")
        with pytest.raises(ValueError, match="`network` must be one of vgg16, vgg19"):
            stylebeam.optimize(*two, network="resnet")

    def test_start_adain_is_the_picture_of_the_stylizer(self, painted) -> None:
        two = (painted["photograph"], painted["painting"])
        settings = {"steps": 1, "pyramid": 1, "snapshots": 0}

        # One step of a hundredth of a grey level, which is rounded away.
        made = stylebeam.optimize(*two, init="adain", learning_rate=0.01, **settings)

        start = stylebeam.Stylizer()(*two)
        np.testing.assert_array_equal(np.asarray(made.picture), np.asarray(start))

    def test_notebook_is_shown_pictures(self, painted) -> None:
        seen = stylebeam.look(painted["photograph"], "block1_conv1")

        assert seen._repr_png_().startswith(b"\x89PNG")
        assert seen.gradient_picture().size == (64, 48)
        with pytest.raises(ValueError, match="`rule` must be one of"):
            seen.gradient(rule="smooth")
        with pytest.raises(ValueError, match="has the channels 0 to 63"):
            seen.gradient(channel=64)
        with pytest.raises(ValueError, match="Unknown layer 'block9'"):
            stylebeam.look(painted["photograph"], "block9")
