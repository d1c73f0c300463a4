"""Whole commands whose inputs and outputs are in buckets, and what goes wrong there."""

import json
import os
import pathlib
import re
import subprocess
import sys
from urllib.parse import quote

import pytest
from emulators import STORES
from fault_proxy import Fault

from pipelines import cli
from transforms.buckets.patience import SECONDS_VARIABLE
from transforms.storage.folder import OutputFolder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(params=STORES)
def store(request, monkeypatch):
    monkeypatch.setenv(SECONDS_VARIABLE, "20")
    return request.getfixturevalue(f"{request.param}_bucket")


@pytest.fixture
def work(tmp_path, photograph, tiny_bundle, monkeypatch):
    """Write inputs into a folder and go there."""
    for name in ("photos/a.png", "photos/b.png", "photos/d/c.png", "styles/s.png"):
        photograph(tmp_path / name, 48, 48, seed=sum(name.encode()))
    photograph(tmp_path / "styles/t.png", 40, 56, seed=5)
    tiny_bundle.save(tmp_path / "net")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def place(store, work):
    """Copy the inputs into the bucket, and return what gives its URLs."""
    bucket, here = OutputFolder(store.url), OutputFolder(".")
    for folder in ("photos", "styles", "net"):
        for name in here.below(folder):
            bucket.write(name, here.read(name))
    store.proxy.reset()
    return lambda name: f"{store.url}/{name}"


@pytest.fixture
def run(capfd):
    """Return a runner of a command; it returns status and stderr."""

    def run_command(*argv):
        status = cli.main(list(argv))
        return status, capfd.readouterr().err

    return run_command


def stylize(place, output="out", *flags):
    return (
        *("stylize", "--content", place("photos"), "--style", place("styles")),
        *("--bundle", place("net"), "--output", place(output), *flags),
    )


def commands(place):
    """Return each command that writes an output, twice: as it is, and otherwise."""
    layers = ("--layers", "block1_conv1", "--channels", "top:1", "--size", "32")
    photo, style = place("photos/a.png"), place("styles/s.png")
    gatys = ("--content", photo, "--style", style, "--pyramid", "1", "--size", "32")
    ingest = ("ingest", "--input", place("photos"), "--name", "d")
    look = ("visualize", "--input", place("photos"), *layers)
    judge = ("evaluate", "--content", place("photos"), "--style", place("styles"))
    return {
        "stylize": (
            stylize(place)[:-2],
            (*stylize(place)[:-2], "--layout", "tree", "--format", "jpg"),
        ),
        "ingest": (
            (*ingest, "--shards", "3"),
            (*ingest, "--shards", "2", "--size", "32"),
        ),
        "visualize": (look, (*look, "--no-randomization-check")),
        "optimize": (
            ("optimize", *gatys, "--steps", "2"),
            ("optimize", *gatys, "--steps", "1"),
        ),
        "evaluate": (
            (*judge, "--bundle", place("net"), "--size", "32"),
            (*judge, "--bundle", place("net"), "--size", "48"),
        ),
    }


def files_of(folder):
    output = OutputFolder(folder)
    return {
        name: output.read(name)
        for name in [*output.names(""), *_folders(output)]
        if name != "job.json"
    }


def timings_of(folder):
    """Return what job.json has seconds of, which workers told while they worked."""
    # A network is loaded once a process.
    return {*OutputFolder(folder).read_json("job.json")["timings"]} - {
        "startup_seconds"
    }


def _folders(output):
    return [name for name in _all(output) if "/" in name]


def _all(output):
    # `below` needs a folder: the output itself is one of its parent.
    parent, _, last = output.root.rpartition("/")
    for name in OutputFolder(parent).below(last):
        yield name.removeprefix(f"{last}/")


def photo_of(store, name="a.png"):
    """Return what is in the path of requests that read a photograph."""
    path = f"photos/{name}"
    return {"gs": f"/o/{quote(path, '')}", "s3": f"/{store.name}/{path}"}[
        store.emulator.scheme
    ]


