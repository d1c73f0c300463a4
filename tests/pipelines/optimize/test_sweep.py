"""Flags and sweep files of `stylebeam optimize`, up to the settings that are run."""

import argparse
import pathlib
import tomllib

import pytest

from model.gatys.settings import GatysSettings
from pipelines.command.flags import add_flags, make_config
from pipelines.errors import UsageError
from pipelines.optimize.config import OptimizeConfig
from pipelines.optimize.sweep import Sweep, read_sweep
from transforms.optimize.schemas import OPTIMIZE_RUNS
from transforms.optimize.settings import SETTING_NAMES, RunSettings, flag_of

ROOT = pathlib.Path(__file__).resolve().parents[3]


def parse(flags=""):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser, OptimizeConfig)
    words = ["--content", "c", "--style", "s", "--output", "o", *flags.split()]
    return make_config(OptimizeConfig, vars(parser.parse_args(words)))


def gatys(**values):
    return RunSettings(gatys=GatysSettings(**values))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", {}),
        ("--network vgg19 --weights w.h5", {"network": "vgg19", "weights": "w.h5"}),
        (
            "--content-layers block5_conv2,block1_conv1",
            {"settings": gatys(content_layers=("block5_conv2", "block1_conv1"))},
        ),
        (
            "--style-layers block1_conv1,block2_conv1 --layer-weights 1,0.5",
            {
                "settings": gatys(
                    style_layers=("block1_conv1", "block2_conv1"),
                    layer_weights=(1.0, 0.5),
                )
            },
        ),
        (
            "--content-weight 2 --style-weight 1e4 --tv-weight 3 --tv isotropic",
            {
                "settings": gatys(
                    content_weight=2.0,
                    style_weight=1e4,
                    tv_weight=3.0,
                    tv="isotropic",
                )
            },
        ),
        (
            "--optimizer lbfgs --learning-rate 2 --steps 9 --init noise --pyramid 1",
            {
                "settings": gatys(
                    optimizer="lbfgs",
                    learning_rate=2.0,
                    steps=9,
                    init="noise",
                    pyramid=1,
                )
            },
        ),
        (
            "--precision bfloat16 --snapshots 0 --tolerance 0.001 --seed 7",
            {
                "settings": gatys(
                    precision="bfloat16", snapshots=0, tolerance=0.001, seed=7
                )
            },
        ),
        ("--size 0", {"settings": RunSettings(size=0)}),
        (
            "--preserve-color luminance",
            {"settings": RunSettings(preserve_color="luminance")},
        ),
        ("--sweep f.toml --max-runs 9", {"sweep": "f.toml", "max_runs": 9}),
        ("--max-failure-rate 1 --overwrite", {"max_failure_rate": 1.0, "overwrite": 1}),
    ],
)
def test_flags_give_the_config(flags, expected):
    wanted = OptimizeConfig(content=("c",), style=("s",), output="o", **expected)
    assert parse(flags) == wanted


def test_defaults_of_the_issue():
    settings = parse().settings
    assert settings.size == 384
    assert settings.gatys.pyramid == 2
    assert settings.gatys.snapshots == 5
    assert parse().max_runs == 1000


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            "--content-layers block9_conv1",
            "--content-layers block9_conv1: expected layers of vgg16, each once: "
            "block1_conv1, block1_conv2",
        ),
        ("--content-layers block5_conv4", "layers of vgg16"),
        ("--style-layers=", "--style-layers : expected at least one layer"),
        ("--content-layers=", "--content-layers : expected at least one layer"),
        ("--layer-weights 1,2", "--layer-weights 1.0,2.0: expected one for each"),
        ("--layer-weights 1,x", "--layer-weights 1,x: expected numbers"),
        ("--tv-weight=-1", "--tv-weight -1.0"),
        ("--style-weight nan", "--style-weight nan"),
        ("--learning-rate 0", "--learning-rate 0.0"),
        ("--steps 0", "--steps 0"),
        ("--pyramid 0", "--pyramid 0"),
        ("--tolerance 1", "--tolerance 1.0"),
        ("--size 31", "--size 31: expected 0 (keep) or at least 32"),
        ("--max-runs 0", "--max-runs 0"),
        ("--max-failure-rate 2", "--max-failure-rate 2.0"),
    ],
)
def test_bad_values_name_the_flag(flags, expected):
    with pytest.raises(UsageError) as caught:
        parse(flags)
    assert expected in str(caught.value)


