import io
import itertools
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam import Create
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import image_id
from transforms.pages.page_data import data_script
from transforms.storage.folder import OutputFolder
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.stylize import gallery

HOSTILE = [
    "quote\"apos'amp&<script>alert(1)<!--.jpg",
    "ünïcödé 名前 🎨.jpg",
    "</script>",
    "line\u2028break\u2029.png",
]


def cell(content, styles, *, alpha=1.0, status="done", **changes):
    if isinstance(styles, str):
        styles = {styles: 1.0}
    stem = image_id(next(iter(styles))) if len(styles) == 1 else "mix-0123456789ab"
    if alpha != 1:
        stem += f"@a{round(alpha * 1000):04d}"
    row = {
        "content_id": image_id(content),
        "content_key": content,
        "styles": [
            {"id": image_id(key), "key": key, "weight": weight, "mask_sha256": None}
            for key, weight in styles.items()
        ],
        "alpha": alpha,
        "original_width": 40,
        "original_height": 30,
        "width": 40,
        "height": 30,
        "path": f"images/{image_id(content)}/{stem}.jpg",
        "bundle_id": "b00000000001",
        "status": status,
    }
    return row | changes


def write_part(output, rows, part=0, parts=1):
    name = f"manifest/part-{part:05d}-of-{parts:05d}.parquet"
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, STYLIZE_MANIFEST), file)
    output.write(name, file.getvalue())
    return name


def call_of(script):
    """Return the arguments of the one call that a page script is."""
    match = re.fullmatch(r"stylebeam\.page\((.*)\);\n", script.decode(), re.DOTALL)
    return json.loads(f"[{match[1]}]")


def data_of(html):
    """Return what the index holds for its script."""
    match = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', html)
    return json.loads(match[1])


def records(table):
    """Return the rows of a table by the names of its fields."""
    return [dict(zip(table["fields"], row, strict=True)) for row in table["rows"]]


def pages_of(html):
    return records(data_of(html)["pages"])


def page(name, contents, cells, first):
    return {"name": name, "contents": contents, "cells": cells, "first": first}


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path / "out"))


def test_page_script_of_small_manifest_is_exact():
    rows = [
        cell("a.jpg", "s.jpg"),
        cell("a.jpg", "s.jpg", alpha=0.5),
        cell("a.jpg", {"s.jpg": 0.75, "t.jpg": 0.25}, status="failed", width=None),
        cell("b.jpg", "t.jpg"),
    ]
    a, b, s, t = (image_id(key) for key in ("a.jpg", "b.jpg", "s.jpg", "t.jpg"))

    actual = data_script("00000-000", gallery.page_data(rows))

    assert actual.decode() == (
        'stylebeam.page("00000-000",{"bundles":["b00000000001"],"cells":{"fields":'
        '["content","column","alpha","bundle","width","height","path"],"rows":['
        f'[0,0,1.0,0,40,30,"images/{a}/{s}.jpg"],'
        f'[0,0,0.5,0,40,30,"images/{a}/{s}@a0500.jpg"],'
        '[0,1,1.0,0,0,30,""],'
        f'[1,2,1.0,0,40,30,"images/{b}/{t}.jpg"]]}},'
        '"columns":[[{"mask":"","style":0,"weight":1.0}],'
        '[{"mask":"","style":0,"weight":0.75},{"mask":"","style":1,"weight":0.25}],'
        '[{"mask":"","style":1,"weight":1.0}]],'
        '"contents":['
        f'{{"height":30,"id":"{a}","key":"a.jpg","width":40}},'
        f'{{"height":30,"id":"{b}","key":"b.jpg","width":40}}],'
        f'"styles":[{{"id":"{s}","key":"s.jpg"}},{{"id":"{t}","key":"t.jpg"}}]}});\n'
    )


def test_what_is_known_stands_with_the_content_and_the_style():
    box = {"category": "dog", "box": [10.0, 3.0, 20.0, 15.5]}
    known = [{"label": "cat", "objects": [box]}, {"label": "", "objects": []}]
    known += [{"label": "", "objects": None}, None]
    rows = [
        cell(f"{place}.jpg", "s.jpg", annotation=said)
        for place, said in enumerate(known)
    ]
    rows.append(cell("4.jpg", "t.jpg", style_annotations=[{"label": "Cubism"}]))
    data = gallery.page_data(rows)
    plain = {"id", "key", "width", "height"}
    assert [
        {name: one[name] for name in one if name not in plain}
        for one in data["contents"]
    ] == [
        # In thousandths of the sides, of 40 and 30 pixels.
        {"label": "cat", "objects": [["dog", 250, 100, 500, 517]]},
        {"objects": []},
        {},
        {},
        {},
    ]
    assert [style.get("label") for style in data["styles"]] == [None, "Cubism"]


