"""Outputs of real runs, in files, shards and buckets, and a process that is ended."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import urllib.parse

import pytest
from emulators import STORES
from fault_proxy import Fault
from view_client import serving

from transforms.buckets.patience import SECONDS_VARIABLE
from transforms.images.thumbnails import thumbnail_name
from transforms.storage.folder import OutputFolder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FORMATS = ("tfrecord", "webdataset", "parquet")


def copied(output: pathlib.Path, store, name: str) -> str:
    """Copy an output into a bucket and return its URL."""
    source, target = OutputFolder(str(output)), OutputFolder(f"{store.url}/{name}")
    for path in sorted(output.rglob("*")):
        if path.is_file():
            name = path.relative_to(output).as_posix()
            target.write(name, source.read(name))
    return target.root


def pictures(output: pathlib.Path) -> list[str]:
    return [
        path.relative_to(output).as_posix()
        for path in sorted((output / "images").rglob("*.jpg"))
    ]


def get(client, name):
    return client.ask(f"/{urllib.parse.quote(name)}")


@pytest.mark.parametrize("place", ["here", *STORES])
@pytest.mark.parametrize("layout", ["grid", "tree"])
def test_shards_show_what_files_show(request, stylized, place, layout):
    flags = ("--alpha", "0.5,1", "--layout", layout)
    files = stylized(*flags)
    names = pictures(files)
    assert len(names) == 12
    for number, output_format in enumerate(FORMATS):
        root = stylized(*flags, "--output-format", output_format)
        if place != "here":
            store = request.getfixturevalue(f"{place}_bucket")
            root = copied(root, store, f"out {number}")
        with serving(str(root)) as client:
            assert b'"done":12' in get(client, "gallery/index.html").body
            made = get(client, "gallery/pages/00000-000.js").body
            assert made == (files / "gallery/pages/00000-000.js").read_bytes()
            for name in names:
                answer = get(client, name)
                assert (answer.status, answer.body) == (
                    200,
                    (files / name).read_bytes(),
                )
                small = thumbnail_name(name)
                assert get(client, small).body == (files / small).read_bytes()


@pytest.mark.parametrize("name", STORES)
def test_a_gallery_in_a_bucket(request, stylized, name):
    files = stylized("--alpha", "0.5,1", "--layout", "grid")
    root = copied(files, request.getfixturevalue(f"{name}_bucket"), "a/b")
    with serving(root) as client:
        assert client.ask("/").getheader("Location") == "/gallery/index.html"
        for path in sorted((files / "gallery").rglob("*.*")):
            name = path.relative_to(files).as_posix()
            assert get(client, name).body == path.read_bytes()
        assert get(client, "../c.jpg").status == 404


@pytest.mark.parametrize("output_format", ["files", "webdataset"])
def test_a_store_that_fails_is_a_sentence(
    gs_bucket, stylized, monkeypatch, output_format, capfd
):
    monkeypatch.setenv(SECONDS_VARIABLE, "0")
    output = stylized("--output-format", output_format)
    root = copied(output, gs_bucket, "out")
    name = pictures(stylized("--output-format", "files"))[0]
    capfd.readouterr()
    with serving(root) as client:
        assert get(client, name).status == 200
        gs_bucket.proxy.fail(Fault(status=503), times=-1)
        answer = get(client, name)
        assert answer.status == 502
        assert b"It cannot be read: 503" in answer.body
        gs_bucket.proxy.reset()
        assert get(client, name).status == 200
    told = capfd.readouterr().err
    assert told.startswith(f"view: /{urllib.parse.quote(name)}: cannot be read: 503")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("how", "status"),
    [
        (signal.SIGKILL, -signal.SIGKILL),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGINT, 0),
    ],
)
def test_what_is_killed_leaves_nothing(stylized, tmp_path, files_of, how, status):
    output = stylized("--output-format", "webdataset")
    before = {**files_of(output), "job": (output / "job.json").read_bytes()}
    entries = sorted(output.rglob("*"))
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "view", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "HOME": str(tmp_path / "home"),
            "TMPDIR": str(tmp_path / "tmp"),
        },
        # What runs in the background of a shell ignores it, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process, contextlib.ExitStack() as until:
        # Else a process that does not end would be waited for here, too.
        until.callback(process.kill)
        url = process.stdout.readline()
        client = view_of(url)
        assert b"stylebeam" in get(client, "gallery/index.html").body
        assert get(client, "gallery/pages/00000-000.js").status == 200
        process.send_signal(how)
        told, remarks = process.communicate(timeout=60)
    assert process.returncode == status
    assert told == ""
    assert remarks == "view: Ctrl-C ends it\n"
    assert {**files_of(output), "job": (output / "job.json").read_bytes()} == before
    assert sorted(output.rglob("*")) == entries
    assert not [*(tmp_path / "home").iterdir(), *(tmp_path / "tmp").iterdir()]


def view_of(url: str):
    from view_client import Client

    return Client(urllib.parse.urlsplit(url.strip()).port)
