"""What surrounds a command: it copes, or exits with 2 and writes nothing.

Each command in a process of its own, since most of this is read when it starts.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

from pipelines import cli

pytestmark = pytest.mark.timeout(300)

ROOT = pathlib.Path(__file__).parents[2]
KERAS = {
    "backend": "torch",
    "image_data_format": "channels_first",
    "floatx": "float16",
    "epsilon": 0.5,
}


def process(
    *argv: object, without: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    inherited = {n: v for n, v in os.environ.items() if n != without}
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *map(str, argv)],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def stylize(inputs: pathlib.Path, output: str, *flags: str) -> list[str]:
    argv = ["stylize", "--content", f"{inputs}/contents", "--style", f"{inputs}/styles"]
    return [*argv, "--bundle", f"{inputs}/bundle", "--output", output, *flags]


@pytest.fixture
def keras_home(tmp_path: pathlib.Path) -> str:
    home = tmp_path / "keras"
    home.mkdir()
    (home / "keras.json").write_text(json.dumps(KERAS))
    return str(home)


@pytest.mark.slow
def test_keras_of_other_programs_does_not_matter(inputs, files_of, keras_home) -> None:
    assert cli.main(stylize(inputs, f"{inputs}/plain")) == 0
    argv = stylize(inputs, f"{inputs}/odd")
    done = process(*argv, KERAS_BACKEND="jax", KERAS_HOME=keras_home)
    assert done.returncode == 0, done.stderr
    assert files_of(inputs / "odd") == files_of(inputs / "plain")


@pytest.mark.slow
def test_keras_of_other_programs_does_not_matter_for_any_command(
    tmp_path, datasets, train_command, photograph, keras_home
) -> None:
    image = photograph(tmp_path / "a.png", 64, 64)
    both = ("--content", image, "--style", image)
    workdir, out = tmp_path / "work", str(tmp_path / "out")
    commands = [
        train_command(workdir, "--steps", "2", "--eval-every", "2"),
        ["export", "--workdir", workdir, "--output", f"{out}1"],
        ["export", "--workdir", workdir, "--output", f"{out}2", "--which", "latest"],
        ["evaluate", *both, "--bundle", f"{out}1", "--size", "32"],
        ["optimize", *both, "--size", "64", "--steps", "4"],
        ["visualize", "--input", image, "--layers", "block2_conv1"],
        ["ingest", "--input", image, "--name", "d", "--val-fraction", "0"],
    ]
    for number, argv in enumerate(commands, 3):
        last = [] if argv[0] in ("train", "export") else ["--output", f"{out}{number}"]
        done = process(*argv, *last, KERAS_BACKEND="torch", KERAS_HOME=keras_home)
        assert done.returncode == 0, (argv[0], done.stderr)


def test_file_names_that_are_not_utf_8_in_this_locale_exit_2(inputs) -> None:
    done = process(
        *stylize(inputs, f"{inputs}/out"),
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )
    assert done.returncode == 2
    assert "read as ascii here" in done.stderr
    assert "Set PYTHONUTF8=1" in done.stderr
    assert not (inputs / "out").exists()


@pytest.mark.parametrize(
    ("without", "environment"),
    [
        ("", {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}),
        ("HOME", {"TMPDIR": "/nowhere"}),
        ("", {"HOME": "/proc/self/nowhere", "KERAS_HOME": "/proc/self/nowhere"}),
    ],
    ids=["locale C", "no HOME, no TMPDIR", "HOME that cannot be written"],
)
def test_poor_surroundings_are_enough(
    tmp_path, photograph, files_of, without, environment
) -> None:
    photograph(tmp_path / "photos/été/a.png", 40, 40)
    argv = ["ingest", "--input", f"{tmp_path}/photos", "--name", "d"]
    argv += ["--val-fraction", "0", "--output"]
    assert cli.main([*argv, f"{tmp_path}/plain"]) == 0
    done = process(*argv, f"{tmp_path}/poor", without=without, **environment)
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "poor") == files_of(tmp_path / "plain")


def test_no_place_for_temporary_files_exits_2(inputs, monkeypatch, capfd) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "gettempdir", none)
        assert cli.main(stylize(inputs, f"{inputs}/out")) == 2
    assert "Set TMPDIR to a folder that can be written" in capfd.readouterr().err
    assert not (inputs / "out").exists()


BEAM = [
    ("--direct_num_workers=-1", "--direct_num_workers -1: expected 0"),
    ("--direct_num_workers=1000000", "16 a core"),
    ("--direct_running_mode=no", "invalid choice"),
    ("--runner=Nonsense", "--runner Nonsense: there is no such runner"),
    ("--runner=DataflowRunner", "contents: is on this machine"),
]


@pytest.mark.parametrize(("flag", "said"), BEAM)
@pytest.mark.parametrize("mode", ["--overwrite", "--dry-run"])
def test_what_beam_refuses_exits_2_and_touches_nothing(
    inputs, capfd, flag, said, mode
) -> None:
    out = inputs / "out"
    out.mkdir()
    before = cli.main(stylize(inputs, str(out), "--dry-run"))
    assert before == 0
    assert cli.main(stylize(inputs, str(out), mode, flag)) == 2
    err = capfd.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(out.iterdir())


@pytest.mark.slow
def test_as_many_workers_as_cores_and_more(tmp_path, photograph, files_of) -> None:
    photograph(tmp_path / "photos/a.png", 40, 40)
    argv = ["ingest", "--input", f"{tmp_path}/photos", "--name", "d"]
    argv += ["--val-fraction", "0", "--output"]
    for workers in (0, 1, 3):
        flag = f"--direct_num_workers={workers}"
        done = process(*argv, f"{tmp_path}/{workers}", flag)
        assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "0") == files_of(tmp_path / "1")
    assert files_of(tmp_path / "3") == files_of(tmp_path / "1")
