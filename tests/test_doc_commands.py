"""Every command of README and docs runs, on a small tree with the files it names.

They run as a reader types them, in a folder of their own. What cannot run here stands
in `NOT_RUN`, each with its reason.
"""

import contextlib
import csv
import json
import pathlib
import shlex
import shutil
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from documents import DOCUMENTS, ROOT, command_lines, name_of
from PIL import Image

from pipelines import cli

# Flags behind those of the docs that make the work small; what they change is how long
# it takes. The last of a flag that is given twice counts.
SMALL = {
    "optimize": ["--steps", "2", "--size", "64", "--snapshots", "1"],
    "visualize": ["--size", "64"],
    # A network of its own would be normalised over photographs, more than are here.
    "train": ["--steps", "2", "--crop", "32", "--batch-size", "2", "--init", "default"],
    "evaluate": ["--size", "64"],
    # Of so few pictures the usual share may leave none to judge by.
    "ingest": ["--val-fraction", "0.5"],
}

# With such a kind alone; elsewhere they would change nothing, which is an error.
SMALL_ACTIVATION = ["--activation-size", "48", "--activation-steps", "2"]

_CLUSTER = "needs a cluster: tests/engines runs the same job on it, or a stand-in"
_DAYS = "takes days: tests/pipelines/train runs its flags small"
_COMPARED = "needs stylized pictures, or minutes: tests/pipelines/visualize compares"
_LABELS = "needs such a data set: tests/pipelines/ingest draws one and reads it"

# What a command of a document begins with -> why it is not run.
NOT_RUN = {
    "docs/commands.md": {
        "stylebeam stylize --config job.toml --alpha 0.5 --direct_num_workers": (
            "starts processes: tests/pipelines/settings lays flags over a file"
        ),
        "stylebeam completion": (
            "writes into one's home: tests/pipelines/settings runs it"
        ),
        "stylebeam doctor --check": (
            "needs a bucket: tests/pipelines/doctor asks a double"
        ),
    },
    "docs/benchmarks.md": {
        "stylebeam visualize --input big": (
            "needs a large picture: tests/pipelines/visualize/test_job.py draws one"
        ),
    },
    "docs/dask.md": {"stylebeam stylize --content /data": _CLUSTER},
    "docs/engines.md": {"stylebeam stylize --content photos": _CLUSTER},
    "docs/operations.md": {
        "stylebeam stylize --content photos": (
            "needs bash and jq: tests/pipelines/command/console reads the events"
        ),
    },
    "docs/running-at-scale.md": {"stylebeam stylize --content gs://": _CLUSTER},
    "infra/dataflow/README.md": {"stylebeam stylize --content gs://": _CLUSTER},
    "docs/import-weights.md": {
        "stylebeam": "needs weights of others; tests/pipelines/import_weights draws"
    },
    "docs/ingest.md": {
        "stylebeam ingest --input VOC2012": _LABELS,
        "stylebeam ingest --input coco8": _LABELS,
        "stylebeam ingest --input val2017": _LABELS,
        "stylebeam ingest --input tfds:": "needs TFDS's files of COCO, 38 GB",
        "stylebeam ingest --input photos --output data/photos --name photos "
        "--direct_num_workers": "starts processes: tests/pipelines/ingest does it",
    },
    "docs/model-card.md": {"stylebeam": "needs the photographs of the ruler"},
    "docs/stylize.md": {
        "stylebeam stylize --content photos --style paintings --output out "
        "--direct_num_workers": "starts processes: tests/pipelines/stylize does it",
    },
    "docs/train.md": {
        "stylebeam train --content data/coco data/photos": _DAYS,
    },
    "docs/view.md": {
        "stylebeam view": "runs until Ctrl-C: tests/pipelines/view starts and ends it",
    },
    "docs/visualize.md": {
        "stylebeam visualize --input photos --output named --weights": (
            "needs weights with the head; tests/model/networks draws a narrow one"
        ),
        "stylebeam visualize --input photos --output seen19": "needs weights of VGG-19",
        "stylebeam visualize --input photos --output why": (
            "takes minutes: tests/pipelines/visualize runs its kinds narrowly"
        ),
        "stylebeam visualize --input demo/content demo/styles --output changed": (
            _COMPARED
        ),
        "stylebeam visualize --input photos --output alike": _COMPARED,
    },
}
# Their notebooks run them when the site is built.
_NOTEBOOKS = "docs/tutorials/"


def reason(document: str, command: str) -> str:
    """Return why a command is not run; nothing where it is."""
    for beginning, why in NOT_RUN.get(document, {}).items():
        if command.startswith(beginning):
            return why
    return ""


