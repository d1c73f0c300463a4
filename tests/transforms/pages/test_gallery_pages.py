"""Pages part by part, then the index of all of them."""

import functools

import pytest
from apache_beam import Create
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.pages.gallery_pages import INDEX, WritePages, write_index_page
from transforms.storage.folder import OutputFolder


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path / "out"))


def write_part(part, output):
    """Write a page for each letter of a part's name."""
    for letter in part:
        output.write(f"gallery/pages/{letter}.js", letter.encode())
        yield letter


def write_index(letters, output):
    names = sorted(letters)
    pages = [f"gallery/pages/{letter}.js" for letter in names]
    html = "".join(names).encode()
    return write_index_page(output, INDEX, html, "gallery/pages", pages)


def run(output, parts):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        index = (
            pipeline
            | Create(parts, reshuffle=False)
            | WritePages(output, write_part, write_index)
        )
        assert_that(index, equal_to(["gallery/index.html"]))


def test_every_part_becomes_pages_and_all_of_them_one_index(output):
    run(output, ["ab", "", "c"])

    assert output.read(INDEX) == b"abc"
    assert output.names("gallery/pages") == [f"gallery/pages/{p}.js" for p in "abc"]


def test_no_part_has_an_index_too_and_old_pages_go(output):
    run(output, ["ab"])
    run(output, [])

    assert output.read(INDEX) == b""
    assert output.names("gallery/pages") == []


def test_a_second_run_changes_nothing_else(output):
    output.write("gallery/thumbs/a.jpg", b"kept")
    run(output, ["ab", "c"])
    run(output, ["c"])

    assert output.read(INDEX) == b"c"
    assert output.names("gallery/pages") == ["gallery/pages/c.js"]
    assert output.read("gallery/thumbs/a.jpg") == b"kept"


def test_the_index_is_written_before_any_page_goes(output, monkeypatch):
    output.write("pages/old.js", b"")
    output.write("index.html", b"knows old.js")
    deleted = []

    def delete(self, name):
        assert self.read("index.html") == b"knows none"
        deleted.append(name)

    monkeypatch.setattr(OutputFolder, "delete", delete)
    write = functools.partial(write_index_page, output, "index.html", b"knows none")
    assert write("pages", []) == "index.html"
    assert deleted == ["pages/old.js"]
