"""Pages and pictures of an output that has shards and no gallery."""

import json
import re

import pytest

from transforms.shards.picture_shards import ShardPacker
from transforms.shards.shard_gallery import ShardGallery
from transforms.stylize import gallery as pages
from transforms.stylize.gallery import write_pages
from transforms.stylize.manifest import MANIFEST_TABLE, picture_file

KEYS = [f"photo {number}" for number in range(9)]


def picture(key, style="s"):
    return f"the picture {key} {style}".encode()


@pytest.fixture
def waiting(manifest, monkeypatch):
    """A manifest in two parts, its pictures in the journal, one of them failed."""
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "write", lambda: None)
        for key in KEYS:
            manifest.add(key, picture(key))
        manifest.add(KEYS[0], picture(KEYS[0], "t"), style="t")
        manifest.add("failed", None)
    manifest.write()
    return manifest


@pytest.fixture
def packed(waiting):
    pack(waiting, "webdataset")
    return waiting


def pack(manifest, output_format):
    for number, part in enumerate(manifest.parts):
        rows = list(MANIFEST_TABLE.rows(manifest.output, part))
        if output_format == "tfrecord":
            rows = list(_copied(manifest.output, number, rows))
        else:
            rows = list(ShardPacker(output_format).pack(manifest.output, number, rows))
        assert rows
        MANIFEST_TABLE.write(manifest.output, part, rows)
    manifest.output.delete(MANIFEST_TABLE.journal)


def _copied(output, number, rows):
    """Yield rows of pictures that stand in one file as those of TFRecord do."""
    data, name = b"", f"shards/stylized-train-0.tfrecord-{number:05d}-of-00002"
    for row in rows:
        if row["status"] == "done":
            data += b"frame"
            row = {**row, "shard": name, "offset": len(data)}
            data += picture(row["content_key"], row["styles"][0]["id"])
        yield row
    output.write(name, data)


@pytest.fixture
def gallery(packed):
    return ShardGallery(packed.output, "png", "0123456789ab")


def index_of(html):
    return json.loads(re.search(rb'id="data">(.*?)</script>', html)[1])


def test_pages_are_those_that_a_gallery_in_files_has(packed, gallery, monkeypatch):
    monkeypatch.setattr(pages.split_pages, "__defaults__", (2, 5000))
    index = index_of(gallery.index())
    assert index["previews"] is False
    assert index["done"] == 10
    names = [row[0] for row in index["pages"]["rows"]]
    assert len(names) > 4
    made = {name: gallery.script(f"gallery/pages/{name}.js") for name in names}
    written = {
        page.name: packed.output.read(page.file)
        for part in packed.parts
        for page in write_pages(part, packed.output)
    }
    assert made == written
    assert gallery.script("gallery/pages/00000-999.js") is None
    assert gallery.script("gallery/index.html") is None


def test_a_script_needs_no_index(gallery):
    assert gallery.script("gallery/pages/00000-000.js").startswith(b"stylebeam.page(")


@pytest.mark.parametrize(
    ("output_format", "held"), [("webdataset", 1), ("parquet", 4), ("tfrecord", 4)]
)
def test_each_picture_is_found_in_its_shard(waiting, monkeypatch, output_format, held):
    monkeypatch.setattr("transforms.shards.shard_gallery._PARTS_HELD", held)
    pack(waiting, output_format)
    gallery = ShardGallery(waiting.output, "png", "")
    for key in KEYS:
        place = gallery.picture(f"images/{key}/s.png")
        assert place.name.startswith("shards/")
        assert place.read_intact(waiting.output) == picture(key)
    assert len(gallery._places) <= held
    for name in ("images/failed/s.png", "images/x", "job.json", place.name, ""):
        assert gallery.picture(name) is None


def test_a_part_is_guessed_of_the_folder(packed, gallery):
    gallery.index()
    for part in packed.parts:
        for row in MANIFEST_TABLE.rows(packed.output, part):
            assert gallery._likely(f"images/{row['content_id']}/x.png")[0] == part


def test_pictures_of_a_page_are_looked_for_in_its_part(packed, gallery, monkeypatch):
    # The name of a picture in a tree does not tell its part.
    monkeypatch.setattr("transforms.shards.shard_gallery.stable_part", lambda *_: -1)
    for part in packed.parts:
        gallery.forget()
        number = part.partition("-")[2][:5]
        assert gallery.script(f"gallery/pages/{number}-000.js")
        assert gallery._likely("images/cats/cat@waves.jpg")[0] == part


def test_a_thumbnail_is_of_a_picture(gallery):
    assert gallery.pictured("gallery/thumbs/a/b.c.jpg") == "images/a/b.c.png"
    for name in ("gallery/thumbs/a.png", "gallery/content/a.jpg", "images/a.jpg"):
        assert gallery.pictured(name) is None


def test_a_new_run_is_seen(packed, gallery):
    assert index_of(gallery.index())["done"] == 10
    for key in KEYS:
        assert gallery.picture(f"images/{key}/s.png")
    packed.rows = {row["path"]: row for row in packed.read()}
    packed.add("new one", b"brand new")
    assert gallery.picture("images/new one/s.png") is None
    assert index_of(gallery.index())["done"] == 11
    row = next(row for row in packed.read() if row["content_key"] == "new one")
    # It waits in the journal, which is a file of several pictures, too.
    assert gallery.picture("images/new one/s.png") == picture_file(row)


def test_no_row_leads_out_of_the_output(packed, gallery):
    row = packed.read()[0]
    for shard in ("../x.tar", "/etc/passwd", "gs://b/x.tar"):
        MANIFEST_TABLE.write(packed.output, packed.parts[0], [{**row, "shard": shard}])
        gallery.forget()
        assert gallery.picture(row["path"]) is None


def test_an_output_without_a_manifest_has_an_empty_page(tmp_path, manifest):
    gallery = ShardGallery(manifest.output, "jpg", "")
    assert index_of(gallery.index())["done"] == 0
    assert gallery.picture("images/a.jpg") is None
