import argparse
import dataclasses
from typing import Any

import pytest

from pipelines.command.flags import add_flags, make_config
from pipelines.engines.config import LaunchConfig
from pipelines.errors import UsageError
from pipelines.stylize.config import StylizeConfig

INPUTS = {"content": ("c",), "style": ("s",), "output": "o"}


def parse(flags: str) -> StylizeConfig:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser, StylizeConfig)
    return make_config(StylizeConfig, vars(parser.parse_args(flags.split())))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", {}),
        ("--alpha 0", {"alpha": (0.0,)}),
        ("--alpha 0.125", {"alpha": (0.125,)}),
        # One of the decimals that binary fractions cannot hold.
        ("--alpha 0.29", {"alpha": (0.29,)}),
        ("--alpha 1,0.25,1", {"alpha": (1.0, 0.25)}),
        ("--pairing sample --seed 3", {"pairing": "sample", "seed": 3}),
        ("--style-bank b.parquet", {"style_bank": "b.parquet"}),
        ("--content-size 256", {"content_size": 256}),
        ("--style-size 0", {"style_size": 0}),
        ("--precision bfloat16", {"precision": "bfloat16"}),
        ("--format png --quality 80", {"format": "png", "quality": 80}),
        ("--max-failure-rate 1", {"max_failure_rate": 1.0}),
        ("--overwrite", {"overwrite": True}),
        ("--bundle gs://b/bundle", {"bundle": "gs://b/bundle"}),
    ],
)
def test_flags_give_the_config(flags: str, expected: dict[str, Any]) -> None:
    config = parse(f"--content c --style s --output o {flags}")

    assert config == StylizeConfig(**INPUTS, **expected)


def test_several_inputs_keep_their_order() -> None:
    config = parse("--style s2 s1 named=s3 --content c2 c1.zip --output o")

    assert config.content == ("c2", "c1.zip")
    assert config.style == ("s2", "s1", "named=s3")


def test_every_field_has_a_flag_with_its_default() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser, StylizeConfig)
    flags = {a.dest: a for a in parser._actions if a.dest != "help"}

    fields = [
        field for field in dataclasses.fields(StylizeConfig) if field.name != "launch"
    ]
    launch = {field.name for field in dataclasses.fields(LaunchConfig)}
    assert set(flags) == {field.name for field in fields} | launch
    for field in fields:
        if field.default is dataclasses.MISSING:
            assert flags[field.name].required
        else:
            if field.name != "style":  # given, but not required beside a bank
                found = getattr(parse("--content c --style s --output o"), field.name)
                assert found == field.default
            assert flags[field.name].help


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("alpha", (), "--alpha "),
        ("alpha", (1.5,), "--alpha 1.5"),
        ("alpha", (0.5, -0.1), "--alpha -0.1"),
        ("alpha", (float("nan"),), "--alpha nan"),
        ("alpha", (0.0005,), "--alpha 0.0005"),
        ("content_size", -1, "--content-size -1"),
        ("content_size", 31, "--content-size 31"),
        ("style_size", 8, "--style-size 8"),
        ("quality", 0, "--quality 0"),
        ("quality", 101, "--quality 101"),
        ("max_failure_rate", 1.01, "--max-failure-rate 1.01"),
        ("max_failure_rate", float("nan"), "--max-failure-rate nan"),
    ],
)
def test_value_out_of_range_is_refused_by_flag_and_value(
    name: str, value: object, flag: str
) -> None:
    with pytest.raises(UsageError) as caught:
        StylizeConfig(**(INPUTS | {name: value}))

    message = str(caught.value)
    assert message.startswith(f"{flag}: expected ")
    assert "\n" not in message


def test_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        StylizeConfig(**INPUTS).alpha = (0.5,)  # type: ignore[misc]
