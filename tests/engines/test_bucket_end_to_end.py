"""From pictures in a bucket to a gallery in a bucket, as a browser finds it there."""

import json
import subprocess
import sys
import time
import urllib.request

import pytest
from chromium import chromium
from compare_outputs import paint
from engine_jobs import ROOT, everything

from model.bundle import Bundle
from pipelines import cli
from transforms.storage.bundle_folder import save_bundle
from transforms.storage.folder import OutputFolder
from transforms.storage.lease import LEASE

# What a browser is told of each kind of file.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".npz": "application/octet-stream",
}

CONTENTS = ("a", "b", "c")
STYLES = ("x", "y")


@pytest.fixture(params=["gs", "s3"] if everything() else ["gs"])
def bucket(request):
    """A bucket that everybody may read."""
    bucket = request.getfixturevalue(f"{request.param}_bucket")
    if request.param == "s3":
        import boto3

        allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
        allowed["Resource"] = f"arn:aws:s3:::{bucket.name}/*"
        policy = {"Version": "2012-10-17", "Statement": [allowed]}
        boto3.client("s3").put_bucket_policy(
            Bucket=bucket.name, Policy=json.dumps(policy)
        )
    return bucket


@pytest.fixture
def root(bucket, tmp_path):
    """A place in the bucket, with pictures in it."""
    place = OutputFolder(f"{bucket.url}/project")
    for role, names in (("contents", CONTENTS), ("styles", STYLES)):
        for number, name in enumerate(names):
            path = tmp_path / f"{name}.png"
            paint(72, 72, seed=len(role) * 10 + number).save(path)
            place.write(f"{role}/{name}.png", path.read_bytes())
    return place.root


def stylize(root, *flags):
    command = ["stylize", "--bundle", f"{root}/bundle", "--output", f"{root}/out"]
    command += ["--content", f"{root}/contents", "--style", f"{root}/styles"]
    return [*command, *flags]


def served(bucket, url):
    """Return where an object is served over HTTP."""
    return f"{bucket.emulator.address}/{url.partition('://')[2]}"


def pictures(root):
    return sorted(OutputFolder(f"{root}/out").below("images"))


def shown(bucket, root, folder):
    """Return how many pictures a browser shows in the gallery, and what it says."""
    with chromium(folder) as driver:
        driver.get(served(bucket, f"{root}/out/gallery/index.html"))
        end = time.monotonic() + 20
        count = -1
        while time.monotonic() < end:
            # Those of cells; every one has been loaded and has pixels.
            found = driver.execute_script(
                "return [...document.querySelectorAll('main .cell img')]"
                ".map(i => i.complete ? i.naturalWidth : 0)"
            )
            if found and all(found) and len(found) == count:
                break
            count = len(found)
            time.sleep(0.3)
        complaints = [entry["message"] for entry in driver.get_log("browser")]
        # A browser asks every server for this.
        return found, [text for text in complaints if "favicon.ico" not in text]


def test_from_pictures_to_a_gallery(bucket, root, tiny_bundle, tmp_path, capfd):
    save_bundle(tiny_bundle, f"{root}/start")
    ingest = ["ingest", "--input", f"{root}/contents", f"{root}/styles", "--size", "48"]
    ingest += ["--name", "demo", "--min-side", "32", "--val-fraction", "0.4"]
    assert cli.main([*ingest, "--output", f"{root}/data"]) == 0

    data = [f"{root}/data"]
    train = ["train", "--content", *data, "--style", *data, "--init", f"{root}/start"]
    train += ["--workdir", str(tmp_path / "work"), "--batch-size", "2", "--crop", "32"]
    assert cli.main([*train, "--steps", "20", "--eval-every", "1000"]) == 0

    export = ["export", "--workdir", str(tmp_path / "work"), "--which", "latest"]
    assert cli.main([*export, "--output", f"{root}/bundle"]) == 0
    assert OutputFolder(f"{root}/bundle").names("") == [
        "bundle.json",
        "decoder.npz",
        "encoder.npz",
    ]

    assert cli.main(stylize(root)) == 0
    assert len(pictures(root)) == 6
    widths, complaints = shown(bucket, root, tmp_path / "browser")
    assert len(widths) == 6
    assert all(widths)
    assert complaints == []
    output = OutputFolder(f"{root}/out")
    for name in output.below(""):
        with urllib.request.urlopen(
            served(bucket, output.path(name.lstrip("/")))
        ) as it:
            suffix = name[name.rindex(".") :]
            assert it.headers["Content-Type"] == TYPES[suffix], name

    # Anew and with one content less: nothing of the first run is left.
    OutputFolder(root).delete("contents/c.png")
    assert cli.main(stylize(root, "--overwrite", "--alpha", "0.5")) == 0
    assert len(pictures(root)) == 4
    assert all("@a0500" in name for name in pictures(root))
    names = [name.lstrip("/") for name in output.below("")]
    assert not [name for name in names if name.startswith((".", "manifest/."))]
    assert not [name for name in names if "c-" in name.rpartition("/")[2]]
    assert len(shown(bucket, root, tmp_path / "again")[0]) == 4
    assert cli.main(["verify", f"{root}/out"]) == 0

    judged = ["evaluate", "--bundle", f"{root}/bundle", "--size", "64"]
    judged += ["--content", *data, "--style", *data, "--output", f"{root}/judged"]
    assert cli.main(judged) == 0
    assert OutputFolder(f"{root}/judged").is_file("index.html")


def test_of_two_runs_at_once_the_second_exits_with_2(
    bucket, root, tiny_bundle: Bundle, tmp_path, capfd
):
    save_bundle(tiny_bundle, f"{root}/bundle")
    output = OutputFolder(f"{root}/out")
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(
            [sys.executable, "-m", "pipelines", *stylize(root)],
            cwd=ROOT,
            stderr=log,
            stdout=log,
        )
        try:
            end = time.monotonic() + 90
            while not output.is_file(LEASE) and first.poll() is None:
                assert time.monotonic() < end
                time.sleep(0.02)
            second = cli.main(stylize(root))
            assert first.wait(90) == 0, (tmp_path / "log").read_text()
        finally:
            first.kill()
            first.wait()
    assert second == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert f"--output {root}/out: another run is writing it (run r" in said
    assert len(pictures(root)) == 6
    assert not output.is_file(LEASE)
