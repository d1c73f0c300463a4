"""Jobs on Dataflow: what is sent there, and what becomes of it.

`fake_dataflow.py` says what runs in Dataflow's place.
"""

import base64
import bz2
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.internal import pickler
from compare_outputs import differences
from dataflow_engine import BUCKET, IMAGE, TOKEN, Cloud, cloud, staged_flags
from engine_jobs import Ended, Site, everything

# Secrets of the launcher's environment, which nothing of a job may carry.
PLANTED = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    "AWS_SESSION_TOKEN": "planted-aws-session",
    "STYLEBEAM_TEST_SECRET": "planted-environment",
}
MACHINE = ("--machine_type=n2-standard-4", "--disk_size_gb=50")
EXPERIMENT = "no_use_multiple_sdk_containers"


@pytest.fixture(scope="module")
def google(site: Site) -> Iterator[Cloud]:
    with cloud(site, PLANTED) as started:
        started.put(site.folder / "inputs", f"{started.root}/inputs")
        started.put(site.folder / "bundle", f"{started.root}/bundle")
        yield started


def job_json(google: Cloud, output: str) -> dict[str, Any]:
    return dict(json.loads(google.read(f"{output}/job.json")))


def names(google: Cloud, output: str) -> list[str]:
    """Return the names at the top of an output."""
    return sorted({name.split("/")[0] for name in google.objects(output)})


