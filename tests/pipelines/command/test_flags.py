"""A field of a configuration becomes a flag, and what was typed a configuration."""

import argparse
import dataclasses
from typing import Literal

import pytest

from model.options import (
    SHARE,
    at_least,
    between,
    numbers,
    option,
    required,
    words,
    wrong_value,
    zero_or_at_least,
)
from pipelines import cli
from pipelines.command.flags import (
    add_flags,
    check_ranges,
    make_config,
    refuse_beam_flags,
)
from pipelines.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paint:
    """A group of options."""

    color: Literal["red", "blue"] = option("red", "what colour the paint has")
    layers: tuple[str, ...] = option(("a", "b"), "names with commas", read=words)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fence:
    """A configuration with one option of each kind."""

    places: tuple[str, ...] = required("where the fence stands", metavar="P")
    boards: int = option(10, "how many boards", between(1, 99), metavar="N")
    gap: float | None = option(None, "metres between the boards", at_least(0))
    side: int = option(0, "side of a board", zero_or_at_least(32), instead_of="boards")
    paint: Paint = dataclasses.field(default_factory=Paint)
    weights: tuple[float, ...] = option((1.0, 0.5), "of boards", SHARE, read=numbers)
    owners: tuple[str, ...] = option((), "who owns it")
    gate: bool = option(True, "with a gate")
    dry: bool = option(False, "build nothing")

    def __post_init__(self) -> None:
        check_ranges(self)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(allow_abbrev=False, prog="fence")
    add_flags(made, Fence)
    return made


def parse(line: str) -> Fence:
    return make_config(Fence, vars(parser().parse_args(line.split())))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Fence(places=("p",))),
        ("--boards 3", Fence(places=("p",), boards=3)),
        ("--gap 0.5", Fence(places=("p",), gap=0.5)),
        ("--side 64", Fence(places=("p",), side=64)),
        ("--color blue", Fence(places=("p",), paint=Paint(color="blue"))),
        ("--layers c,d", Fence(places=("p",), paint=Paint(layers=("c", "d")))),
        ("--layers=", Fence(places=("p",), paint=Paint(layers=()))),
        ("--weights 0,1", Fence(places=("p",), weights=(0.0, 1.0))),
        ("--owners a b", Fence(places=("p",), owners=("a", "b"))),
        ("--no-gate --dry", Fence(places=("p",), gate=False, dry=True)),
        ("--gate", Fence(places=("p",))),
    ],
)
def test_each_kind_of_field_is_read(line: str, expected: Fence) -> None:
    assert parse(f"--places p {line}") == expected


def test_flags_stand_in_the_order_of_the_fields_with_groups_where_they_are() -> None:
    names = [a.option_strings[0] for a in parser()._actions if a.dest != "help"]

    assert names == [
        *("--places", "--boards", "--gap", "--side", "--color", "--layers"),
        *("--weights", "--owners", "--gate", "--dry"),
    ]


def test_help_and_default_are_those_of_the_field() -> None:
    actions = {a.dest: a for a in parser()._actions}

    assert actions["boards"].help == "how many boards; 1 to 99"
    assert actions["dry"].help == "build nothing"
    assert actions["boards"].metavar == "N"
    shown = {name: action.default for name, action in actions.items()}
    assert shown["weights"] == "1,0.5"
    assert shown["layers"] == "a,b"
    assert shown["gap"] is None
    assert shown["gate"] is True
    assert actions["places"].required


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--boards 0", "--boards 0: expected 1 to 99."),
        ("--side 8", "--side 8: expected 0 (keep) or at least 32."),
        ("--gap nan", "--gap nan: expected at least 0."),
        ("--weights 1,2", "--weights 2.0: expected a share in [0, 1]."),
        ("--weights 1,x", "--weights 1,x: expected numbers with commas, found 'x'."),
    ],
)
def test_value_out_of_range_is_refused_by_flag_and_value(
    line: str, expected: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse(f"--places p {line}")

    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("", "--places"),
        ("--places p --boards two", "'two'"),
        ("--places p --color green", "'green'"),
        ("--places p --boards 3 --side 64", "--side: not allowed with argument --boa"),
        ("--places p --boar 3", "--boar"),
    ],
)
def test_parser_itself_refuses_the_rest(
    line: str, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(line)

    assert caught.value.code == 2
    assert part in capsys.readouterr().err.splitlines()[-1]


def test_word_that_is_no_choice_is_refused_in_python_too() -> None:
    wrong = wrong_value(Paint(color="green"))  # type: ignore[arg-type]

    assert wrong == ("color", "green", "one of red, blue")


def test_flags_of_beam_are_refused_where_there_is_no_beam() -> None:
    refuse_beam_flags([])
    with pytest.raises(UsageError, match="unrecognized arguments: --runner=X y"):
        refuse_beam_flags(["--runner=X", "y"])


def test_every_flag_of_every_command_has_a_help_that_stands_alone() -> None:
    (commands,) = (
        action
        for action in cli.build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    for name, command in commands.choices.items():
        for action in command._actions:
            text = action.help or ""
            said = f"{name} {action.option_strings}: {text!r}"
            assert len(text.split()) >= 3, said
            assert not text.startswith(("of ", "its ", "also ")), said
            assert "likewise" not in text, said
            assert "|" not in text, f"{said} would break the table of the docs"


@pytest.mark.parametrize("field", ["output", "workdir"])
def test_what_a_command_makes_must_have_a_name_in_utf8(field):
    config = dataclasses.make_dataclass(
        "Config", [(field, str, required("a folder", metavar="D"))], kw_only=True
    )
    assert getattr(make_config(config, {field: "réne 🐈"}), field) == "réne 🐈"
    with pytest.raises(UsageError, match=rf"--{field} .*expected a name in UTF-8"):
        make_config(config, {field: "caf\udce9"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo", "--output="], "--output ''"),
        (["view", ""], "OUT ''"),
        (["export", "--bundle=paper", "--output=b", "--saved-model="], "--saved-model"),
    ],
)
def test_what_a_command_makes_must_have_a_name(words, said, capsys):
    # As of a variable of the shell that is not set: it would be the root of all files.
    assert cli.main(words) == 2
    assert f"error: {said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "owners"),
    [
        ([], ()),
        (["--owners", "a", "b"], ("a", "b")),
        (["--owners", "a", "--owners", "b", "c"], ("a", "b", "c")),
    ],
)
def test_a_list_that_is_given_several_times_adds_up(flags, owners):
    typed = parser().parse_args(["--places", "x", "--places", "y", *flags])
    config = make_config(Fence, vars(typed))
    assert (config.places, config.owners) == (("x", "y"), owners)
