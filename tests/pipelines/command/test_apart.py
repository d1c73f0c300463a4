"""Inputs and outputs lie beside each other, in whatever way they are spelled."""

import pathlib

import pytest

from model.options import Option, options_of
from pipelines import cli
from pipelines.command.apart import (
    absolute,
    check_apart,
    checker,
    is_inside,
    local_inputs,
)
from pipelines.errors import UsageError
from pipelines.optimize.config import OptimizeConfig
from pipelines.settings.commands import COMMANDS
from pipelines.stylize.config import StylizeConfig

# Options whose text is no path.
NO_PATHS = {
    "activation_between",
    "activation_of",
    "cam_layer",
    "channels",
    "check",
    "classes",
    "filter",
    "gradient_channels",
    "kinds",
    "layers",
    "license",
    "name",
}

# What each command must be given beside the option under test.
NEEDED = {
    "ingest": "--input {far} --output {out} --name set",
    "train": "--content {far} --style {far} --workdir {out}",
    "export": "--workdir {far} --output {out}",
    "import-weights": "--encoder {far} --decoder {far} --license x --output {out}",
    "evaluate": "--content {far} --style {far} --output {out}",
    "stylize": "--content {far} --style {far} --output {out}",
    "optimize": "--content {far} --style {far} --output {out}",
    "visualize": "--input {far} --output {out}",
}
EXTRA = {
    "captions": "--kind coco",
    "class-names": "--classes 1",
    "instances": "--kind coco",
    "panoptic": "--kind coco",
    "annotations": "--kind voc",
    "data-yaml": "--kind yolo --annotations {far}",
    "wikiart-list": "--kind wikiart",
}


def paths(use: str) -> list[tuple[str, str]]:
    """Return (command, flag) of every option that names a place of a use."""
    return [
        (command, name.replace("_", "-"))
        for command, about in COMMANDS.items()
        for name, option in options_of(about.config).items()
        if isinstance(option, Option) and option.path == use
    ]


@pytest.fixture
def places(tmp_path: pathlib.Path) -> dict[str, pathlib.Path]:
    """An output with something in it, and an input far from it."""
    out, far = tmp_path / "out", tmp_path / "far"
    for folder in (out / "images", far):
        folder.mkdir(parents=True)
        (folder / "a.png").touch()
    return {"out": out, "far": far}


def checked(command: str, flags: str, places: dict[str, pathlib.Path]) -> None:
    needed = NEEDED[command]
    if command == "export" and "--bundle" in flags:
        needed = needed.replace("--workdir {far} ", "")
    words = [word.format(**places) for word in f"{needed} {flags}".split()]
    args, _ = cli.build_parser().parse_known_args([command, *words])
    check_apart(cli.config_from_args(args))


class TestEveryCommand:
    def test_every_text_says_whether_it_is_a_path(self) -> None:
        unsaid = {
            f"{command} --{name}"
            for command, about in COMMANDS.items()
            for name, option in options_of(about.config).items()
            if isinstance(option, Option)
            and option.type is str
            and not (option.choices or option.read or option.path)
            and name not in NO_PATHS
        }

        # A new option: give it `path="read"` or "written", or name it above.
        assert unsaid == set()

    def test_every_command_reads_and_writes(self) -> None:
        commands = set(COMMANDS)

        # An output is all that these are given.
        alone = {"demo", "verify", "view"}
        # They say something and make nothing.
        speaking = {"completion", "config", "doctor"}
        assert {name for name, _ in paths("read")} == commands - alone - speaking
        assert {name for name, _ in paths("written")} == commands - speaking

    @pytest.mark.parametrize(("command", "flag"), paths("read"))
    @pytest.mark.parametrize("place", ["images/a.png", "images", "."])
    def test_input_inside_the_output_is_refused(
        self, command: str, flag: str, place: str, places: dict[str, pathlib.Path]
    ) -> None:
        flags = f"--{flag} {{out}}/{place} {EXTRA.get(flag, '')}"

        with pytest.raises(
            UsageError, match=f"^--{flag} .*lies inside --(output|work)"
        ):
            checked(command, flags, places)

    @pytest.mark.parametrize(("command", "flag"), paths("read"))
    def test_output_inside_an_input_is_refused(
        self, command: str, flag: str, places: dict[str, pathlib.Path]
    ) -> None:
        inner = {**places, "out": places["far"] / "new" / "out"}
        other = {**inner, "far": places["out"]}
        flags = f"--{flag} {places['far']} {EXTRA.get(flag, '')}"

        with pytest.raises(UsageError, match=r"^--(output|work).*lies inside --"):
            checked(command, flags, other)

    @pytest.mark.parametrize(
        ("command", "flag"), [p for p in paths("written") if p[0] in NEEDED]
    )
    def test_every_output_is_compared(
        self, command: str, flag: str, places: dict[str, pathlib.Path]
    ) -> None:
        words = f"--{flag} {{far}}/w.weights.h5"

        with pytest.raises(UsageError, match=f"^--{flag} .*lies inside --"):
            checked(command, words, places)

    @pytest.mark.parametrize("command", list(NEEDED))
    def test_places_beside_each_other_are_fine(
        self, command: str, places: dict[str, pathlib.Path]
    ) -> None:
        checked(command, "", places)