def test_page_data_keeps_masks_apart():
    masked = cell("a.jpg", "s.jpg")
    masked["styles"][0]["mask_sha256"] = "00ff"

    data = gallery.page_data([cell("a.jpg", "s.jpg"), masked])

    assert data["columns"] == [
        [{"style": 0, "weight": 1.0, "mask": ""}],
        [{"style": 0, "weight": 1.0, "mask": "00ff"}],
    ]


def test_an_original_is_a_column_without_styles():
    original = cell("a.jpg", "s.jpg", alpha=0.0, path="images/a/original.jpg")
    original["styles"][0] |= {"id": "original", "key": "original"}

    data = gallery.page_data([original, cell("a.jpg", "s.jpg")])

    assert data["columns"] == [[], [{"style": 0, "weight": 1.0, "mask": ""}]]
    assert [style["key"] for style in data["styles"]] == ["s.jpg"]


def test_hostile_names_stay_data():
    rows = [cell(content, style) for content in HOSTILE for style in HOSTILE]

    script = data_script("00000-000", gallery.page_data(rows))
    index = gallery.index_html(
        HOSTILE[0],
        HOSTILE[2],
        [gallery.PageSummary("00000", 0, 4, 16, 16, HOSTILE[0])],
    ).decode()

    assert not set("<>&\u2028\u2029") & set(script.decode())
    _, data = call_of(script)
    assert [content["key"] for content in data["contents"]] == HOSTILE
    assert [style["key"] for style in data["styles"]] == HOSTILE
    assert "<script>alert" not in index
    assert "<title>quote&#34;apos&#39;amp&amp;&lt;script&gt;alert(1)" in index
    assert index.count("</script>") == 2
    assert pages_of(index) == [page("00000-000", 4, 16, HOSTILE[0])]
    assert data_of(index)["bundle"] == HOSTILE[2]


def test_index_is_alone_and_holds_totals():
    pages = [
        gallery.PageSummary("00001", 0, 2, 2000, 1999, "c"),
        gallery.PageSummary("00000", 1, 1, 500, 500, "b"),
        gallery.PageSummary("00000", 0, 3, 10, 10, "a"),
    ]

    html = gallery.index_html("Mine", "b00000000001", pages).decode()

    assert "2,509 pictures · 6 contents" in html
    assert "1 failed" in html
    assert [page["name"] for page in pages_of(html)] == [
        "00000-000",
        "00000-001",
        "00001-000",
    ]
    assert not re.search(r"https?:|//[a-z]|innerHTML|@import|fetch\(", html)


@pytest.mark.parametrize(
    ("failed", "said"),
    [(0, "nothing was stylized"), (7, "every cell failed (7)")],
)
def test_index_without_pictures_says_so(failed, said):
    pages = [gallery.PageSummary("00000", 0, 1, failed, 0, "a")] if failed else []

    html = gallery.index_html("Mine", "", pages).decode()

    assert "There is no picture to show" in html
    assert said in html


def test_split_pages_keeps_contents_whole():
    rows = [cell(f"{k}.jpg", f"s{n}.jpg") for k in range(5) for n in range(3)]

    by_contents = list(gallery.split_pages(rows, contents_per_page=2))
    by_cells = list(gallery.split_pages(rows, cells_per_page=7))

    assert [len(page) for page in by_contents] == [6, 6, 3]
    assert [len(page) for page in by_cells] == [6, 6, 3]
    assert list(itertools.chain(*by_contents)) == rows
    assert list(gallery.split_pages([])) == []


def test_split_pages_cuts_a_content_larger_than_a_page():
    rows = [cell("a.jpg", "s.jpg")] + [cell("b.jpg", f"s{n}.jpg") for n in range(8)]

    pages = list(gallery.split_pages(rows, cells_per_page=3))

    assert [len(page) for page in pages] == [1, 3, 3, 2]
    assert list(itertools.chain(*pages)) == rows


