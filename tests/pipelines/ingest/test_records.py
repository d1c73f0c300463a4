"""WebDataset, Parquet and TFDS through `ingest`: classes, boxes, splits, balances."""

import functools
import io
import json
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_pictures

from pipelines import cli
from pipelines.command.inputs import list_pictures
from pipelines.ingest import job
from pipelines.ingest.config import IngestConfig
from transforms.images.decoder import decode_image
from transforms.inputs.reading import read_image
from transforms.storage.folder import OutputFolder

picture = functools.partial(small_pictures.png_of, size=(48, 40))


def write_tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            data = (
                content if isinstance(content, bytes) else json.dumps(content).encode()
            )
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def boxes(*found):
    items = [{"bbox": box, "category": "face"} for box in found]
    return {"objects": items, "width": 48, "height": 40}


@pytest.fixture
def shards(tmp_path):
    """Write shards of WebDataset with good and bad samples."""
    write_tar(
        tmp_path / "wds" / "train-0.tar",
        [
            ("a.png", picture(1)),
            ("a.cls", b"1"),
            ("a.json", boxes([4, 8, 12, 16], [0, 0, 0, 1])),
            ("b.cls", b"0"),  # out of order
            ("c.cls", b"1"),  # no picture
            ("b.png", picture(2)),
        ],
    )
    write_tar(
        tmp_path / "wds" / "val-1.tar",
        [
            ("a.png", picture(3)),
            ("a.cls", b"0"),
            ("bad.png", picture(4)),
            ("bad.json", b"{"),
            ("twice.png", picture(5)),
            ("twice.cls", b"0"),
            ("twice.cls", b"1"),
        ],
    )
    return f"webdataset:{tmp_path / 'wds'}"


@pytest.fixture
def run(tmp_path, capfd):
    """Return a runner of `ingest`; it returns status and stderr."""

    def ingest(*inputs, flags=(), output="out"):
        argv = ["ingest", "--input", *map(str, inputs), "--name", "a", "--shards", "1"]
        argv += ["--output", str(tmp_path / output), "--max-failure-rate", "1"]
        return cli.main([*argv, *flags]), capfd.readouterr().err

    return ingest


def rows_of(folder):
    return {row["key"]: row for row in pq.read_table(folder / "manifest").to_pylist()}


def test_webdataset_with_all_that_can_be_wrong_with_it(run, shards, tmp_path):
    status, err = run(shards, flags=["--split-from", "tfds", "--size", "0"])
    assert status == 0, err
    assert "5 images = 3 accepted + 0 duplicate + 2 failed" in err
    assert "3 annotations = 1 kept + 0 of images that are left out + 2 failed" in err
    assert "the sample 'c' has .cls and no picture" in err
    rows = rows_of(tmp_path / "out")
    assert set(rows) == {
        "train-0.tar/a.png",
        "train-0.tar/b.png",
        *(f"val-1.tar/{name}.png" for name in ("a", "bad", "twice")),
    }
    row = rows["train-0.tar/a.png"]
    assert (row["label"], row["label_index"], row["split"]) == ("1", 1, "train")
    assert [item["box"] for item in row["objects"]] == [[4, 8, 12, 16]]
    assert rows["train-0.tar/b.png"]["label"] == "0"
    assert rows["val-1.tar/a.png"]["split"] == "val"
    for name, problem in (("bad", "not JSON"), ("twice", "twice")):
        row = rows[f"val-1.tar/{name}.png"]
        assert (row["reason"], problem in row["message"]) == ("bad_annotation", True)
    bad = pq.read_table(tmp_path / "out/bad_annotations.parquet").to_pylist()
    assert len(bad) == 2
    # Again nothing is done; a label that changes is another data set.
    assert run(shards, flags=["--split-from", "tfds", "--size", "0"])[0] == 0
    path = tmp_path / "wds" / "train-0.tar"
    path.write_bytes(path.read_bytes().replace(b"[4, 8, 12", b"[5, 8, 12"))
    status, err = run(shards, flags=["--split-from", "tfds", "--size", "0"])
    assert status == 2
    assert "known" in err


def test_parquet_with_rows_that_are_no_pictures(run, tmp_path):
    cells = [picture(1), None, b"no picture", picture(2)]
    table = pa.table(
        {
            "image": [{"bytes": data, "path": None} for data in cells],
            "label": [0, 1, 1, 1],
        }
    )
    names = {"names": ["cat", "dog"], "_type": "ClassLabel"}
    about = {"info": {"features": {"image": {"_type": "Image"}, "label": names}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=2)
    status, err = run(tmp_path / "p.parquet")
    assert status == 0, err
    assert "4 images = 2 accepted + 0 duplicate + 2 failed" in err
    rows = rows_of(tmp_path / "out")
    assert {key: row["reason"] for key, row in rows.items()} == {
        "p.parquet/000000": None,
        "p.parquet/000001": "empty_file",
        "p.parquet/000002": "not_an_image",
        "p.parquet/000003": None,
    }
    assert (tmp_path / "out/label.labels.txt").read_text() == "cat\ndog\n"
    assert rows["p.parquet/000003"]["label"] == "dog"
    # What ingest made of it is Parquet no more, and is read by its manifest.
    status, err = run(tmp_path / "out", output="again")
    assert (status, "2 images = 2 accepted" in err) == (0, True)


def test_a_data_set_in_a_bucket_is_an_input(run, shards, tmp_path, memory_bucket):
    assert run(shards, flags=["--size", "0"])[0] == 0
    memory_bucket.objects = {
        f"set/{path.relative_to(tmp_path / 'out')}": path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    found = list_pictures("--content", ["gs://b/set"], "elsewhere", "x")
    assert (found.listing.count, found.classes) == (3, ("0", "1"))
    for ref in found.listing.refs():
        number = {"train-0.tar/a.png": 1, "train-0.tar/b.png": 2}.get(ref.key, 3)
        pixels = decode_image(read_image(ref)).pixels
        expected = decode_image(picture(number)).pixels
        assert np.abs(pixels.astype(int) - expected).mean() < 20
        assert found.index.read(ref.about).label == ("1" if number == 1 else "0")


def test_what_ends_a_job_travels_to_where_it_ends(shards, tmp_path):
    config = IngestConfig(input=(shards,), output=str(tmp_path / "out"), name="a")
    made = job.plan(config)
    made.listing.write(OutputFolder(str(tmp_path / "out")))
    there = pickle.loads(pickle.dumps(job._at_end(made)))
    assert there.annotated.annotations == 3
    assert len(job.balances(there, {})) == 3


def test_an_input_inside_the_output_is_refused(run, tmp_path):
    write_tar(tmp_path / "out" / "0.tar", [("a.png", picture(1))])
    status, err = run(f"webdataset:{tmp_path / 'out'}")
    assert status == 2
    assert "lies inside" in err