JOBS = ["stylize", "ingest", "visualize", "optimize", "evaluate"]


@pytest.mark.parametrize(
    ("store", "job"),
    # The bytes of the other three go the same way to either store.
    [*(("gs", job) for job in JOBS), ("s3", "stylize"), ("s3", "ingest")],
    indirect=["store"],
)
def test_a_command_writes_what_it_writes_on_a_disk(store, place, run, job):
    first, second = commands(place)[job]
    local, local_second = commands(lambda name: name)[job]
    output = OutputFolder(place("out"))

    def check(*argv, local):
        beside = f"runs/{len(list(pathlib.Path().glob('runs/*')))}"
        status, err = run(*argv, "--output", place("out"))
        assert status == 0, err
        status, err = run(*local, "--output", beside)
        assert status == 0, err
        ours, theirs = files_of(place("out")), files_of(beside)
        assert ours.keys() - set(strangers) == theirs.keys()
        assert [name for name in theirs if ours[name] != theirs[name]] == []
        assert all(ours[name] == b"mine" for name in strangers)
        assert timings_of(place("out")) == timings_of(beside)
        return ours

    strangers = []
    made = check(*first, local=local)
    status, err = run(*first, "--output", place("out"))
    assert status == 0, err
    assert files_of(place("out")) == made
    if job == "evaluate":
        return  # It makes everything anew without being told.
    strangers = ["notes.txt", "images-of-mine/a.png", "gallery2/index.html"]
    for name in strangers:
        output.write(name, b"mine")
    beside = OutputFolder(place("out-2"))
    beside.write("job.json", b"mine")
    check(*second, "--overwrite", local=local_second)
    assert beside.read("job.json") == b"mine"
    assert list(output.below(".replaced")) == []