def test_write_pages_counts_a_cut_content_once(output):
    rows = [cell("a.jpg", f"s{n:05d}.jpg") for n in range(gallery.CELLS_PER_PAGE + 1)]
    rows.append(cell("b.jpg", "s.jpg", status="failed"))

    pages = list(gallery.write_pages(write_part(output, rows, 3, 4), output))

    assert pages == [
        gallery.PageSummary("00003", 0, 1, 5000, 5000, "a.jpg"),
        gallery.PageSummary("00003", 1, 1, 2, 1, "a.jpg"),
    ]
    assert output.names("gallery/pages") == [page.file for page in pages]
    name, data = call_of(output.read(pages[1].file))
    assert name == "00003-001"
    assert [content["key"] for content in data["contents"]] == ["a.jpg", "b.jpg"]


def test_write_pages_rejects_another_name(output):
    with pytest.raises(ValueError, match=r"Received: part='manifest/x\.parquet'"):
        list(gallery.write_pages("manifest/x.parquet", output))


def run_gallery(output, parts):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        index = (
            pipeline
            | Create(parts, reshuffle=False)
            | gallery.WriteGallery(output, title="Mine", bundle_id="b00000000001")
        )
        assert_that(index, equal_to(["gallery/index.html"]))


def test_write_gallery_writes_pages_and_index(output):
    parts = [
        write_part(output, [cell("a.jpg", "s.jpg"), cell("a.jpg", "t.jpg")], 0, 3),
        write_part(output, [], 1, 3),
        write_part(output, [cell("b.jpg", "s.jpg", status="failed")], 2, 3),
    ]
    output.write("gallery/pages/00000-007.js", b"stale")

    run_gallery(output, parts)

    assert output.names("gallery/pages") == [
        "gallery/pages/00000-000.js",
        "gallery/pages/00002-000.js",
    ]
    html = output.read("gallery/index.html").decode()
    assert data_of(html) == {
        "bundle": "b00000000001",
        "done": 2,
        "most": {"cells": 5000, "contents": 100},
        "pages": {
            "fields": ["name", "contents", "cells", "first"],
            "rows": [["00000-000", 1, 2, "a.jpg"], ["00002-000", 1, 1, "b.jpg"]],
        },
        "shown": {"width": 1152, "height": 288},
    }


def test_write_gallery_is_deterministic(output, tmp_path):
    def files(folder, reverse):
        rows = [cell(f"{k}.jpg", f"s{n}.jpg") for k in range(3) for n in range(3)]
        parts = [write_part(folder, rows[3 * k : 3 * k + 3], k, 3) for k in range(3)]
        run_gallery(folder, parts[::-1] if reverse else parts)
        names = ["gallery/index.html", *folder.names("gallery/pages")]
        return {name: folder.read(name) for name in names}

    first = files(output, reverse=False)

    assert len(first) == 4
    assert files(output, reverse=False) == first
    assert files(OutputFolder(str(tmp_path / "else")), reverse=True) == first
    assert str(tmp_path).encode() not in b"".join(first.values())


def test_write_gallery_without_parts_says_so(output):
    output.write("gallery/pages/00000-000.js", b"stale")

    run_gallery(output, [])

    assert b"nothing was stylized" in output.read("gallery/index.html")
    assert output.names("gallery/pages") == []


def test_measured_cells_carry_what_they_are_sorted_by():
    metrics = {
        "content_loss": 0.5,
        "style_loss_relu1_1": 1.0,
        "style_loss_relu2_1": 2.0,
        "style_loss_relu3_1": None,
        "style_loss_relu4_1": 0.25,
        "ssim": 0.75,
    }
    unmeasurable = dict.fromkeys(metrics)
    rows = [
        cell("a.jpg", "s.jpg", metrics=metrics),
        cell("b.jpg", "s.jpg", metrics=unmeasurable),
        cell("c.jpg", "s.jpg"),
    ]

    found = records(gallery.page_data(rows)["cells"])

    values = [[row[n] for n in ("content_loss", "style_loss", "ssim")] for row in found]
    assert values == [[0.5, 3.25, 0.75], [None] * 3, [None] * 3]
    assert "ssim" not in gallery.page_data(rows[1:])["cells"]["fields"]


def test_a_hundred_thousand_cells_stay_compact():
    rows = [cell(f"{k}.jpg", f"s{n:02d}.jpg") for k in range(100) for n in range(50)]

    size = len(data_script("00000-000", gallery.page_data(rows)))

    # One page of the twenty. The names of the files are most of it.
    paths = sum(len(row["path"]) for row in rows)
    assert size < paths + 40 * len(rows)
