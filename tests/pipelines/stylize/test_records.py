"""WebDataset, Parquet and our own shards as contents of `stylize`."""

import functools
import io
import json
import tarfile

import pyarrow.parquet as pq
import pytest
import small_pictures

from pipelines import cli
from pipelines.command.inputs import list_inputs, list_pictures

picture = functools.partial(small_pictures.png_of, size=(48, 40))


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            data = (
                content if isinstance(content, bytes) else json.dumps(content).encode()
            )
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def about(box, width=48, height=40):
    objects = [{"bbox": box, "category": "face", "id": 3}]
    return {"objects": objects, "width": width, "height": height, "label": "cat"}


@pytest.fixture
def world(tmp_path, tiny_bundle):
    write_tar(
        tmp_path / "in.tar",
        [
            ("a.png", picture(1)),
            ("a.json", about([4, 8, 12, 16])),
            ("bad.png", picture(2)),
            ("bad.json", b"{"),
            ("stored.png", picture(3, orientation=6)),
            ("stored.json", about([4, 8, 12, 16])),
            ("upright.png", picture(4, orientation=6)),
            ("upright.json", about([4, 8, 12, 16], 40, 48)),
        ],
    )
    (tmp_path / "style.png").write_bytes(picture(9))
    tiny_bundle.save(tmp_path / "bundle")
    return tmp_path


def run(world, capfd, content, *flags, output="out"):
    argv = ["stylize", "--content", str(content), "--style", str(world / "style.png")]
    argv += ["--bundle", str(world / "bundle"), "--output", str(world / output)]
    status = cli.main([*argv, "--format", "png", "--max-failure-rate", "1", *flags])
    return status, capfd.readouterr().err


def rows_of(folder):
    table = pq.read_table(folder / "manifest")
    return {row["content_key"]: row for row in table.to_pylist()}


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_objects_go_through_and_come_back(world, capfd, format):
    content = world / "in.tar"  # detected: one picture a sample
    status, err = run(world, capfd, content, "--output-format", format)
    assert status == 0, err
    # That of the picture that would be turned is lost with it.
    told = "3 annotations = 2 kept + 0 of images that are left out + 1 failed"
    assert told in err
    failures = pq.read_table(world / "out" / "failures").to_pylist()
    told = {row["key"]: (row["reason"], row["message"]) for row in failures}
    assert set(told) == {"bad.png", "stored.png"}
    assert {reason for reason, _ in told.values()} == {"bad_annotation"}
    assert "not JSON" in told["bad.png"][1]
    assert "Ingest the pictures first" in told["stored.png"][1]
    rows = rows_of(world / "out")
    assert set(rows) == {"a.png", "upright.png"}
    for row in rows.values():
        (item,) = row["annotation"]["objects"]
        assert (item["box"], item["category"], item["id"]) == (
            [4, 8, 12, 16],
            "face",
            3,
        )
        assert row["annotation"]["label"] == "cat"
    # The output as an input, by its manifest and by its shards alone.
    suffix = "tar" if format == "webdataset" else "parquet"
    (shard,) = (world / "out" / "shards").glob(f"*.{suffix}")
    (world / "alone").mkdir()
    (world / "alone" / shard.name).write_bytes(shard.read_bytes())
    (world / "alone" / "labels.txt").write_text("cat\n")
    for place in (world / "out", world / "alone" / shard.name):
        found = list_pictures("--content", [str(place)], "elsewhere", "x")
        assert (found.listing.count, found.classes) == (2, ("cat",))
        assert [c.name for c in found.categories] == ["face"]
        for ref in found.listing.refs():
            said = found.index.read(ref.about)
            assert (said.label, said.label_index) == ("cat", 0)
            assert [item.box for item in said.objects] == [(4, 8, 12, 16)]
    # Commands that have no use for annotations take the same.
    shards = f"{suffix.replace('tar', 'webdataset')}:{world / 'alone'}"
    assert list_inputs("--input", [shards], "elsewhere").count == 2


@pytest.mark.slow
def test_again_nothing_is_done_and_a_changed_shard_is_noticed(world, capfd):
    assert run(world, capfd, world / "in.tar")[0] == 0
    status, err = run(world, capfd, world / "in.tar")
    assert "2 kept" in err
    path = world / "in.tar"
    path.write_bytes(path.read_bytes().replace(b'"cat"', b'"dog"', 1))
    status, err = run(world, capfd, path)
    assert (status, "1 done + 1 kept" in err) == (0, True), err
    assert rows_of(world / "out")["a.png"]["annotation"]["label"] == "dog"