def test_vgg19_has_more_layers():
    config = parse("--network vgg19 --content-layers block5_conv4")
    assert config.settings.gatys.content_layers == ("block5_conv4",)


def test_settings_are_columns_of_the_table():
    columns = OPTIMIZE_RUNS.field("settings").type
    assert {field.name for field in columns} == set(SETTING_NAMES)
    assert {*RunSettings().to_json()} == set(SETTING_NAMES)


@pytest.fixture
def sweep(tmp_path):
    """Return a reader of sweep files by their text."""

    def read(text, base=None):
        path = tmp_path / "sweep.toml"
        path.write_text(text, "utf-8")
        return read_sweep(str(path), base or RunSettings())

    return read


def names_and(found, setting):
    return [(s.name, s.settings.values()[setting]) for s in found.settings("vgg16")]


def test_without_a_file_the_flags_are_the_one_setting():
    found = Sweep(gatys(steps=7))
    assert len(found) == 1
    assert names_and(found, "steps") == [("", 7)]


def test_lists_are_multiplied_and_the_file_overrides_the_flags(sweep):
    found = sweep(
        "[settings]\nsteps = 20\n"
        "[sweep]\nstyle-weight = [1, 10]\ntv = ['anisotropic', 'isotropic']\n"
        "content-layers = [['block4_conv2'], ['block1_conv1', 'block5_conv2']]",
        gatys(steps=7, seed=3),
    )
    assert len(found) == 8
    settings = [s.settings.gatys for s in found.settings("vgg16")]
    assert len(set(settings)) == 8
    assert {(s.steps, s.seed) for s in settings} == {(20, 3)}
    assert {type(s.style_weight) for s in settings} == {float}
    assert ("block1_conv1", "block5_conv2") in {s.content_layers for s in settings}


def test_runs_one_by_one_have_names(sweep):
    found = sweep(
        "[settings]\nsteps = 20\n[[run]]\nname = 'plain'\n"
        "[[run]]\nname = 'long'\nsteps = 40\n[[run]]\nsize = 64"
    )
    assert len(found) == 3
    assert names_and(found, "steps") == [("plain", 20), ("long", 40), ("", 20)]


def test_equal_settings_are_run_once(sweep):
    found = sweep("[sweep]\nsteps = [9, 8]\n[[run]]\nname = 'eight'\nsteps = 8")
    assert names_and(found, "steps") == [("", 9), ("eight", 8)]


def test_a_product_is_counted_without_being_made(sweep):
    values = ", ".join(map(str, range(1, 1001)))
    lists = [f"{name} = [{values}]" for name in ("seed", "steps", "style-weight")]
    assert len(sweep("[sweep]\n" + "\n".join(lists))) == 10**9


SWEEP_ERRORS = {
    "[sweep]\nstyle_weight = [1]": "[sweep] has the unknown key 'style_weight'. The "
    "keys are: content-layers, style-layers",
    "[settings]\nalpha = 1": "[settings] has the unknown key 'alpha'",
    "[[run]]\nname = 'x'\nfoo = 1": "[[run]] x has the unknown key 'foo'. The keys "
    "are: name, content-layers",
    "sweeps = 1": "the file has the unknown key 'sweeps'. The keys are: settings, "
    "sweep, run",
    "[sweep]\ntv-weight = 3": "[sweep] tv-weight: expected a list of values, each a "
    "number. Received: 3",
    "[sweep]\ntv-weight = []": "expected a list of values",
    "[sweep]\ntv-weight = [true]": "expected a number. Received: True",
    "[sweep]\ntv-weight = [inf]": "expected a number. Received: inf",
    "[sweep]\nsteps = [1.5]": "[sweep] steps: expected a whole number",
    "[sweep]\nstyle-layers = ['block1_conv1']": "[sweep] style-layers: expected a list "
    "of layers",
    "[settings]\ntv = 'euclidean'": "expected anisotropic or isotropic",
    "[settings]\nlayer-weights = ['a']": "expected a list of numbers",
    "[settings]\nsteps = -1": "steps -1: expected",
    "[[run]]\ncontent-layers = ['conv9']": "content-layers conv9: expected layers of "
    "vgg16",
    "[[run]]\nname = 3": "[[run]] 1: name: expected a text",
    "[[run]]\nname = 'a'\n[[run]]\nname = 'a'\nsteps = 8": "expected another name",
    "run = 3": "run: expected tables that begin with [[run]]",
    "settings = 3": "settings: expected a table that begins with [settings]",
    "a = ": "Invalid value",
}


