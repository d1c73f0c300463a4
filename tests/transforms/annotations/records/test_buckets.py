"""Data sets of records and of our own in a bucket of a real server of its kind."""

import functools
import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import small_pictures

from pipelines import cli
from pipelines.command.inputs import list_pictures
from transforms.inputs.reading import read_image
from transforms.storage.folder import OutputFolder

picture = functools.partial(small_pictures.png_of, size=(48, 40))


def write_shards(folder):
    """Write a shard of WebDataset and a file of Parquet of the same two pictures."""
    folder.mkdir()
    with tarfile.open(folder / "train-0.tar", "w") as tar:
        for number in range(2):
            about = json.dumps({"label": f"class {number}"}).encode()
            for name, data in (("png", picture(number)), ("json", about)):
                info = tarfile.TarInfo(f"{number}.{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    cells = [{"bytes": picture(number), "path": None} for number in range(2)]
    table = pa.table({"image": cells, "label": ["class 0", "class 1"]})
    pq.write_table(table, folder / "train-0.parquet", row_group_size=1)


def test_each_is_an_input(gs_bucket, tmp_path):
    write_shards(tmp_path / "in")
    argv = ["ingest", "--input", f"webdataset:{tmp_path / 'in'}", "--name", "a"]
    argv += ["--output", str(tmp_path / "set"), "--encode", "keep", "--size", "0"]
    assert cli.main(argv) == 0
    for folder in ("in", "set"):
        output = OutputFolder(f"{gs_bucket.url}/{folder}")
        for path in (tmp_path / folder).rglob("*"):
            if path.is_file():
                name = str(path.relative_to(tmp_path / folder))
                output.write(name, path.read_bytes())
    url = gs_bucket.url
    for argument, keys in (
        (f"webdataset:{url}/in", ["train-0.tar/0.png", "train-0.tar/1.png"]),
        (f"{url}/in/*.tar", ["train-0.tar/0.png", "train-0.tar/1.png"]),
        (f"parquet:{url}/in", [f"train-0.parquet/00000{n}" for n in range(2)]),
        (f"{url}/set", ["train-0.tar/0.png", "train-0.tar/1.png"]),
    ):
        found = list_pictures("--content", [argument], str(tmp_path / "out"), "x")
        refs = sorted(found.listing.refs(), key=lambda ref: ref.key)
        assert [ref.key for ref in refs] == keys
        assert [read_image(ref) for ref in refs] == [picture(n) for n in range(2)]
        labels = [found.index.read(ref.about).label for ref in refs]
        assert labels == ["class 0", "class 1"]
