"""The doctor names what would break a run, and ends with 1 then."""

import json
import os
import pathlib
import sys

import pytest

from pipelines import cli
from pipelines.doctor import machine, networks, reach
from pipelines.doctor.findings import Finding


def marks(found) -> dict[str, str]:
    return {one.what: one.mark for one in found}


def texts(found) -> dict[str, str]:
    return {one.what: one.text for one in found}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str]:
    """Status and text of one whole run."""
    out = tmp_path_factory.mktemp("report") / "out.txt"
    with pytest.MonkeyPatch.context() as patch, out.open("w") as stream:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(networks, "_SECONDS_A_TYPE", 0.05)
        status = cli.main(["doctor"])
    return status, out.read_text()


def test_healthy_machine_is_told_so(report) -> None:
    status, text = report
    lines = {line[7:25].strip(): line for line in text.splitlines()}
    assert status == 0, text
    for what in ("stylebeam", "tensorflow", "python", "apache-beam", "keras", "gpu"):
        assert lines[what].startswith("ok "), lines[what]
    for what in ("bundle default", "bundle paper", "weights of vgg16", "bfloat16"):
        assert lines[what].startswith("ok "), lines[what]
    assert lines["FnApiRunner"].startswith("ok ")
    assert "pip install" in lines["DaskRunner"] or lines["DaskRunner"].startswith("ok")
    assert "pay" in lines["bfloat16"]
    assert os.path.expanduser("~") + "/" not in text


def test_what_is_wrong_makes_the_status(monkeypatch, capsys, tmp_path) -> None:
    for room in ("machine", "networks", "engines"):
        monkeypatch.setattr(f"pipelines.doctor.job.look_at_{room}", tuple)
    (tmp_path / "a.png").touch()

    assert cli.main(["doctor", "--check", str(tmp_path)]) == 0
    assert cli.main(["doctor", "--check", str(tmp_path), f"{tmp_path}/gone"]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[0].startswith("ok     place")
    assert said.out.splitlines()[2].startswith("wrong  place")
    assert "No such file" in said.out.splitlines()[2]
    assert said.err.splitlines()[-1].startswith("doctor: 1 wrong; a bug report")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("https://a/b", "https:// is not supported"),
        ("gs://", "names no bucket"),
        ("s3://key:secret@bucket/x", "has a signature or a user"),
    ],
)
def test_places_that_cannot_be_reached_are_named(place: str, said: str) -> None:
    (finding,) = reach.look_at_places([place])
    assert finding.mark == "wrong"
    assert said in finding.text
    assert "secret" not in finding.line()


def test_place_is_looked_at_as_a_run_takes_it(tmp_path: pathlib.Path) -> None:
    url, odd = f"file://{tmp_path}", "a\0b"
    found = [(f.mark, f.text) for f in reach.look_at_places([url, odd])]
    assert found[0] == ("ok", f"{url}: can be listed, 0 files")
    assert found[1][0] == "wrong"


def test_bucket_is_listed(monkeypatch) -> None:
    from memory_bucket import MemoryBucket

    bucket = MemoryBucket("gs://b")
    monkeypatch.setattr(reach, "locate", lambda url: (bucket, ""))
    monkeypatch.setattr("transforms.storage.folder.locate", lambda url: (bucket, "x"))
    (finding,) = reach.look_at_places(["gs://b/x"])
    assert (finding.mark, finding.text) == ("ok", "gs://b/x: can be listed, 0 files")


def test_damaged_weights_are_wrong(monkeypatch, tmp_path: pathlib.Path) -> None:
    import model.bundle
    from model.networks import weights

    (tmp_path / "bundle.json").write_text("{}")
    monkeypatch.setitem(model.bundle.PACKAGED, "paper", str(tmp_path))
    monkeypatch.setattr(weights, "PRETRAINED", tmp_path)
    (tmp_path / "vgg16.npz").write_bytes(b"x")
    (tmp_path / "vgg16.json").write_text('{"sha256": "0"}')
    found = marks(networks._weights())
    assert found == {
        "bundle default": "ok",
        "bundle paper": "wrong",
        "weights of vgg16": "wrong",
    }


def test_keras_of_other_programs_is_noted(monkeypatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    settings = {"backend": "torch", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    (finding,) = networks._environment()
    assert finding.mark == "note"
    for said in ("KERAS_BACKEND=jax", "backend torch", "channels_first"):
        assert said in finding.text
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    for text in ("{}", "[]", "no json"):
        (tmp_path / "keras.json").write_text(text)
        assert list(networks._environment()) == []


def test_limits_of_a_container_count(monkeypatch) -> None:
    files = {
        "/proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n",
        "/sys/fs/cgroup/memory.max": f"{1 << 30}\n",
        "/sys/fs/cgroup/cpu.max": "50000 100000\n",
    }
    monkeypatch.setattr(machine, "_text", lambda path: files.get(path, ""))
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {0, 1})
    memory, cores = machine._memory(), machine._cores()
    assert memory.mark == "note"
    assert memory.text.startswith("1.0 GiB, the limit of this container, of 16.0 GiB")
    assert cores.text.startswith("2, of which this container may use 0.5; ")
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    files["/sys/fs/cgroup/cpu.max"] = "max 100000\n"
    assert machine._memory() == Finding("ok", "memory", "16.0 GiB; 8.0 GiB are free")
    assert machine._cores().mark == "ok"
    files.clear()
    assert machine._memory().mark == "note"


def test_engine_without_its_extra_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    found = texts(reach.look_at_engines())
    assert "pip install 'stylebeam[dask]'" in found["DaskRunner"]
    assert found["DaskRunner"].startswith("it needs packages")


def test_home_of_the_user_is_not_told(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    line = Finding("ok", "python", "3, /home/me/venv\nx").line()
    assert line == "ok     python              3, ~/venv x"
    # Another one's is another place.
    line = Finding("ok", "python", "/home/melanie /home/me. /home/me.old").line()
    assert line == "ok     python              /home/melanie ~. /home/me.old"
