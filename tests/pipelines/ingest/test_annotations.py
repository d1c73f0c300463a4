"""`stylebeam ingest` with captions and lists as other programs write them."""

import json

import pyarrow.parquet as pq
import pytest

from pipelines import cli


@pytest.fixture
def run(tmp_path, photograph, capfd):
    """Return a runner of the command on pictures of given names."""

    def run_command(names, *flags):
        for seed, name in enumerate(names):
            photograph(tmp_path / "in" / "x.png", 32, 40, seed=seed).rename(
                tmp_path / "in" / name
            )
        argv = ["ingest", "--input", str(tmp_path / "in"), "--name", "a"]
        argv += ["--output", str(tmp_path / "out"), "--size", "32"]
        status = cli.main([*argv, "--max-failure-rate", "1", *flags])
        rows = {}
        if status == 0:
            table = pq.read_table(tmp_path / "out" / "manifest")
            rows = {row["key"]: row for row in table.to_pylist()}
        return status, capfd.readouterr().err, rows

    return run_command


def write_captions(path, images, captions, mark=b""):
    content = {
        "images": [{"id": i, "file_name": name} for i, name in images],
        "annotations": [{"image_id": i, "caption": c} for i, c in captions],
    }
    path.write_bytes(mark + json.dumps(content).encode())
    return str(path)


def test_what_cannot_be_written_of_one_image_stops_no_other(run, tmp_path):
    captions = write_captions(
        tmp_path / "captions.json",
        [(1, "a.png"), (2, "b.png"), (10**23, "c.png"), (4, "re\u0301.png")],
        [(1, "fine"), (2, "half \ud800"), (10**23, "lost"), (4, "found")],
        b"\xef\xbb\xbf",
    )
    names = ["a.png", "b.png", "c.png", "r\xe9.png"]
    status, err, rows = run(names, "--kind", "coco", "--captions", captions)
    assert status == 0
    assert "4 images = 2 accepted + 0 duplicate + 2 failed" in err
    assert rows["a.png"]["captions"] == ["fine"]
    assert rows["r\xe9.png"]["captions"] == ["found"]
    for key in ("b.png", "c.png"):
        assert rows[key]["reason"] == "bad_annotation"
    assert "lone surrogate" in rows["b.png"]["message"]
    assert "not a whole number of 64 bits" in rows["c.png"]["message"]


def test_the_reported_list_labels_a_flat_folder(tmp_path, capfd, shared):
    reports = shared / "data" / "reports"
    argv = ["ingest", "--input", str(reports / "wikiart-flat"), "--name", "a"]
    argv += ["--output", str(tmp_path / "out"), "--kind", "wikiart"]
    assert cli.main([*argv, "--wikiart-list", str(reports / "list-bom2.csv")]) == 0
    capfd.readouterr()
    (row,) = pq.read_table(tmp_path / "out" / "manifest").to_pylist()
    assert row["label"] == "Impressionism"


@pytest.mark.parametrize("flag", ["--captions", "--wikiart-list"])
def test_another_encoding_ends_the_run_before_anything_is_written(run, tmp_path, flag):
    path = tmp_path / "file"
    path.write_bytes("Cubism/a.png,7\n".encode("utf-16"))
    kind = "coco" if flag == "--captions" else "wikiart"
    status, err, _ = run(["a.png"], "--kind", kind, flag, str(path))
    assert status == 2
    assert "UTF-16" in err
    assert not (tmp_path / "out").exists()
