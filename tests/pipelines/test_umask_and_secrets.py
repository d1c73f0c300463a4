"""Files follow the umask, and no secret of the environment or of a URL is kept."""

import os
import pathlib
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from pipelines import cli

pytestmark = pytest.mark.timeout(240)

TOKEN = "t0k3n-of-somebody"


@pytest.fixture
def commands(
    tmp_path: pathlib.Path,
    photograph: Callable[..., pathlib.Path],
    tiny_bundle,
    tiny_vgg,
    train_command,
    monkeypatch: pytest.MonkeyPatch,
) -> list[list[str]]:
    """Every command but import-weights, small, each with an output of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos/a.png", "photos/b.png", "styles/s.png"):
        photograph(tmp_path / name, 48, 48, seed=len(name))
    tiny_bundle.save(tmp_path / "in-bundle")
    both = ["--content", "photos", "--style", "styles"]
    bundle = ["--bundle", "in-bundle"]
    layer = ["--layers", "block1_conv1", "--size", "32"]
    export = ["export", "--workdir", "o/train", "--output"]
    gatys = ["--size", "32", "--steps", "2", "--pyramid", "1"]
    return [
        ["ingest", "--input", "photos", "--name", "d", "--output", "o/ingest"],
        ["stylize", *both, *bundle, "--output", "o/stylize"],
        ["stylize", *both, *bundle, "--output", "o/w", "--output-format", "webdataset"],
        ["visualize", *layer, "--input", "photos", "--output", "o/visualize"],
        ["optimize", *both, *gatys, "--output", "o/optimize"],
        ["evaluate", *both, *bundle, "--size", "32", "--output", "o/evaluate"],
        [*train_command(tmp_path / "o/train", "--steps", "2", "--eval-every", "2")],
        [*export, "o/export"],
        [*export, "o/saved", "--format", "savedmodel"],
        [*export, "o/h/d.weights.h5", "--format", "weights-h5"],
    ]


@pytest.fixture(params=[0o002, 0o077], ids=["002", "077"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.slow
def test_every_file_and_folder_follows_the_umask(commands, umask, tmp_path) -> None:
    for argv in commands:
        assert cli.main(argv) == 0
    odd = {
        str(path.relative_to(tmp_path)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in (tmp_path / "o").rglob("*")
        if stat.S_IMODE(path.stat().st_mode)
        != (0o777 if path.is_dir() else 0o666) & ~umask
    }
    assert not odd


URLS = [
    f"https://me:{TOKEN}@host.invalid/x.zip",
    f"https://{TOKEN}@host.invalid/x.zip",
    f"gs://bucket/x?X-Goog-Signature={TOKEN}",
    f"s3://me:{TOKEN}@bucket/x?sig={TOKEN}",
]
PLACES = {
    "ingest": ("--input", "--output", "--captions"),
    "stylize": ("--content", "--style", "--output", "--bundle", "--style-bank"),
    "visualize": ("--input", "--output", "--weights", "--class-names"),
    "optimize": ("--content", "--style", "--output", "--sweep", "--weights"),
    "evaluate": ("--content", "--style", "--output", "--bundle"),
    "train": ("--content", "--style", "--workdir", "--init", "--weights"),
    "export": ("--workdir", "--output"),
    "import-weights": ("--encoder", "--decoder", "--output"),
}
GIVEN = {
    "ingest": {"--input": "photos", "--name": "d", "--kind": "coco"},
    "import-weights": {"--encoder": "e", "--decoder": "d", "--license": "none"},
    "visualize": {"--input": "photos", "--layers": "block1_conv1"},
    "export": {"--workdir": "w"},
}


@pytest.mark.parametrize(
    ("command", "flag"), [(c, f) for c, flags in PLACES.items() for f in flags]
)
def test_a_url_with_a_secret_exits_2_without_showing_it(
    command, flag, commands, tmp_path, capfd
) -> None:
    both = {"--content": "photos", "--style": "styles"}
    given = {"--output": "out", **GIVEN.get(command, both)}
    if command == "train":
        flags = commands[-4][1:]
        given = dict(zip(flags[::2], flags[1::2], strict=True))
        if flag == "--weights":
            del given["--init"]
    before = sorted(tmp_path.rglob("*"))
    for url in URLS:
        words = (word for pair in {**given, flag: url}.items() for word in pair)
        status = cli.main([command, *words])
        out, err = capfd.readouterr()
        assert status == 2, err
        assert TOKEN not in out + err
        assert err.startswith(f"stylebeam {command}: error: ")
        assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_tokens_of_the_environment_are_kept_nowhere(commands, tmp_path) -> None:
    names = ("GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "GOOGLE_OAUTH_TOKEN", "PASSWORD")
    environment = {**os.environ, **dict.fromkeys(names, TOKEN)}
    # A failing file and a failing job too: what they say is written down.
    (tmp_path / "photos/bad.png").write_bytes(b"no picture")
    root = pathlib.Path(__file__).parents[2]
    for argv in (commands[0], commands[1]):
        done = subprocess.run(
            [sys.executable, "-m", "pipelines", *argv],
            env={**environment, "PYTHONPATH": str(root)},
            capture_output=True,
            check=False,
        )
        assert TOKEN.encode() not in done.stdout + done.stderr
    found = [
        path
        for path in (tmp_path / "o").rglob("*")
        if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]
    assert not found
    assert len(list((tmp_path / "o").iterdir())) == 2
