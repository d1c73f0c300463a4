"""`stylebeam verify`: what is damaged is named, what is derived is made again."""

import json
import pathlib
import random
import shutil
import tarfile

import pyarrow.parquet as pq
import pytest

from pipelines import cli
from pipelines.command.job_file import write_job
from transforms.storage.folder import OutputFolder


@pytest.fixture
def verify(capfd):
    """Return a runner of the command; it returns status, lines and stderr."""

    def run_command(folder, *flags):
        status = cli.main(["verify", str(folder), *flags])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return status, out.splitlines(), err

    return run_command


def flip(path: pathlib.Path, place: int, bit: int = 2) -> bytes:
    """Flip a bit of a file; returns the bytes before."""
    data = path.read_bytes()
    path.write_bytes(
        data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]
    )
    return data


def files_in(folder: pathlib.Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


LAYOUTS = {
    "grid": (),
    "tree": ("--layout", "tree"),
    "tfrecord": ("--output-format", "tfrecord"),
    "webdataset": ("--output-format", "webdataset"),
    "corners": ("--pairing", "corners", "--alpha", "0.5,1"),
}


@pytest.fixture
def made(tmp_path, stylized, capfd, monkeypatch):
    """Return a maker of outputs of `stylize` with thumbnails, to be damaged."""
    monkeypatch.setattr("transforms.images.thumbnails.LARGEST_SHOWN", (1, 1))

    def make(*flags):
        shutil.copytree(stylized(*flags), tmp_path / "out")
        capfd.readouterr()
        return tmp_path / "out"

    return make


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.slow
def test_every_damaged_file_of_stylize_is_named(made, verify, layout):
    out = made(*LAYOUTS[layout])
    assert verify(out) == (0, [], f"verify: {out}: nothing is wrong\n")
    places = random.Random(7)
    for name, data in files_in(out).items():
        if name == "job.json":
            continue
        path = out / name
        for place in {0, len(data) - 1, *(places.randrange(len(data)) for _ in "123")}:
            flip(path, place)
            status, lines, err = verify(out)
            assert (status, len(lines)) == (1, 1), (name, place, lines)
            assert lines[0].startswith(f"{name}: "), (name, place, lines)
            assert err == f"verify: {out}: 1 wrong\n"
            path.write_bytes(data)
        path.unlink()
        status, lines, _ = verify(out)
        assert status == 1
        # Where all parts of a table are gone, its folder is named.
        places_named = (name, str(pathlib.PurePosixPath(name).parent))
        assert lines[0].partition(":")[0] in places_named, (name, lines)
        path.write_bytes(data)
    assert verify(out)[0] == 0


@pytest.mark.parametrize("damage", ["deleted", "flipped", "cut", "empty"])
@pytest.mark.parametrize("layout", ["grid", "corners"])
def test_repair_makes_again_what_is_derived(made, verify, files_of, layout, damage):
    out = made(*LAYOUTS[layout])
    before = files_of(out)
    derived = [
        path
        for path in out.rglob("*")
        if path.is_file()
        and (
            path.parts[len(out.parts)] == "sheets"
            or path.name == "index.html"
            or {"thumbs", "pages"} & set(path.parts)
        )
    ]
    assert len(derived) > 6
    for path in derived:
        data = path.read_bytes()
        if damage == "deleted":
            path.unlink()
        elif damage == "flipped":
            flip(path, len(data) // 2)
        else:
            path.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")
    status, lines, _ = verify(out)
    assert status == 1
    assert {line.partition(":")[0] for line in lines} == {
        str(path.relative_to(out)) for path in derived
    }
    assert all(line.endswith("; --repair makes it again") for line in lines)
    status, lines, err = verify(out, "--repair")
    assert (status, len(lines)) == (0, len(derived))
    assert all(line.endswith("; made again") for line in lines)
    assert err.endswith(f"{len(derived)} of them made again\n")
    assert files_of(out) == before
    assert verify(out)[0] == 0


def test_damaged_part_leaves_the_pages_as_they_are(made, verify, files_of):
    out = made()
    flip(next(out.glob("manifest/*.parquet")), 100)
    before = files_of(out)
    status, lines, _ = verify(out, "--repair")
    assert (status, len(lines)) == (1, 1)
    assert "put back a copy, or delete it" in lines[0]
    assert files_of(out) == before


def test_what_needs_the_inputs_is_named_with_the_way_out(run, inputs, verify):
    run()
    out = inputs / "out"
    picture = next(out.glob("images/*/*.jpg"))
    picture.unlink()
    preview = next(out.glob("gallery/content/*.jpg"))
    preview.write_bytes(preview.read_bytes()[:-5])
    status, lines, _ = verify(out, "--repair")
    assert status == 1
    assert lines == [
        f"{path.relative_to(out)}: {wrong}; the same command makes it again"
        for path, wrong in (
            [(picture, "is missing"), (preview, "is damaged")]
            if picture.parent.name <= preview.stem
            else [(preview, "is damaged"), (picture, "is missing")]
        )
    ]
    assert run()[0] == 0
    assert verify(out)[0] == 0


def test_leftover_page_is_named_and_removed(made, verify):
    out = made()
    page = out / "gallery" / "pages" / "99999-000.js"
    page.write_text("x")
    assert verify(out)[1] == [
        "gallery/pages/99999-000.js: belongs to no page of this output; "
        "--repair makes it again"
    ]
    assert verify(out, "--repair")[0] == 0
    assert not page.exists()


def test_output_of_an_earlier_version_is_clean_and_its_pages_stay(
    made, verify, files_of
):
    out = made()
    job = json.loads((out / "job.json").read_text())
    job["versions"]["stylebeam"] = "0.0.1"
    write_job(OutputFolder(str(out)), job)
    (out / "gallery" / "index.html").write_text("an older page</html>")
    # And its tables and previews have no seals.
    for path in out.rglob("*.parquet"):
        pq.write_table(pq.read_table(path), path)
    before = files_of(out)
    assert verify(out, "--repair")[0] == 0
    assert files_of(out) == before


def test_killed_job_is_named(made, verify):
    out = made()
    job = json.loads((out / "job.json").read_text())
    job["status"] = "running"
    write_job(OutputFolder(str(out)), job)
    status, lines, _ = verify(out)
    assert status == 1
    assert lines == [
        "job.json: tells of a job that did not end, or still runs; the same command "
        "goes on from there"
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "null", '{"command": 3}', "\0\1", "[" * 9999, "{}"]
)
def test_job_of_a_wrong_type_is_one_line(made, verify, text):
    out = made()
    (out / "job.json").write_text(text)
    status, lines, _ = verify(out)
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("job.json: cannot be used (")


def test_shard_is_compared_byte_by_byte(made, verify):
    out = made(*LAYOUTS["webdataset"])
    (shard,) = out.glob("shards/*.tar")
    with tarfile.open(shard) as tar:
        about = next(m for m in tar.getmembers() if m.name.endswith(".json"))
    data = flip(shard, about.offset_data + 3)
    status, lines, _ = verify(out)
    assert status == 1
    assert lines[0].startswith(f"shards/{shard.name}: is damaged around byte ")
    assert "delete it and give the same command again" in lines[0]
    shard.write_bytes(data + b"\0")
    assert "is damaged behind its last picture" in verify(out)[1][0]


class TestOtherOutputs:
    def test_data_set(self, datasets, tmp_path, verify):
        out = tmp_path / "data"
        shutil.copytree(datasets / "contents", out)
        assert verify(out)[0] == 0
        places = random.Random(11)
        for name, data in files_in(out).items():
            if name in ("job.json", "report.html") or not data:
                continue
            for place in {0, len(data) - 1, places.randrange(len(data))}:
                flip(out / name, place)
                status, lines, _ = verify(out)
                assert status == 1, (name, place)
                assert lines[0].startswith(f"{name}: "), (name, place, lines)
                (out / name).write_bytes(data)
        assert verify(out)[0] == 0

    def test_descriptions_of_a_data_set_are_made_again(
        self, datasets, tmp_path, verify
    ):
        out = tmp_path / "data"
        shutil.copytree(datasets / "contents", out)
        before = files_in(out)
        derived = ["dataset_info.json", "features.json", "ingest.json", "preview.jpg"]
        for name in derived:
            (out / name).write_bytes(b"{")
        status, lines, _ = verify(out)
        assert status == 1
        assert sorted(line.partition(":")[0] for line in lines) == derived
        assert verify(out, "--repair")[0] == 0
        assert files_in(out) == before

    def test_evaluation(self, inputs, verify):
        out = inputs / "judged"
        command = ["evaluate", "--bundle", str(inputs / "bundle"), "--size", "32"]
        command += ["--content", str(inputs / "contents"), "--output", str(out)]
        assert cli.main([*command, "--style", str(inputs / "styles")]) == 0
        assert verify(out)[0] == 0
        for name in ("evaluation.parquet", "evaluation.json", "index.html"):
            data = (out / name).read_bytes()
            (out / name).write_bytes(data[:-20])
            status, lines, _ = verify(out)
            assert (status, len(lines)) == (1, 1)
            assert lines[0].startswith(f"{name}: ")
            (out / name).write_bytes(data)

    @pytest.mark.parametrize("command", ["visualize", "optimize"])
    @pytest.mark.slow
    def test_study(self, inputs, verify, command, files_of, capfd):
        out = inputs / "studied"
        contents, styles = str(inputs / "contents"), str(inputs / "styles")
        flags = {
            "visualize": ["--input", contents, "--layers", "block1_conv1"],
            "optimize": ["--content", f"{contents}/a.png", "--style", styles],
        }[command]
        if command == "optimize":
            flags += ["--steps", "2", "--size", "32"]
        assert cli.main([command, *flags, "--output", str(out)]) == 0
        capfd.readouterr()
        assert verify(out) == (0, [], f"verify: {out}: nothing is wrong\n")
        before = files_of(out)
        places = random.Random(13)
        for name, data in files_in(out).items():
            if name == "job.json":
                continue
            for place in {0, len(data) - 1, places.randrange(len(data))}:
                flip(out / name, place)
                status, lines, _ = verify(out)
                assert status == 1, (name, place)
                assert any(line.startswith(f"{name}: ") for line in lines), name
                (out / name).write_bytes(data)
        page = {"visualize": "gallery/index.html", "optimize": "report.html"}[command]
        (out / page).write_bytes(b"")
        assert verify(out, "--repair")[0] == 0
        assert files_of(out) == before

    @pytest.mark.slow
    def test_training(self, train_command, tmp_path, verify):
        work = tmp_path / "work"
        flags = ("--steps", "2", "--eval-every", "2", "--checkpoint-every", "1")
        assert cli.main(train_command(work, *flags)) == 0
        assert verify(work)[0] == 0
        places = random.Random(17)
        checkpoint = "checkpoints/ckpt-2"
        for name, named in (
            ("config.json", "config.json"),
            ("start/bundle.json", "start/bundle.json"),
            ("start/encoder.npz", "start/bundle.json"),
            ("bundle/decoder.npz", "bundle/bundle.json"),
            (f"{checkpoint}.data-00000-of-00001", checkpoint),
            (f"{checkpoint}.index", checkpoint),
            ("samples/step-000002.jpg", "samples/step-000002.jpg"),
            ("metrics.jsonl", "metrics.jsonl"),
        ):
            data = (work / name).read_bytes()
            cut = data[: places.randrange(1, len(data) - 2)]
            flipped = bytearray(data)
            flipped[places.randrange(len(data))] ^= 1 << places.randrange(8)
            for damaged in (cut, bytes(flipped)):
                (work / name).write_bytes(damaged)
                status, lines, _ = verify(work)
                assert (status, len(lines)) == (1, 1), (name, lines)
                assert lines[0].startswith(f"{named}: "), (name, lines)
            (work / name).write_bytes(data)
        for name, named in (
            (f"{checkpoint}.index", f"{checkpoint}: is damaged (its index is missing)"),
            (f"{checkpoint}.data-00000-of-00001", checkpoint),
            ("bundle/bundle.json", "bundle/bundle.json"),
        ):
            data = (work / name).read_bytes()
            (work / name).unlink()
            status, lines, _ = verify(work)
            assert (status, len(lines)) == (1, 1), (name, lines)
            assert lines[0].startswith(named), (name, lines)
            (work / name).write_bytes(data)
        metrics = (work / "metrics.jsonl").read_bytes()
        for kept, wrong in (
            (metrics.splitlines(keepends=True)[:2], "has no line of step 2"),
            ([], "has no line of step 1 (2 are missing)"),
        ):
            (work / "metrics.jsonl").write_bytes(b"".join(kept))
            assert verify(work)[1][0].startswith(f"metrics.jsonl: {wrong}")
        (work / "metrics.jsonl").unlink()
        assert verify(work)[1][0].startswith("metrics.jsonl: is missing")
        (work / "metrics.jsonl").write_bytes(metrics)
        sheet = work / "samples/step-000002.jpg"
        sheet.unlink()
        assert verify(work)[1][0].startswith("samples/step-000002.jpg: is missing")
        sheet.mkdir()
        assert verify(work)[1][0].startswith(
            "samples/step-000002.jpg: cannot be read ("
        )
        sheet.rmdir()
        data = (work / f"{checkpoint}.data-00000-of-00001").read_bytes()
        flip(work / f"{checkpoint}.data-00000-of-00001", len(data) // 2)
        assert verify(work)[1][0].startswith(f"{checkpoint}: is damaged (")

    def test_bundle(self, inputs, verify):
        bundle = inputs / "bundle"
        assert verify(bundle)[0] == 0
        for name in ("bundle.json", "decoder.npz", "encoder.npz"):
            data = flip(bundle / name, 40)
            assert verify(bundle)[0] == 1
            (bundle / name).write_bytes(data)

    def test_bank(self, made, verify):
        bank = made() / "styles.parquet"
        assert verify(bank)[0] == 0
        flip(bank, 500)
        assert verify(bank)[:2] == (
            1,
            [
                "styles.parquet: is damaged: its bytes are not those that were "
                "written; the same command makes it again"
            ],
        )

    @pytest.mark.parametrize("name", ["", "absent", "absent.parquet"])
    def test_what_is_no_output_exits_2(self, tmp_path, verify, name):
        status, lines, err = verify(tmp_path / name)
        assert (status, lines) == (2, [])
        assert err.startswith(f"stylebeam verify: error: {tmp_path / name}: ")
        assert err.count("\n") == 1

    def test_flags_of_beam_are_refused(self, tmp_path, verify):
        assert verify(tmp_path, "--runner=DirectRunner")[0] == 2
