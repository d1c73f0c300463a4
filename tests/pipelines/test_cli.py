import contextlib
import importlib.metadata
import io
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipelines.cli import main
from pipelines.engines.options import pipeline_options
from pipelines.errors import UsageError
from pipelines.stylize import job as stylize
from pipelines.stylize.config import StylizeConfig


@pytest.fixture
def inputs(tmp_path: pathlib.Path) -> list[str]:
    """One content, one style, and an output that is not there yet."""
    for name in ("content", "style"):
        (tmp_path / name).mkdir()
        pixels = np.full((40, 40, 3), 128, np.uint8)
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
    return [
        *("--content", str(tmp_path / "content")),
        *("--style", str(tmp_path / "style")),
        *("--output", str(tmp_path / "output")),
    ]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[StylizeConfig, list[str]]]:
    """What the job was asked to do, instead of doing it."""
    asked: list[tuple[StylizeConfig, list[str]]] = []

    def run(config: StylizeConfig, beam_flags: list[str]) -> int:
        asked.append((config, beam_flags))
        return 0

    monkeypatch.setattr(stylize, "run", run)
    return asked


class TestParsing:
    def test_our_flags_and_beams_are_told_apart(
        self, inputs: list[str], jobs: list[tuple[StylizeConfig, list[str]]]
    ) -> None:
        flags = ["--alpha=0.5", "--runner=FlinkRunner", "--job_name", "nightly"]

        assert main(["stylize", *inputs, *flags]) == 0

        config, beam_flags = jobs[0]
        assert config.alpha == (0.5,)
        assert config.output == inputs[-1]
        assert beam_flags == ["--runner=FlinkRunner", "--job_name", "nightly"]

    def test_version_is_that_of_the_distribution(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            main(["--version"])

        assert caught.value.code == 0
        version = importlib.metadata.version("stylebeam")
        assert capsys.readouterr().out == f"stylebeam {version}\n"

    @pytest.mark.parametrize("argv", [["--help"], ["stylize", "--help"]])
    def test_help_has_no_path_of_this_machine(
        self, argv: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            main(argv)

        assert caught.value.code == 0
        text = capsys.readouterr().out
        assert str(pathlib.Path(__file__).parents[2]) not in text
        assert "(default: None)" not in text

    @pytest.mark.parametrize("module", ["stylebeam", "pipelines"])
    def test_module_is_the_same_program(self, module: str) -> None:
        process = subprocess.run(
            [sys.executable, "-m", module, "--version"],
            cwd=pathlib.Path(__file__).parents[2],
            check=True,
            capture_output=True,
            text=True,
        )
        assert process.stdout.startswith("stylebeam ")


class TestComplaints:
    def test_half_a_character_is_written_with_an_escape(
        self,
        inputs: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def run(_config: StylizeConfig, _beam_flags: list[str]) -> int:
            raise UsageError("the type is \ud800.")

        monkeypatch.setattr(stylize, "run", run)
        # What a caller put in the place of stderr takes UTF-8 alone.
        said = io.BytesIO()
        with contextlib.redirect_stderr(io.TextIOWrapper(said, "utf-8")) as stderr:
            assert main(["stylize", *inputs]) == 2
            stderr.flush()
        assert said.getvalue().endswith(rb"error: the type is \ud800." + b"\n")


class TestUsageErrors:
    @pytest.mark.parametrize(
        ("flags", "parts"),
        [
            (["--alpha", "1.5"], ["--alpha 1.5", "[0, 1]"]),
            (["--alpha", "0.0005"], ["--alpha 0.0005", "three decimals"]),
            (["--alpha", "half"], ["--alpha", "'half'"]),
            (["--style-size", "8"], ["--style-size 8", "at least 32"]),
            (["--quality", "101"], ["--quality 101", "1 to 100"]),
            (["--quality", "9.5"], ["--quality", "'9.5'"]),
            (["--format", "gif"], ["--format", "'gif'"]),
            (["--precision", "int8"], ["--precision", "'int8'"]),
            (["--max-failure-rate", "2"], ["--max-failure-rate 2", "[0, 1]"]),
            (["--bundle", "nowhere"], ["--bundle nowhere", "bundle.json"]),
            (["--content", "nowhere"], ["--content", "'nowhere'"]),
            (["--style", "x*.jpg"], ["--style", "'x*.jpg'"]),
            (["--alhpa", "0.5"], ["--alhpa", "stylebeam", "Beam"]),
            (["--alph", "0.5"], ["--alph"]),
            (["--overwrite=yes"], ["--overwrite"]),
            (["--direct_num_workers", "two"], ["--direct_num_workers", "'two'"]),
            (["--direct_num_worker", "2"], ["--direct_num_worker"]),
            (["stray"], ["stray"]),
        ],
    )
    def test_bad_value_exits_2_with_one_line_and_writes_nothing(
        self,
        flags: list[str],
        parts: list[str],
        inputs: list[str],
        tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        try:
            status = main(["stylize", *inputs, *flags])
        except SystemExit as error:  # argparse's own
            status = error.code

        assert status == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        line = printed.err.splitlines()[-1]
        assert line.startswith("stylebeam stylize: error: ")
        assert [part for part in parts if part not in line] == []
        assert "Traceback" not in printed.err
        assert not (tmp_path / "output").exists()

    @pytest.mark.parametrize("missing", ["--content", "--output"])
    def test_missing_flag_is_named(
        self, missing: str, inputs: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        place = inputs.index(missing)
        with pytest.raises(SystemExit) as caught:
            main(["stylize", *inputs[:place], *inputs[place + 2 :]])

        assert caught.value.code == 2
        assert missing in capsys.readouterr().err.splitlines()[-1]

    def test_missing_style_is_named(
        self, inputs: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        place = inputs.index("--style")
        assert main(["stylize", *inputs[:place], *inputs[place + 2 :]]) == 2
        assert "--style (none)" in capsys.readouterr().err.splitlines()[-1]

    @pytest.mark.parametrize("argv", [[], ["stylise"], ["--alpha", "1", "stylize"]])
    def test_command_must_be_one_of_ours(self, argv: list[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            main(argv)

        assert caught.value.code == 2

    def test_folder_without_images_is_named(
        self,
        inputs: list[str],
        tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "style/a.png").unlink()

        status = main(["stylize", *inputs])

        assert status == 2
        error = capsys.readouterr().err
        assert "--style" in error
        assert "no images found" in error
        assert not (tmp_path / "output").exists()

    def test_output_below_a_file_is_refused(
        self,
        inputs: list[str],
        tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "file").touch()

        status = main(["stylize", *inputs, "--output", str(tmp_path / "file" / "out")])

        assert status == 2
        assert "is a file, not a folder" in capsys.readouterr().err

    def test_interrupt_says_that_the_job_goes_on(
        self,
        inputs: list[str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def interrupted(config: StylizeConfig, beam_flags: list[str]) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(stylize, "run", interrupted)

        assert main(["stylize", *inputs]) == 130
        assert "the same command goes on" in capsys.readouterr().err


class TestBeamOptions:
    @pytest.mark.parametrize(
        "flags", [[], ["--runner=DirectRunner"], ["--runner", "FnApiRunner"]]
    )
    def test_local_runner_is_the_one_in_process(self, flags: list[str]) -> None:
        options = pipeline_options(flags).get_all_options()

        assert options["runner"] == "FnApiRunner"
        assert options["direct_running_mode"] == "in_memory"
        assert not options["save_main_session"]

    def test_other_runner_stays(self) -> None:
        options = pipeline_options(["--runner=DataflowRunner", "--region=x"])

        assert options.get_all_options()["runner"] == "DataflowRunner"
        assert options.get_all_options()["region"] == "x"

    def test_several_local_workers_are_processes(self) -> None:
        options = pipeline_options(["--direct_num_workers=2"]).get_all_options()

        assert options["direct_num_workers"] == 2
        assert options["direct_running_mode"] == "multi_processing"

    def test_running_mode_can_be_chosen(self) -> None:
        flags = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]

        options = pipeline_options(flags).get_all_options()

        assert options["direct_running_mode"] == "multi_threading"

    def test_nearest_flag_of_beam_is_named(self) -> None:
        with pytest.raises(UsageError, match=r"did you mean --direct_num_workers\?"):
            pipeline_options(["--direct_num_worker=2"])

    def test_flag_of_nobody_is_refused(self) -> None:
        with pytest.raises(UsageError, match="--alhpa=1"):
            pipeline_options(["--alhpa=1"])
