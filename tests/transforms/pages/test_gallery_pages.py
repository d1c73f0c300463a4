"""Parts of a table become scripts, and all of them one index."""

import pytest
from apache_beam import Create
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.pages.gallery_pages import INDEX, WritePages, write_index_page


def write_part(part, output):
    for number in range(2):
        name = f"gallery/pages/{part}-{number}.js"
        output.write(name, part.encode())
        yield name


def write_index(names, output):
    html = " ".join(sorted(names)).encode()
    return write_index_page(output, html, "gallery/pages", names)


@pytest.mark.parametrize("parts", [["a", "b"], []])
def test_scripts_then_the_index_that_names_them(output, parts):
    output.write("gallery/pages/stale.js", b"")
    expected = [f"gallery/pages/{part}-{n}.js" for part in parts for n in range(2)]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        index = pipeline | Create(parts) | WritePages(output, write_part, write_index)
        assert_that(index, equal_to([INDEX]))
    assert output.names("gallery/pages") == expected
    assert output.read(INDEX).decode() == " ".join(expected)