COMMANDS = {
    name_of(path): lines
    for path in DOCUMENTS
    if not name_of(path).startswith(_NOTEBOOKS)
    and (lines := command_lines(path.read_text("utf-8")))
}
RUN = {
    document: [line for line in lines if not reason(document, line)]
    for document, lines in COMMANDS.items()
}


def test_every_reason_is_of_a_command_that_is_there() -> None:
    stale = [
        (document, beginning)
        for document, reasons in NOT_RUN.items()
        for beginning in reasons
        if not any(line.startswith(beginning) for line in COMMANDS.get(document, []))
    ]

    assert stale == []


def test_commands_that_are_not_run_are_counted() -> None:
    total = sum(map(len, COMMANDS.values()))
    run = sum(map(len, RUN.values()))
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")

    assert f"{run} of the {total} commands in README and docs run" in text


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> pathlib.Path:
    """A folder with every file that the documents name, small."""
    root = tmp_path_factory.mktemp("tree")
    painter = np.random.default_rng(20170320)
    made = 0

    def draw(name: str, size: tuple[int, int] = (96, 80)) -> None:
        nonlocal made
        made += 1
        y, x = np.mgrid[0 : size[1], 0 : size[0]]
        a, b, c = painter.uniform(0.05, 0.6, 3)
        planes = [np.sin(a * x + b * y), np.cos(c * x), np.sin(b * y - c * x + made)]
        pixels = np.rint(np.stack(planes, axis=-1) * 110 + 128).astype(np.uint8)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    for name in (
        *(f"photos/{number}.jpg" for number in range(6)),
        *(f"paintings/{number}.png" for number in range(6)),
        *("cat.png", "photo.jpg", "starry.jpg", "waves.png"),
        *("a.jpg", "b.jpg", "c.jpg", "d.jpg", "holiday/beach.jpg", "more/hut.webp"),
        *("monday/photos/1.jpg", "tuesday/photos/1.jpg"),
        *("demo/content/chelsea.png", "demo/styles/woodblock-waves.jpg"),
        *(f"demo/styles/{number}.png" for number in range(5)),
        *(f"wikiart/Cubism/juan-gris_guitar-{number}.jpg" for number in range(12)),
        *(f"train2014/COCO_{number}.jpg" for number in range(6)),
        *("train2017/1.jpg", "in/1.jpg"),
        *("folder/a.jpg", "folder/b.jpg"),
    ):
        draw(name)
    for name in ("train/cat/1.png", "train/dog/2.png", "val/cat/3.png"):
        draw(f"pets/{name}", (320, 280))
    for name in ("a", "b"):
        mask = np.zeros((80, 96), np.uint8)
        mask[20:50, 20:60] = 1
        Image.fromarray(mask).save(root / f"folder/{name}.mask.png")
    (root / "folder/metadata.jsonl").write_text(
        '{"file_name": "a.jpg", "taken": "monday"}\n'
        '{"file_name": "b.jpg", "taken": "tuesday"}\n',
        "utf-8",
    )
    _write_coco(root)
    for archive in ("train2014.zip", "train2017.zip"):
        with zipfile.ZipFile(root / archive, "w") as file:
            for path in sorted((root / archive.removesuffix(".zip")).iterdir()):
                file.write(path, path.name)
    for archive, folder in (("holiday.tar", "holiday"), ("paintings.tar", "paintings")):
        with tarfile.open(root / archive, "w") as file:
            file.add(root / folder, folder)
    _write_records(root)
    with (root / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["content", "style"], ["1.jpg", "2.png"]])
    (root / "job.toml").write_text(
        'content = ["photos"]\nstyle = ["paintings"]\noutput = "out"\n', "utf-8"
    )
    (root / "pets.csv").write_text("label,class\ncat,cat\ndog,dog\n", "utf-8")
    sweep = root / "examples/sweeps/course.toml"
    sweep.parent.mkdir(parents=True)
    # The first three of its runs.
    text = (ROOT / "examples/sweeps/course.toml").read_text("utf-8")
    runs = text.split("[[run]]")
    small = (
        runs[0].replace("size = 256", "size = 64").replace("steps = 200", "steps = 2")
    )
    sweep.write_text("[[run]]".join([small, *runs[1:4]]), "utf-8")
    return root