class TestPlaces:
    def test_a_strangers_folder_is_seen_and_kept(self, place, run):
        output = OutputFolder(place("out"))
        output.write("images/mine.png", b"mine")
        for flags in ((), ("--overwrite",)):
            status, err = run(*stylize(place, "out", *flags))
            assert status == 2
            assert "holds images but no job.json" in err
        assert files_of(place("out")) == {"images/mine.png": b"mine"}

    def test_names_that_look_like_patterns_are_found(self, store, place, run):
        bucket = OutputFolder(store.url)
        picture = bucket.read("photos/a.png")
        for name in ("odd/a[1].png", "odd/b*.png", "odd/c d%20#?.png"):
            bucket.write(name, picture)
        status, err = run(
            *("ingest", "--input", place("odd"), "--name", "d"),
            *("--output", place("out[1]")),
        )
        assert status == 0, err
        assert "3 images" in err or "3 files" in err
        status, err = run(
            *("ingest", "--input", place("odd/a[1].png"), "--name", "d"),
            *("--output", place("out2")),
        )
        assert status == 0, err

    def test_a_run_that_ends_half_way_goes_on(self, store, place, run, monkeypatch):
        monkeypatch.setenv(SECONDS_VARIABLE, "0.2")
        if store.emulator.scheme == "gs":
            store.proxy.fail(Fault(503), times=-1, path="/upload/", skip=8)
        else:
            store.proxy.fail(Fault(503), times=-1, method="PUT", skip=8)
        # A process of its own: that it is over is how the next run knows.
        ended = subprocess.run(
            [sys.executable, "-m", "pipelines", *stylize(place)],
            env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1, ended.stderr
        assert "cannot be written: 503" in ended.stderr
        assert "the same command goes on" in ended.stderr
        store.proxy.reset()
        monkeypatch.setenv(SECONDS_VARIABLE, "20")
        status, err = run(*stylize(place))
        assert status == 0, err
        status, err = run(*stylize(place, "fresh"))
        made, fresh = files_of(place("out")), files_of(place("fresh"))
        assert made == fresh
        assert list(OutputFolder(place("out")).below(".tmp")) == []


class TestBadInput:
    @pytest.mark.parametrize("flag", ["content", "output"])
    def test_a_missing_bucket_is_one_line(self, store, place, run, flag):
        argv = list(stylize(place))
        where = argv.index(f"--{flag}") + 1
        argv[where] = f"{store.url}-nowhere/x"
        self.is_refused(run, argv, "there is no such bucket")

    @pytest.mark.parametrize("flag", ["content", "output", "bundle"])
    def test_no_permission_is_one_line(self, store, place, run, flag):
        name = {"content": "photos", "output": "out", "bundle": "net"}[flag]
        store.proxy.fail(Fault(403), times=-1, path=name)
        self.is_refused(run, stylize(place), "permission denied (403")

    def test_no_credentials_are_one_line(self, store, place, run, monkeypatch):
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        if store.emulator.scheme == "gs":
            # The emulator asks nobody who he is; the store says 401.
            store.proxy.fail(Fault(401), times=-1)
            self.is_refused(run, stylize(place), "application-default login")
        else:
            self.is_refused(run, stylize(place), "no AWS credentials", "aws configure")

    def is_refused(self, run, argv, *texts):
        status, err = run(*argv)
        assert status == 2, err
        assert err.count("\n") == 1, err
        for text in texts:
            assert text in err
        assert not re.search(r"\[Errno|Error:|Traceback", err)

    def test_what_is_gone_after_the_listing_is_a_row(self, store, place, run):
        bucket = OutputFolder(store.url)
        gone = lambda: bucket.delete("photos/b.png")  # noqa: E731
        store.proxy.fail(Fault(before=gone), path=photo_of(store), method="GET")
        status, err = run(*stylize(place, "out", "--max-failure-rate", "0.5"))
        assert status == 0, err
        failures = self.failures(place)
        assert [(row["key"], row["reason"]) for row in failures] == [
            ("b.png", "not_found")
        ]

    def test_what_is_replaced_after_the_listing_is_read_whole(self, store, place, run):
        bucket = OutputFolder(store.url)
        other = bucket.read("styles/t.png")
        change = lambda: bucket.write("photos/b.png", other)  # noqa: E731
        store.proxy.fail(Fault(before=change), path=photo_of(store), method="GET")
        status, err = run(*stylize(place))
        assert status == 0, err

    def test_an_input_store_that_goes_away_is_rows(
        self, store, place, run, monkeypatch
    ):
        monkeypatch.setenv(SECONDS_VARIABLE, "0.2")
        for name in ("a.png", "b.png", "d/c.png"):
            store.proxy.fail(
                Fault(503), times=-1, path=photo_of(store, name), method="GET"
            )
        status, err = run(*stylize(place))
        assert status == 1
        assert "Traceback" not in err
        assert {row["reason"] for row in self.failures(place)} == {"unreadable"}

    def failures(self, place):
        output = OutputFolder(place("out"))
        import pyarrow.parquet as pq

        from transforms.storage import files

        rows = []
        for name in output.names("failures"):
            with files.open_file(output.path(name)) as file:
                rows += pq.read_table(file).to_pylist()
        return rows

    @pytest.mark.parametrize("url", ["hdfs://h/x", "azfs://a/b/x", "ftp://h/x"])
    @pytest.mark.parametrize("flag", ["--content", "--output"])
    def test_another_scheme_names_the_supported_ones(self, place, run, url, flag):
        argv = list(stylize(place))
        argv[argv.index(flag) + 1] = url
        self.is_refused(run, argv, "file://", "gs://", "s3://")


def test_file_urls_are_paths(work, run):
    status, err = run(*stylize(lambda name: f"file://{work}/{name}", "out"))
    assert status == 0, err
    assert (work / "out" / "job.json").exists()
    told = json.loads((work / "out" / "job.json").read_text())
    assert told["config"]["output"] == f"{work}/out"
