"""Jobs on Dataflow: what is sent there, and what becomes of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from dataflow_engine import IMAGE, Cloud, cloud
from engine_jobs import Site


@pytest.fixture(scope="module")
def google(site: Site) -> Iterator[Cloud]:
    with cloud(site) as started:
        started.put(site.folder / "inputs", f"{started.root}/inputs")
        started.put(site.folder / "bundle", f"{started.root}/bundle")
        yield started


def job_json(google: Cloud, output: str) -> dict[str, Any]:
    return dict(json.loads(google.read(f"{output}/job.json")))


def test_job_with_an_image(site: Site, google: Cloud) -> None:
    engine = google.started(f"--sdk_container_image={IMAGE}")
    output = site.output(engine, "dataflow", "stylize-grid")

    ended = site.run(site.argv("stylize-grid", engine, output), engine)

    assert ended.status == 0, ended.about()
    assert site.wrong("stylize-grid", engine, output) == []