def revealed(data: bytes) -> bytes:
    """Return bytes with what Beam packed into them by bz2 and base64 unpacked.

    The packed text is gone: in some 300 kB of base64 each four letters are found by
    chance, once in fifty jobs.
    """

    def unpacked(match: re.Match[bytes]) -> bytes:
        text = match[0][: len(match[0]) // 4 * 4]
        try:
            plain = bz2.BZ2Decompressor().decompress(base64.b64decode(text))
        except (ValueError, OSError):
            return match[0]
        return b"\n" + plain + b"\n"

    return re.sub(rb"Qlpo[A-Za-z0-9+/]{20,}={0,2}", unpacked, data)


@pytest.fixture(scope="module")
def grid(site: Site, google: Cloud) -> tuple[Ended, str]:
    """A job with an image, launched from a desk: how it ended, and its output."""
    flags = (f"--sdk_container_image={IMAGE}", *MACHINE, f"--experiments={EXPERIMENT}")
    engine = google.started(*flags, "--labels=team=art")
    output = site.output(engine, "dataflow", "stylize-grid")
    ended = site.run(site.argv("stylize-grid", engine, output), engine)
    return ended, output


class TestLaunchFromADesk:
    def test_tree_is_that_of_one_process(
        self, grid: tuple[Ended, str], site: Site, google: Cloud
    ) -> None:
        ended, output = grid

        assert ended.status == 0, ended.about()
        assert site.wrong("stylize-grid", google.started(), output) == []
        assert not {".tmp", ".lease"} & set(names(google, output))

    def test_request_says_what_was_asked_for(
        self, grid: tuple[Ended, str], google: Cloud
    ) -> None:
        job = google.created()[0]
        environment = job["environment"]
        (pool,) = environment["workerPools"]

        assert pool["workerHarnessContainerImage"] == IMAGE
        assert [one["containerImage"] for one in pool["sdkHarnessContainerImages"]] == [
            IMAGE
        ]
        assert pool["machineType"] == "n2-standard-4"
        assert pool["diskSizeGb"] == 50
        assert EXPERIMENT in environment["experiments"]
        assert "use_multiple_sdk_containers" not in environment["experiments"]
        assert "use_runner_v2" in environment["experiments"]
        about = job_json(google, grid[1])
        assert job["labels"] == {
            "team": "art",
            "stylebeam-command": "stylize",
            "stylebeam-run": about["run_id"],
        }
        assert job["name"] == f"stylebeam-stylize-{about['run_id']}"
        assert about["engine"] == "DataflowRunner"
        # An image brings its code; Beam stages the launcher's `pip freeze` to compare.
        staged = [package["name"] for package in pool["packages"]]
        assert staged == ["submission_environment_dependencies.txt"]
        assert "steps" not in job

    def test_graph_has_no_bytes_of_inputs(
        self, grid: tuple[Ended, str], site: Site, google: Cloud
    ) -> None:
        graph = revealed(google.graph(google.created()[0]))

        # What is packed is seen: the output and our code are named in there.
        assert grid[1].encode() in graph
        assert b"transforms.stylize" in graph
        assert not re.search(rb"[A-Za-z0-9+/]{400}", graph), "something is still packed"
        assert b"\x89PNG" not in graph
        assert b"PAR1" not in graph
        inputs = list((site.folder / "inputs").rglob("*.png"))
        assert len(inputs) >= 4
        for path in inputs:
            data = path.read_bytes()
            assert data[len(data) // 2 :][:24] not in graph
            assert f"/inputs/{path.parent.name}/{path.name}".encode() not in graph

    def test_secrets_stay_with_the_launcher(
        self, grid: tuple[Ended, str], google: Cloud
    ) -> None:
        key = json.loads(google.credentials.read_text())["private_key"].splitlines()
        secrets = [TOKEN, key[1], key[5], *PLANTED.values()]
        staged = google.objects(f"gs://{BUCKET}/tmp")
        assert any(name.endswith("/pipeline.pb") for name in staged)
        where = {f"staged {name}": revealed(data) for name, data in staged.items()}
        where |= {f"output {n}": d for n, d in google.objects(grid[1]).items()}
        where["CreateJob"] = json.dumps(google.created()).encode()
        where |= {str(path): path.read_bytes() for path in google.workers}
        where["launcher"] = grid[0].said.encode()

        found = {
            f"{secret} in {place}"
            for place, data in where.items()
            for secret in secrets
            if secret.encode() in data
        }

        assert found == set()
        # Those that are looked for were there.
        assert google.asked_for_tokens()

    def test_secret_that_is_packed_is_found(self) -> None:
        packed = pickler.dumps(("x" * 99, "planted-aws-secret"))
        assert b"planted-aws-secret" not in packed

        found = revealed(b"\x00\x0a" + packed + b"\xff")

        assert b"planted-aws-secret" in found
        assert packed[:40] not in found
        assert found.startswith(b"\x00\x0a")
        assert found.endswith(b"\xff")


def test_code_is_staged_where_there_is_no_image(
    site: Site, google: Cloud, tmp_path: pathlib.Path
) -> None:
    if not everything():
        pytest.skip("only with ENGINES=all; portable-staged builds such workers too")
    engine = google.started(*staged_flags(tmp_path))
    output = site.output(engine, "dataflow-staged", "visualize")

    ended = site.run(site.argv("visualize", engine, output), engine)

    assert ended.status == 0, ended.about()
    assert site.wrong("visualize", engine, output) == []
    staged = google.objects(f"gs://{BUCKET}/tmp")
    assert any(re.search(r"/stylebeam-[\d.]+\.tar\.gz$", name) for name in staged)


class TestFlexTemplate:
    def test_job_ends_itself(self, site: Site, google: Cloud) -> None:
        output = f"{google.root}/flex/ingest"
        inputs = f"{google.root}/inputs"
        parameters = {
            "input": json.dumps([f"{inputs}/contents", f"{inputs}/styles"]),
            "output": output,
            "name": "tiny",
            "size": "48",
            "shards": "2",
            "val-fraction": "0.4",
            "overwrite": "false",
            "sdk_container_image": IMAGE,
        }

        launched, job = google.launch_template("ingest", parameters, "nightly")

        assert launched.status == 0, launched.about()
        assert "ingest: the job goes on by itself" in launched.said
        assert launched.said.count("\n") == 1, launched.said
        assert job is not None
        ended = google.await_job(job["id"])
        assert ended["currentState"] == "JOB_STATE_DONE", google.errors(job["id"])
        folder = site.folder / "flex-ingest"
        google.fetch(output, folder)
        assert differences(site.expected("ingest"), site.tree_of(folder)) == []
        about = job_json(google, output)
        assert about["status"] == "done"
        assert [b["name"] for b in about["balances"]] == ["records", "images"]
        assert not {".tmp", ".lease"} & set(names(google, output))

    def test_output_is_the_jobs_until_it_ends(self, site: Site, google: Cloud) -> None:
        """Between the launcher's end and the job's, another run is refused."""
        output = f"{google.root}/flex/grid"
        inputs = f"{google.root}/inputs"
        parameters = {
            "content": f"{inputs}/contents",
            "style": f"{inputs}/styles",
            "bundle": f"{google.root}/bundle",
            "alpha": "0.5,1",
            "output": output,
            "sdk_container_image": IMAGE,
        }
        launched, _ = google.launch_template("stylize", parameters, "one", submit=False)
        assert launched.status == 0, launched.about()
        assert job_json(google, output)["status"] == "running"

        second, _ = google.launch_template("stylize", parameters, "two", submit=False)

        assert second.status == 2, second.about()
        assert "another run is writing it" in second.said
        # The job of the first comes, and ends what the launcher began.
        job = google.submit("one")
        ended = google.await_job(job["id"])
        assert ended["currentState"] == "JOB_STATE_DONE", google.errors(job["id"])
        assert site.wrong("stylize-grid", google.started(), output) == []

    def test_job_that_fails_says_so(self, google: Cloud) -> None:
        output = f"{google.root}/flex/broken"
        for name in ("a.png", "b.png"):
            google.write(f"{google.root}/broken/{name}", b"no picture")
        parameters = {
            "input": f"{google.root}/broken",
            "output": output,
            "name": "broken",
            "sdk_container_image": IMAGE,
        }

        launched, job = google.launch_template("ingest", parameters, "broken")

        assert launched.status == 0, launched.about()
        assert job is not None
        assert google.await_job(job["id"])["currentState"] == "JOB_STATE_FAILED"
        assert "2 images = 0 accepted + 0 duplicate + 2 failed" in google.errors(
            job["id"]
        )
        about = job_json(google, output)
        assert about["status"] == "failed"
        assert not {".tmp", ".lease"} & set(names(google, output))

    def test_bad_parameter_ends_the_launcher(self, google: Cloud) -> None:
        output = f"{google.root}/flex/bad"
        parameters = {"input": f"{google.root}/inputs", "output": output}

        launched, job = google.launch_template(
            "ingest", {**parameters, "overwrite": "yes"}, "bad"
        )

        assert launched.status == 2
        assert job is None
        assert google.objects(output) == {}


def test_classic_template_is_refused(site: Site, google: Cloud) -> None:
    engine = google.started(
        f"--sdk_container_image={IMAGE}", f"--template_location=gs://{BUCKET}/classic"
    )
    output = site.output(engine, "dataflow", "classic")

    ended = site.run(site.argv("stylize-grid", engine, output), engine)

    assert ended.status == 2, ended.about()
    assert "a classic template would freeze the inputs" in ended.said
    assert google.objects(output) == {}


def test_workers_without_our_code_are_refused(site: Site, google: Cloud) -> None:
    output = f"{google.root}/no-code"

    ended = site.run(
        site.argv("stylize-grid", google.started(), output), google.started()
    )

    assert ended.status == 2, ended.about()
    assert "workers have no stylebeam" in ended.said
