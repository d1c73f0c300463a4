"""Flags over a file over the defaults, and every way in which a file can be wrong."""

import argparse
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any, get_args

import pytest

from model.options import Option
from pipelines.cli import main
from pipelines.command.console.config import ConsoleConfig
from pipelines.command.flags import all_options, flag_of
from pipelines.errors import UsageError
from pipelines.settings.commands import COMMANDS
from pipelines.settings.config import Configurable
from pipelines.settings.example import example
from pipelines.settings.files import read_settings
from pipelines.settings.parser import build_parser, config_from_args, parse
from pipelines.train.job_notes import settings_of

Write = Callable[[str], str]


@pytest.fixture
def written(tmp_path: pathlib.Path) -> Write:
    """Return a writer of `job.toml`; returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "job.toml"
        path.write_text(text, "utf-8")
        return str(path)

    return write


def config_of(words: list[str]) -> Any:
    return config_from_args(parse(words)[0])


FILE = """
command = "stylize"
content = ["photos", "others"]
style = "paintings"
output = "out"
alpha = [0.5, 1]
content-size = 512
retry-failed = true

[beam]
direct_num_workers = 2
experiments = ["a", "b"]
save_main_session = true
job_name = "nightly"
"""


class TestFile:
    def test_file_is_what_would_have_been_typed(self, written: Write) -> None:
        args, beam_flags = parse(["stylize", "--config", written(FILE)])

        typed = ["stylize", "--content", "photos", "others", "--style", "paintings"]
        typed += ["--output", "out", "--alpha", "0.5,1", "--content-size", "512"]
        assert config_from_args(args) == config_of([*typed, "--retry-failed"])
        assert beam_flags == [
            "--direct_num_workers=2",
            "--experiments=a",
            "--experiments=b",
            "--save_main_session",
            "--job_name=nightly",
        ]

    def test_flag_of_beam_may_have_a_name_of_ours(self, written: Write) -> None:
        inputs = 'input = ["c"]\noutput = "o"\nnetwork = "vgg19"\n'
        path = written(f'{inputs}[beam]\nnetwork = "default"\n')
        args, beam_flags = parse(["visualize", "--config", path])

        assert (args.network, beam_flags) == ("vgg19", ["--network=default"])

    def test_flags_overrule_it(self, written: Write) -> None:
        words = ["--content", "mine", "--alpha=0.25", "--no-retry-failed"]
        words += ["--direct_num_workers", "3", "--experiments=c"]
        args, beam_flags = parse(["stylize", f"--config={written(FILE)}", *words])

        config = config_from_args(args)
        assert config.content == ("mine",)
        assert config.style == ("paintings",)
        assert config.alpha == (0.25,)
        assert config.content_size == 512
        assert not config.retry_failed
        # Each flag of Beam's once, with its value.
        assert beam_flags == [
            "--save_main_session",
            "--job_name=nightly",
            "--direct_num_workers",
            "3",
            "--experiments=c",
        ]

    def test_flag_takes_the_place_of_what_it_excludes(self, written: Write) -> None:
        inputs = 'content = ["c"]\nstyle = ["s"]\nworkdir = "w"\n'
        path = written(f'{inputs}crop-schedule = "96:4000,192"\n')

        assert config_of(["train", "--config", path]).settings.crop_schedule
        config = config_of(["train", "--config", path, "--crop", "64"])
        assert config.settings.crop_schedule is None
        assert config.settings.crop == 64
        path = written(f'{inputs}crop = 64\ncrop-schedule = "96:4000,192"\n')
        with pytest.raises(UsageError, match="--crop and --crop-schedule"):
            parse(["train", "--config", path])

    def test_positional_may_stand_in_it(self, written: Write) -> None:
        path = written('output = "out"\nrepair = true')

        assert config_of(["verify", "--config", path]).output == "out"
        assert config_of(["verify", "other", "--config", path]).output == "other"

    def test_positional_out_of_some_may_stand_in_it(
        self, written: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = written('of = "verify"')

        assert config_of(["config", "--config", path]).of == "verify"
        assert config_of(["config", "doctor", "--config", path]).of == "doctor"
        with pytest.raises(SystemExit):
            parse(["config", "nonsense", "--config", path])
        assert "invalid choice: 'nonsense' (choose from" in capsys.readouterr().err

    def test_name_behind_two_dashes_is_no_flag(self) -> None:
        assert parse(["view", "--", "--config"])[0].output == "--config"
        assert parse(["view", "--", "--config=x"])[0].output == "--config=x"

    def test_console_may_be_set_in_it(self, written: Write) -> None:
        args, _ = parse(["verify", "--config", written('output = "o"\nquiet = true')])

        assert args.quiet
        assert args.progress == "auto"

    def test_without_a_file_a_switch_has_no_opposite(self) -> None:
        words = ["stylize", "--content", "c", "--style", "s", "--output", "o"]
        assert "--no-overwrite" in parse([*words, "--no-overwrite"])[1]

    def test_help_tells_defaults_beside_a_file(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            parse(["stylize", "--config", "nowhere.toml", "--help"])
        assert "(default: 95)" in capsys.readouterr().out


WRONG = {
    "content-sizes = 5": "'content-sizes' is no option .* nearest is content-size",
    "content_size = 5": "'content_size' is no option .* nearest is content-size",
    "ouput = 'o'": "'ouput' is no option .* nearest is output",
    "config = 'f'": "'config' is no option",
    "workdir = 'w'": "'workdir' is no option of `stylebeam stylize`",
    "content-size = '512'": "content-size is '512', expected a whole number",
    "content-size = 5.5": "content-size is 5.5, expected a whole number",
    "content-size = true": "content-size is True, expected a whole number",
    "content-size = [5]": r"content-size is \[5\], expected a whole number",
    "overwrite = 1": "overwrite is 1, expected true or false",
    "overwrite = 'yes'": "overwrite is 'yes', expected true or false",
    "output = 1979-05-27": "output is .*, expected a text",
    "content = [1]": "content is 1, expected a text, or a list",
    "content = []": r"content is \[\], expected at least one",
    r'content = ["a", "b\u0000"]': "content is 'b.x00', .* no zero byte",
    r'output = "\u0000"': "output is '.x00', expected a text, with no zero byte",
    r"[beam]" "\n" r'runner = "\u0000"': r"\[beam\] 'runner' is .* no zero byte",
    "content = {a = 1}": "content is .*, expected a text, or a list",
    "alpha = [[1]]": r"alpha is \[1\], expected a number, or a list",
    "alpha = nan": "alpha is nan, expected a number",
    f"max-failure-rate = 1{'0' * 400}": "max-failure-rate is 10+.*, expected a number",
    "format = 'gif'": "format is 'gif', expected one of ",
    "command = 'ingest'": "is of `stylebeam 'ingest'`, not of `stylebeam stylize`",
    "beam = 1": r"beam is 1, expected a table that begins with \[beam\]",
    "[beam]\nrunner = false": r"\[beam\] 'runner' is False, expected .* Leave out",
    "[beam]\nrunner = {a = 1}": r"\[beam\] 'runner' is .*, expected",
    "[beam]\nx = 1\ncontent-size = 5": "content-size is an option .* above \\[beam\\]",
    "[stylize]\ncontent = 'c'": "'stylize' is no option",
    "content = ": "job.toml: ",
    "content = 'a'\ncontent = 'b'": "job.toml: ",
    f"content = {'[' * 2000}{']' * 2000}": "job.toml: ",
    "": "has --content, --output",
}


class TestWrongFiles:
    @pytest.mark.parametrize("text", WRONG, ids=[text[:30] for text in WRONG])
    def test_what_is_wrong_is_named(self, text: str, written: Write) -> None:
        with pytest.raises(UsageError, match=WRONG[text]) as caught:
            parse(["stylize", "--config", written(text)])
        assert "--config " in str(caught.value)

    def test_bytes_that_are_no_text_are_named(self, tmp_path: pathlib.Path) -> None:
        path = tmp_path / "a.toml"
        path.write_bytes('output = "é"'.encode("latin-1"))
        with pytest.raises(UsageError, match="UTF-8"):
            parse(["stylize", "--config", str(path)])
        path.write_bytes('\ufeffoutput = "é"'.encode())
        with pytest.raises(UsageError, match="has --content"):
            parse(["stylize", "--config", str(path)])

    @pytest.mark.parametrize("name", ["", "nowhere.toml", "pipe", "https://a/b.toml"])
    def test_what_is_no_file_is_named(self, name: str, tmp_path: pathlib.Path) -> None:
        path = name if "://" in name else str(tmp_path / name)
        if name == "pipe":
            os.mkfifo(path)
        with pytest.raises(UsageError, match="--config ") as caught:
            parse(["stylize", "--config", path])
        assert ("job.json" in str(caught.value)) == (not name)

    def test_command_ends_with_one_line(
        self, written: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["stylize", "--config", written("contents = 1")]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("stylebeam stylize: error: --config ")
        assert said.err.endswith("The nearest is content.\n")

    def test_value_out_of_range_is_that_of_the_flag(
        self, written: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["stylize", "--config", written(f"{FILE}").strip()]) == 2
        path = written(FILE.replace("512", "8"))
        assert main(["stylize", "--config", path]) == 2
        assert "--content-size 8: expected 0 (keep)" in capsys.readouterr().err


JOB = {
    "command": "stylize",
    "config": {
        "content": ["photos"],
        "style": ["paintings"],
        "output": "out",
        "alpha": [0.5, 1.0],
        "style_bank": None,
        "overwrite": True,
    },
    "launch": {
        "beam_flags": ["--direct_num_workers", "2", "--job_name=n"],
        "shared_filesystem": True,
    },
}


class TestJob:
    @pytest.fixture
    def job(self, tmp_path: pathlib.Path) -> Callable[..., list[str]]:
        """Return a writer of a job.json with changes; returns the words of a run."""

        def write(_command: str = "stylize", **changes: Any) -> list[str]:
            path = tmp_path / "job.json"
            path.write_text(json.dumps({**JOB, **changes}), "utf-8")
            return [_command, "--config", str(path)]

        return write

    def test_run_is_repeated_and_overwrites_only_when_told(
        self, job: Callable[..., list[str]]
    ) -> None:
        args, beam_flags = parse(job())
        config = config_from_args(args)

        assert (config.content, config.alpha) == (("photos",), (0.5, 1.0))
        assert config.launch.shared_filesystem
        assert not config.overwrite
        assert beam_flags == ["--direct_num_workers", "2", "--job_name=n"]
        args, beam_flags = parse([*job(), "--overwrite", "--direct_num_workers=1"])
        assert config_from_args(args).overwrite
        assert beam_flags == ["--job_name=n", "--direct_num_workers=1"]

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"command": "ingest"}, "of `stylebeam 'ingest'`"),
            ({"command": 1}, "is no job.json of stylebeam: command"),
            ({"config": {"conten": ["a"]}}, "'conten' is no option .* is content"),
            ({"config": {"content": [1]}}, "content is 1, expected a text"),
            ({"config": 1}, "is no job.json"),
            ({"launch": {"beam_flags": "--a"}}, "launch is .*, expected Beam's flags"),
            ({"launch": {"beam_flags": [1]}}, "launch is"),
            ({"launch": [1]}, "launch is"),
            ({"launch": {"beam_flags": ["--a=\0"]}}, "launch is .* no zero byte"),
            # Half a character, which JSON may have.
            ({"config": {"content": ["\ud800"]}}, "content is .*ud800', expected a"),
            (
                {"config": {"content": ["https://…@host/a"]}},
                "had a secret, .* on the command line",
            ),
        ],
    )
    def test_what_is_wrong_is_named(
        self, changes: dict[str, Any], said: str, job: Callable[..., list[str]]
    ) -> None:
        with pytest.raises(UsageError, match=said):
            parse(job(**changes))

    def test_what_is_typed_takes_the_place_of_what_had_a_secret(
        self, job: Callable[..., list[str]]
    ) -> None:
        changes = {"content": ["https://…@host/a"], "style": ["s"], "output": "o"}
        words = job(config=changes, launch={"beam_flags": ["--a=https://…@host/b"]})
        with pytest.raises(UsageError, match=r"'--a=.*' had a secret"):
            parse([*words, "--content", "mine"])
        args, flags = parse([*words, "--content", "mine", "--a=b"])
        assert (args.content, flags) == (["mine"], ["--a=b"])

    def test_job_without_its_settings_is_named(self, tmp_path: pathlib.Path) -> None:
        path = tmp_path / "job.json"
        path.write_text('{"command": "stylize"}')
        with pytest.raises(UsageError, match="it has no config"):
            parse(["stylize", "--config", str(path)])

    def test_training_with_all_that_it_can_be_asked(
        self, job: Callable[..., list[str]]
    ) -> None:
        words = ["train", "--content", "a", "b", "--style", "c", "--workdir", "w"]
        words += ["--crop-schedule", "96:4000,192", "--encoder-channels", "8,8,8,8"]
        words += ["--distill-steps", "10", "--adain-layers", "relu4_1,relu1_1"]
        config = config_of(words)

        saved = json.loads(json.dumps(settings_of(config)))
        assert config_of(job("train", command="train", config=saved)) == config


# What each command that writes a job.json can be asked, beside what it must be.
ASKED = {
    "ingest": "--input a b --name n --output o --near-duplicates drop --shards 3 "
    "--size 64",
    "train": "--content a --style b --workdir w --init paper --ema 0.5 --crop 64",
    "evaluate": "--content a --style b --output o --bundle paper --size 64",
    "stylize": "--content a --style b c --output o --alpha 0,0.125 --metrics "
    "--max-tile-pixels 300000 --format png",
    "optimize": "--content a --style b --output o --content-layers block5_conv2 "
    "--steps 9 --tv-weight 0.25",
    "visualize": "--input a --output o --layers block1_conv1,block4_conv1 "
    "--no-randomization-check",
}


@pytest.mark.parametrize("command", ASKED)
def test_job_of_every_command_repeats_it(command: str, tmp_path: pathlib.Path) -> None:
    config = config_of([command, *ASKED[command].split()])
    saved = dataclasses.asdict(config)
    saved.pop("launch", None)
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"command": command, "config": saved}), "utf-8")

    assert config_of([command, "--config", str(path)]) == config


@pytest.mark.parametrize("command", get_args(Configurable))
class TestEveryCommand:
    def test_example_changes_nothing(self, command: str, written: Write) -> None:
        config = COMMANDS[command].config
        text = example(command)
        needed = {n: a for n, a in all_options(config).items() if a.required}
        words = [
            word
            for name, about in needed.items()
            for word in (
                [name] if about.positional else [flag_of(name), f"x.{name}.weights.h5"]
            )
        ]
        if command == "stylize":  # which needs styles or a bank
            words += ["--style", "s"]

        read = parse([command, *words, "--config", written(text)])
        plain = parse([command, *words])

        assert {**vars(read[0]), "config": None} == vars(plain[0])
        assert read[1] == plain[1] == []

    def test_example_has_each_option_with_its_help(self, command: str) -> None:
        text = example(command)
        options = all_options(COMMANDS[command].config) | all_options(ConsoleConfig)
        del options["config"]
        for name, about in options.items():
            assert text.count(f"\n# {flag_of(name)[2:]} = ") == 1, name
            assert about.help.split()[0] in text

    def test_lines_with_a_default_say_the_default(
        self, command: str, written: Write
    ) -> None:
        options = all_options(COMMANDS[command].config)
        lines = dict(
            line.removeprefix("# ").split(" = ", 1)
            for line in example(command).splitlines()
            if line.startswith("# ") and " = " in line and '" = ' not in line
        )
        plain = {
            name: about
            for name, about in options.items()
            if not about.required and about.default is not None
        }
        text = "".join(
            f"{key} = {lines[key]}\n"
            for name, about in plain.items()
            if not about.instead_of and about.default != ()
            for key in [flag_of(name)[2:]]
        )
        path = pathlib.Path(written(text))
        values = read_settings(str(path), command).values
        for name, value in values.items():
            about: Option = plain[name]
            read = about.read(value) if about.read else value
            read = tuple(read) if about.many else read
            assert read == about.default, name


def test_commands_that_make_something_have_an_example() -> None:
    assert {*get_args(Configurable), "config", "completion"} == set(COMMANDS)


def test_no_option_has_the_name_of_one_of_all_commands() -> None:
    shared = set(all_options(ConsoleConfig)) | {"command", "beam"}
    for command, about in COMMANDS.items():
        assert not shared & set(all_options(about.config)), command


def test_every_command_has_the_options_of_all() -> None:
    actions = build_parser()._actions
    (commands,) = (a.choices for a in actions if isinstance(a.choices, dict))
    for parser in commands.values():
        assert isinstance(parser, argparse.ArgumentParser)
        found = {action.dest for action in parser._actions}
        assert found >= {field.name for field in dataclasses.fields(ConsoleConfig)}
