"""Exports in a bucket: whole for every reader at every moment."""

import pathlib

import pytest

from model.bundle import load_bundle
from transforms.storage.bundle_folder import is_taken, save_bundle, written_whole
from transforms.storage.files import read_file
from transforms.storage.folder import OutputFolder


@pytest.fixture(params=["gs", "s3"])
def url(request):
    return f"{request.getfixturevalue(f'{request.param}_bucket').url}/out/bundle"


def test_bundle_is_that_of_a_disk(url, tiny_bundle, tmp_path):
    save_bundle(tiny_bundle, url)
    tiny_bundle.save(tmp_path)
    output = OutputFolder(url)
    assert output.names("") == sorted(path.name for path in tmp_path.iterdir())
    for path in tmp_path.iterdir():
        assert output.read(path.name) == path.read_bytes()
    assert load_bundle(url, read_file).bundle_id == tiny_bundle.bundle_id


def test_whoever_reads_meanwhile_finds_a_whole_one(
    url, tiny_bundle, level_bundles, monkeypatch
):
    save_bundle(tiny_bundle, url)
    other = level_bundles("linear")
    seen = []
    for change in ("write", "delete"):
        made = getattr(OutputFolder, change)

        def watched(*args, made=made):
            made(*args)
            seen.append(load_bundle(url, read_file).bundle_id)

        monkeypatch.setattr(OutputFolder, change, watched)
    save_bundle(other, url)
    assert len(seen) == 7
    assert set(seen) == {tiny_bundle.bundle_id, other.bundle_id}
    assert seen[-1] == other.bundle_id


def test_folder_is_copied_up_its_first_file_last(url, monkeypatch):
    order = []
    create = OutputFolder.create
    monkeypatch.setattr(
        OutputFolder,
        "create",
        lambda self, name: order.append(name) or create(self, name),
    )
    with written_whole(f"{url}/model") as folder:
        for name in ("saved_model.pb", "variables/b", "variables/a"):
            OutputFolder(folder).write(name, name.encode())
    # Those of the block were written on the disk.
    copied = [name for name in order if name.startswith("model/")]
    assert copied[:2] == ["model/variables/a", "model/variables/b"]
    assert copied[-1] == "model/saved_model.pb"
    assert OutputFolder(url).read("model/variables/b") == b"variables/b"


def test_file_is_copied_up(url):
    with written_whole(f"{url}/decoder.weights.h5") as file:
        pathlib.Path(file).write_bytes(b"weights")
    assert OutputFolder(url).names("") == ["decoder.weights.h5"]


def test_nothing_is_copied_of_what_failed(url):
    def fail():
        with written_whole(f"{url}/model") as folder:
            OutputFolder(folder).write("saved_model.pb", b"half")
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fail()
    assert OutputFolder(url).names("model") == []


def test_local_file_and_folder_get_their_names_when_they_are_whole(tmp_path):
    for name, inside in (("new/m.onnx", ""), ("new/model", "variables/a")):
        path = tmp_path / name
        with written_whole(str(path)) as place:
            written = pathlib.Path(place, inside)
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_bytes(b"bytes")
            assert not path.exists()
        assert (path / inside).read_bytes() == b"bytes"
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["m.onnx", "model"]


def test_nothing_is_left_of_a_local_one_that_failed(tmp_path):
    def fail():
        with written_whole(str(tmp_path / "model")) as folder:
            OutputFolder(folder).write("saved_model.pb", b"half")
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_taken(url, tmp_path):
    assert not is_taken(f"{url}/model", folder=True)
    OutputFolder(url).write("model/saved_model.pb", b"bytes")
    OutputFolder(url).write("m.onnx", b"bytes")
    assert is_taken(f"{url}/model", folder=True)
    assert is_taken(f"{url}/m.onnx", folder=False)
    folder = tmp_path / "model"
    assert not is_taken(str(folder), folder=True)
    folder.mkdir()
    assert not is_taken(str(folder), folder=True)
    assert is_taken(str(folder), folder=False)
    (folder / "saved_model.pb").write_bytes(b"bytes")
    assert is_taken(str(folder), folder=True)
    assert is_taken(str(folder / "saved_model.pb"), folder=True)