def _write_coco(root: pathlib.Path) -> None:
    for year, names in (
        ("2014", [f"COCO_{n}.jpg" for n in range(6)]),
        ("2017", ["1.jpg"]),
    ):
        images = [
            {"id": number, "file_name": name, "width": 96, "height": 80}
            for number, name in enumerate(names, start=1)
        ]
        captions = [
            {"id": i["id"], "image_id": i["id"], "caption": "x"} for i in images
        ]
        box = {"bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0, "category_id": 1}
        outline = {"segmentation": [[10, 10, 30, 10, 30, 30, 10, 30]]}
        objects = [
            {"id": i["id"], "image_id": i["id"], **box, **outline} for i in images
        ]
        categories = [{"id": 1, "name": "cat", "supercategory": "animal"}]
        for kind, annotations in (("captions", captions), ("instances", objects)):
            value = {"images": images, "annotations": annotations}
            if kind == "instances":
                value["categories"] = categories
            path = root / f"annotations/{kind}_train{year}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(value), "utf-8")
    shutil.copy(root / "annotations/captions_train2014.json", root)


def _write_records(root: pathlib.Path) -> None:
    """Write a set of WebDataset and one of Parquet, a picture each."""
    shards = root / "shards"
    shards.mkdir()
    for number in range(13):
        with tarfile.open(shards / f"train-{number:04}.tar", "w") as file:
            if number < 2:
                file.add(root / ("a.jpg", "b.jpg")[number], f"{number}.jpg")
    data = (root / "a.jpg").read_bytes()
    table = pa.table({"image": [{"bytes": data, "path": "a.jpg"}]})
    (root / "pets/data").mkdir()
    pq.write_table(table, root / "pets/data/train.parquet")


@pytest.fixture(scope="module")
def made(tree) -> pathlib.Path:
    """The tree with what documents take for made before: data sets and a bundle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree)
        for name, source in (("coco", "photos"), ("wikiart", "paintings")):
            words = ["--input", source, "--output", f"data/{name}", "--name", name]
            assert cli.main(["ingest", *words, *SMALL["ingest"]]) == 0
        shutil.copytree("data/coco", "data/photos")
        shutil.copytree("data/wikiart", "D")
        words = ["--content", "D", "--style", "D", "--workdir", "W"]
        assert cli.main(["train", *words, *SMALL["train"]]) == 0
        assert cli.main(["export", "--workdir", "W", "--output", "BUNDLE"]) == 0
        words = ["--content", "photos", "--style", "paintings", "--output", "grid"]
        assert cli.main(["stylize", *words]) == 0
    return tree


def _small(words: list[str]) -> list[str]:
    """Return the flags that make a command small."""
    if words[1:] == ["--help"] or "--split-from" in words:
        return []
    kinds = words[words.index("--kinds") + 1] if "--kinds" in words else ""
    return [
        *SMALL.get(words[0], []),
        *(SMALL_ACTIVATION if "activation" in kinds else []),
    ]


# Their commands follow one another; those of other documents are alternatives, each
# in a fresh copy of the tree. They make what is named here, so it must not be there.
SEQUENCES = {"README.md": ["data", "grid"], "docs/train.md": ["data", "W", "BUNDLE"]}


def _run(line: str) -> int:
    words = shlex.split(line, comments=True)[1:]
    with contextlib.ExitStack() as until:
        if words[-2:-1] == [">"]:
            *words, _, name = words
            file = until.enter_context(pathlib.Path(name).open("w", encoding="utf-8"))
            until.enter_context(contextlib.redirect_stdout(file))
        try:
            return cli.main([*words, *_small(words)])
        except SystemExit as ended:  # --help
            return int(ended.code or 0)


def _clear(folder: pathlib.Path, line: str) -> None:
    """Take away what a command makes, as its reader has it not."""
    words = shlex.split(line, comments=True)
    if "--output" in words:
        shutil.rmtree(folder / words[words.index("--output") + 1], ignore_errors=True)
    # Two examples of a page name two data sets `pets`.
    if "pets/data" not in line:
        shutil.rmtree(folder / "pets/data")


@pytest.mark.docs
@pytest.mark.parametrize("document", [name for name, lines in RUN.items() if lines])
def test_commands_of_a_document_run(
    document: str, made, tmp_path, monkeypatch, capsys
) -> None:
    for number, line in enumerate(RUN[document]):
        folder = tmp_path / ("reader" if document in SEQUENCES else f"reader-{number}")
        if not folder.exists():
            shutil.copytree(made, folder)
            for name in SEQUENCES.get(document, []):
                shutil.rmtree(folder / name)
        if document not in SEQUENCES:
            _clear(folder, line)
        monkeypatch.chdir(folder)

        assert _run(line) == 0, f"{line}\n{capsys.readouterr().err[-2000:]}"