class TestSpellings:
    @pytest.mark.parametrize(
        "spelled",
        [
            "{out}/images",
            "{out}/../out/images/",
            "{out}//images/.",
            "{link}/images",
            "{deep}",
            "mine={out}/images",
            "{out}/images/*.png",
            "{out}/im*/a.png",
        ],
    )
    def test_input_is_found_in_the_output(
        self,
        spelled: str,
        places: dict[str, pathlib.Path],
        tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (tmp_path / "link").symlink_to(places["out"])
        (tmp_path / "deep").symlink_to(tmp_path / "link" / "images")
        named = {"link": tmp_path / "link", "deep": tmp_path / "deep"}
        spelled = spelled.format(**places, **named)

        for output in (places["out"], tmp_path / "link", tmp_path / "far/../out"):
            with pytest.raises(UsageError, match="lies inside --output"):
                checked("stylize", f"--content {spelled}", {**places, "out": output})
        monkeypatch.chdir(places["out"])
        with pytest.raises(UsageError, match="lies inside --output"):
            checked("stylize", "--content images/a.png --output .", places)

    def test_link_to_an_output_that_is_not_there_yet(
        self, places: dict[str, pathlib.Path], tmp_path: pathlib.Path
    ) -> None:
        (tmp_path / "new").symlink_to(places["far"] / "not" / "yet")

        with pytest.raises(UsageError, match="lies inside --content"):
            checked("stylize", "", {**places, "out": tmp_path / "new"})

    def test_named_file_beside_the_output_is_fine(
        self, places: dict[str, pathlib.Path]
    ) -> None:
        far = places["far"] / "a.png"

        checked("stylize", "", {"out": places["far"] / "out", "far": far})

    def test_names_are_no_paths(
        self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("default", "grid"):
            (tmp_path / name).mkdir()
        (tmp_path.parent / "far").mkdir(exist_ok=True)

        far = tmp_path.parent / "far"
        checked("stylize", "--bundle default", {"far": far, "out": pathlib.Path(".")})

    @pytest.mark.parametrize(
        ("inner", "outer", "inside"),
        [
            ("gs://b/d/x", "gs://b/d", True),
            ("gs://b/d/", "gs://b/d", True),
            ("GS://b//d/./x", "gs://b/d/", True),
            ("gs://b/data", "gs://b/d", False),
            ("gs://c/d", "gs://b/d", False),
            ("/b/d", "gs://b/d", False),
            ("gs://b/d", "/", False),
        ],
    )
    def test_urls(self, inner: str, outer: str, inside: bool) -> None:
        assert is_inside(inner, outer) is inside


class TestOwnBank:
    def test_bank_of_the_output_itself_is_fine(
        self, places: dict[str, pathlib.Path], tmp_path: pathlib.Path
    ) -> None:
        (places["out"] / "styles.parquet").touch()
        (tmp_path / "link").symlink_to(places["out"])

        for bank in ("{out}/styles.parquet", f"{tmp_path}/link/../out/styles.parquet"):
            checked("stylize", f"--style-bank {bank}", places)

    def test_another_bank_inside_the_output_is_refused(
        self, places: dict[str, pathlib.Path]
    ) -> None:
        (places["out"] / "old").mkdir()
        (places["out"] / "old" / "styles.parquet").touch()

        with pytest.raises(UsageError, match=r"^--style-bank .*lies inside --output"):
            checked("stylize", "--style-bank {out}/old/styles.parquet", places)


class TestChecker:
    def test_links_into_the_output_are_refused(
        self, places: dict[str, pathlib.Path]
    ) -> None:
        check = checker(str(places["out"]))
        (places["far"] / "folder").symlink_to(places["out"] / "images")
        (places["far"] / "file.png").symlink_to(places["out"] / "images" / "a.png")
        (places["far"] / "other.png").symlink_to(places["far"] / "a.png")

        check(str(places["far"] / "a.png"))
        check(str(places["far"] / "other.png"))
        check("gs://bucket/a.png")
        for name in ("folder/a.png", "file.png"):
            with pytest.raises(ValueError, match=f"{name}' leads into the output"):
                check(str(places["far"] / name))

    def test_output_that_is_not_there_holds_nothing(
        self, places: dict[str, pathlib.Path]
    ) -> None:
        checker(str(places["far"] / "new"))(str(places["far"] / "a.png"))


def test_paths_of_a_configuration_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "paintings"):
        (tmp_path / name).mkdir()
    config = StylizeConfig(
        content=("photos", "day=photos", "gs://b/c", "*.png"),
        style=("paintings",),
        output="out",
        bundle="paper",
        pairing="pairs.csv",
    )
    found = absolute(config)
    # The others become absolute where they are looked up.
    assert found.content == (str(tmp_path / "photos"), *config.content[1:])
    assert found.style == (str(tmp_path / "paintings"),)
    assert found.output == str(tmp_path / "out")
    assert found.pairing == str(tmp_path / "pairs.csv")
    assert (found.bundle, found.style_bank) == ("paper", "")
    assert absolute(found) == found


def test_inputs_of_this_machine_that_workers_read(tmp_path):
    sweep = OptimizeConfig(
        content=("gs://b/c", str(tmp_path)),
        style=("gs://b/s",),
        output="gs://b/o",
        weights="weights.npz",
        sweep="sweep.toml",
    )
    assert list(local_inputs(sweep)) == [
        ("--content", str(tmp_path)),
        ("--weights", "weights.npz"),
    ]


@pytest.mark.parametrize(
    ("flag", "given"),
    [
        ("--content", {"content": ("hdfs://x",), "style": ("s",), "output": "o"}),
        ("--style", {"content": ("c",), "style": ("https://x/y.jpg",), "output": "o"}),
        ("--output", {"content": ("c",), "style": ("s",), "output": "hdfs://x/y"}),
    ],
)
def test_a_url_of_another_kind_is_named_with_its_flag(flag, given):
    with pytest.raises(UsageError, match=rf"^{flag} \w+://x.*expected a local path"):
        check_apart(StylizeConfig(**given))
