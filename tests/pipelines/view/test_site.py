"""What is an output with a page, and what to say of the rest."""

import json

import pytest

from pipelines.errors import UsageError
from pipelines.view.site import open_site
from transforms.buckets.patience import SECONDS_VARIABLE


def job(folder, **told):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(json.dumps({"command": "evaluate", **told}))
    return folder


def refusal(root):
    with pytest.raises(UsageError) as found:
        open_site(str(root))
    return str(found.value)


@pytest.mark.parametrize(
    ("command", "page"),
    [
        ("stylize", "gallery/index.html"),
        ("visualize", "gallery/index.html"),
        ("optimize", "report.html"),
        ("ingest", "report.html"),
        ("evaluate", "index.html"),
    ],
)
def test_each_output_has_its_page(tmp_path, command, page):
    job(tmp_path, command=command, status="done")
    path = tmp_path / page
    path.parent.mkdir(exist_ok=True)
    assert f"has no page yet: {page}" in refusal(tmp_path)
    path.write_text("<h1>A page</h1>")
    site = open_site(str(tmp_path))
    assert site.page == page
    assert site.ended


def test_an_output_of_a_job_that_runs_is_shown(tmp_path):
    job(tmp_path, status="running")
    (tmp_path / "index.html").write_text("")
    assert not open_site(str(tmp_path)).ended


def test_what_is_no_output_says_what_to_give(tmp_path):
    assert "there is no such folder" in refusal(tmp_path / "missing")
    assert "is no output. Give the folder" in refusal(tmp_path)
    below = job(tmp_path / "stylized", command="stylize")
    assert f"is no output. Give {below}, which is one" in refusal(tmp_path)
    (below / "gallery").mkdir()
    (below / "gallery/index.html").touch()
    for inside in ("gallery", "gallery/index.html"):
        assert f"Give {below}, which is one" in refusal(below / inside)
    assert "output of train, which has no page" in refusal(
        job(tmp_path / "t", command="train")
    )
    (tmp_path / "job.json").write_text('{"command": 1}')
    assert "command is 1, expected text" in refusal(tmp_path)
    for text in ("{", "[" * 100_000):
        (tmp_path / "job.json").write_text(text)
        assert "job.json: is not as stylebeam writes it" in refusal(tmp_path)


def test_a_bucket_that_is_not_there_is_one_sentence(memory_bucket, monkeypatch):
    monkeypatch.setenv(SECONDS_VARIABLE, "0")
    assert "gs://b/out: has no job.json" in refusal("gs://b/out")

    def read(name, most):
        raise PermissionError(13, "permission denied", f"gs://b/{name}")

    memory_bucket.read = read
    assert "permission denied" in refusal("gs://b/out")
