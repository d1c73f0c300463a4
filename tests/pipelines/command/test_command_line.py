"""The command line of a data card is the same wherever and however a job ran."""

import os

from pipelines.command.command_line import command_line
from pipelines.ingest.config import IngestConfig
from pipelines.stylize.config import StylizeConfig


def test_only_what_decides_pictures_is_told_and_no_folder():
    config = StylizeConfig(
        content=("/home/me/photos/", "b=s3://bucket/more/x y.zip"),
        style=("paintings/*.jpg",),
        output="/home/me/out",
        pairing="sample",
        styles_per_content=2,
        seed=7,
        alpha=(0.5, 1.0),
        overwrite=True,
        max_failure_rate=0.5,
        metrics=True,
    )
    assert command_line("stylize", config) == (
        "stylebeam stylize --content 'b=x y.zip' photos --style '*.jpg' "
        "--pairing sample --styles-per-content 2 --seed 7 --alpha 0.5,1 --metrics "
        "--output OUT"
    )


def test_a_file_of_pairs_is_a_path_and_a_word_is_none(tmp_path):
    for pairing, told in (("zip", "zip"), (str(tmp_path / "p.csv"), "p.csv")):
        config = StylizeConfig(
            content=("c",), style=("s",), output="o", pairing=pairing
        )
        assert f"--pairing {told} " in command_line("stylize", config)


def test_a_folder_is_named_as_from_outside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = IngestConfig(input=(".",), output="o", name="a")
    line = f"stylebeam ingest --input {tmp_path.name} --name a --output OUT"
    assert command_line("ingest", config) == line
    monkeypatch.chdir(os.sep)
    config = IngestConfig(input=(str(tmp_path),), output="o", name="a")
    assert command_line("ingest", config) == line


def test_the_name_of_a_data_set_is_no_path():
    inputs = ("tfds:coco/2014#train", "a=tfds:/data/set", "webdataset:/x/b.tar")
    config = IngestConfig(input=inputs, output="o", name="a")
    told = "a=tfds:set 'tfds:coco/2014#train' webdataset:b.tar"
    assert f" --input {told} --name" in command_line("ingest", config)


def test_a_name_that_is_not_utf8_is_told_with_its_bytes():
    config = IngestConfig(input=("caf\udce9",), output="o", name="a")
    line = "stylebeam ingest --input 'caf\\xe9' --name a --output OUT"
    assert command_line("ingest", config) == line
