"""Pages out of templates: whole in one file, and what they are given stays text."""

import importlib.resources
import json
import re

import jinja2
import pytest

from transforms.pages.render import data_url, environment, render

HOSTILE = "quote\"apos'amp&</script><script>alert(1)<!--\u2028.jpg"
OVERVIEW = {"pairs": [], "pairs_left": 0, "pair_count": 0, "run_count": 0, "common": []}
GALLERY = {"title": HOSTILE, "bundle_id": "", "contents": 1, "done": 1, "failed": 0}


@pytest.fixture(scope="module")
def files():
    folder = importlib.resources.files("transforms.pages") / "templates"
    return {file.name: file.read_text("utf-8") for file in folder.iterdir()}


def test_every_page_extends_the_one_base(files):
    pages = {name for name in files if name.endswith(".html")}
    extends = {n for n in pages if files[n].startswith('{% extends "base.html" %}\n')}
    macros = {"charts.html", "large.html", "reading.html"}
    # A gallery without previews is one with a few rules more.
    assert files["stylize_alone.html"].startswith('{% extends "stylize.html" %}\n')
    assert pages - extends == {"base.html", "stylize_alone.html"} | macros
    assert [name for name in pages if "<head>" in files[name]] == ["base.html"]


def test_every_file_is_part_of_a_page(files):
    named = set(re.findall(r'"([\w.]+\.(?:html|css|js))"', "".join(files.values())))
    pages = {"evaluate", "ingest", "optimize", "optimize_overview", "stylize"}
    pages |= {"visualize", "compare", "message", "stylize_alone"}
    pages = {f"{page}.html" for page in pages}
    assert set(files) == named | pages


def test_no_file_ends_the_element_that_it_stands_in(files):
    for name, text in files.items():
        if not name.endswith(".html"):
            assert "</" not in text, name
        elif name != "base.html":
            assert not re.search("<style|<script", text), name


def test_scripts_build_elements_and_never_parse_markup(files):
    scripts = "".join(text for name, text in files.items() if name.endswith(".js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(", scripts)
    assert re.findall(r"^(?:const|let|var|function) (\w+)", scripts, re.MULTILINE) == [
        "stylebeam"
    ]


def test_a_page_is_whole_in_one_file(files):
    page = render("stylize.html", **GALLERY, data={}).decode()

    for name in ("base.css", "gallery.css", "stylize.css", "gallery.js", "stylize.js"):
        assert files[name] in page
    assert not re.search(r'<link rel="stylesheet|<script src|https?:|@import', page)


def test_a_page_without_scripts_has_none():
    page = render("optimize_overview.html", **OVERVIEW).decode()

    assert "<script" not in page
    assert page.startswith("<!DOCTYPE html>\n")
    assert page.endswith("</html>\n")


def test_values_are_text_and_data_is_data():
    page = render("stylize.html", **GALLERY, data={"name": HOSTILE}).decode()

    assert "<title>quote&#34;apos&#39;amp&amp;&lt;/script&gt;" in page
    assert page.count("<script") == page.count("</script>") == 2
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert json.loads(data[1]) == {"name": HOSTILE}


def test_equal_values_give_equal_bytes():
    first, second = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert render("stylize.html", **GALLERY, data=first) == render(
        "stylize.html", **GALLERY, data=second
    )


def test_a_value_that_is_missing_is_an_error():
    values = {name: value for name, value in GALLERY.items() if name != "failed"}
    with pytest.raises(jinja2.UndefinedError, match="'failed' is undefined"):
        render("stylize.html", **values, data={})


def test_a_picture_inside_a_page_is_its_bytes():
    assert data_url(b"\xff\xd8\xff") == "data:image/jpeg;base64,/9j/"


def test_pages_of_other_folders_have_the_look_of_all(tmp_path):
    page = '{% extends "base.html" %}{% set css = ["report.css", "own.css"] %}'
    page += '{% set title = "T" %}{% block body %}<p>{{ name }}</p>{% endblock %}'
    (tmp_path / "own.html").write_text(page)
    (tmp_path / "own.css").write_text("p { color: red; }")
    template = environment(str(tmp_path)).get_template("own.html")
    text = template.render(name=HOSTILE)
    assert "p { color: red; }" in text
    assert "--paper: light-dark(" in text
    assert "default-src 'none'" in text
    assert "<script>alert" not in text