@pytest.mark.parametrize("text", SWEEP_ERRORS)
def test_a_wrong_file_is_told_with_the_place(sweep, text):
    with pytest.raises(UsageError) as caught:
        sweep(text).settings("vgg16")
    assert str(caught.value).startswith("--sweep ")
    assert SWEEP_ERRORS[text] in str(caught.value)


def test_a_missing_file_is_told():
    with pytest.raises(UsageError, match=r"--sweep no.toml: .*no\.toml"):
        read_sweep("no.toml", RunSettings())


def test_ids_change_with_every_setting_and_the_network():
    others = {
        "content_layers": ("block5_conv2",),
        "style_layers": ("block1_conv1",),
        "layer_weights": (1.0, 2.0, 3.0, 4.0, 5.0),
        "tv": "isotropic",
        "optimizer": "lbfgs",
        "init": "noise",
        "pooling": "average",
        "precision": "bfloat16",
        "preserve_color": "luminance",
    }
    base = RunSettings().values()
    ids = {RunSettings().id("a"), RunSettings().id("b")}
    for name, value in base.items():
        changed = others.get(name, None if isinstance(value, str) else value)
        changed = value + 1 if name not in others else changed
        ids.add(RunSettings.from_values({**base, name: changed}).id("a"))
    assert len(ids) == 2 + len(base)
    assert RunSettings().slug() == "default"


def test_the_course_is_the_assignment():
    path = ROOT / "examples" / "sweeps" / "course.toml"
    found = read_sweep(str(path), RunSettings())
    settings = [s.settings for s in found.settings("vgg16")]
    assert len(settings) == len(found) <= 12
    assert {(s.size, s.gatys.steps) for s in settings} == {(256, 200)}
    assert all(s.name for s in found.settings("vgg16"))
    values = {name: {str(s.values()[name]) for s in settings} for name in SETTING_NAMES}
    studied = {name for name, found in values.items() if len(found) > 1}
    assert studied == {
        "content_weight",
        "style_weight",
        "tv_weight",
        "content_layers",
        "style_layers",
    }
    assert 0.0 in {s.gatys.tv_weight for s in settings}
    text = path.read_text("utf-8")
    assert {flag_of(name) for name in studied} <= {
        key for run in tomllib.loads(text)["run"] for key in run
    }


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_sweep_is_read_whatever_program_wrote_it(tmp_path, mark, end):
    path = tmp_path / "sweep.toml"
    path.write_bytes(mark + b"[sweep]" + end + b"style-weight = [10.0, 100.0]" + end)
    assert len(read_sweep(str(path), RunSettings())) == 2


def test_the_reported_sweep_is_read(shared):
    path = str(shared / "data" / "reports" / "sweep-bom.toml")
    sweep = read_sweep(path, RunSettings())
    assert sweep.product == {"style_weight": [10.0, 100.0]}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("[sweep]\n".encode("utf-16"), "it is UTF-16"),
        (b"[[run]]\nname = 'caf\xe9'\n", "line 2: the byte 0xe9 is not UTF-8"),
        (b"[sweep]\nsteps = [%s]\n" % (b"1" * 5000), "integer string conversion"),
        (b"[settings]\nstyle-weight = %s\n" % (b"1" * 400), "expected a number"),
        (b"[settings]\ntv = '%s'\n" % (b"x" * 9999), r"(9999 characters)"),
        (b"[settings]\n%s = 1\n" % (b"x" * 9999), r"(9999 characters)"),
        (b"a = %s" % (b"[" * 9999), "nested in one another"),
        (b"a = 1 \0", "NUL"),
    ],
)
def test_a_text_that_is_no_sweep_is_one_short_line(tmp_path, data, problem):
    path = tmp_path / "sweep.toml"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_sweep(str(path), RunSettings())
    message = str(caught.value)
    assert problem in message
    assert message.startswith(f"--sweep {path}: ")
    assert len(message) < 600
