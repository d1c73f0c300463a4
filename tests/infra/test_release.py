"""One number of the version, notes of a release, an image of the command line."""

import importlib.metadata
import importlib.util
import pathlib
import re
import shutil
import subprocess
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "version"
]
DOCKERFILE = ROOT / "infra" / "docker" / "Dockerfile"


@pytest.fixture(scope="module")
def release():
    path = ROOT / "infra" / "release" / "notes.py"
    spec = importlib.util.spec_from_file_location("release_notes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHANGELOG = """# Changelog

## [Unreleased]

- new

## [0.2.0] - 2026-12-01

### Added

- a thing

## [0.1.0] - 2026-01-01
"""


def test_notes_are_a_section_of_the_changelog(release) -> None:
    assert release.notes(CHANGELOG, "Unreleased") == "- new\n"
    assert release.notes(CHANGELOG, "0.2.0") == "### Added\n\n- a thing\n"
    with pytest.raises(
        ValueError, match=r"no section 0\.3\.0, only Unreleased, 0\.2\.0"
    ):
        release.notes(CHANGELOG, "0.3.0")
    with pytest.raises(ValueError, match=r"0\.1\.0 of CHANGELOG\.md is empty"):
        release.notes(CHANGELOG, "0.1.0")


def test_version_stands_in_one_place(release, capsys) -> None:
    release.check_version(VERSION)
    assert importlib.metadata.version("stylebeam") == VERSION
    with pytest.raises(ValueError, match=r"pyproject\.toml has version"):
        release.check_version("99.0")
    assert release.main([]) == 0
    assert capsys.readouterr().out.startswith("### Added")
    assert release.main(["99.0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_module_has_a_version_of_its_own() -> None:
    written = [
        str(path.relative_to(ROOT))
        for room in ("model", "pipelines", "stylebeam", "transforms")
        for path in (ROOT / room).rglob("*.py")
        if re.search(
            r"__version__\s*[:=]|" + re.escape(f'"{VERSION}"'), path.read_text()
        )
    ]
    assert written == []


class TestImage:
    def test_it_is_labelled_and_not_root(self) -> None:
        text = DOCKERFILE.read_text("utf-8")
        assert "NOT BUILT BY ITS AUTHORS" in text
        assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["65532:65532"]

    def test_it_copies_what_make_makes(self) -> None:
        text = DOCKERFILE.read_text("utf-8")
        assert re.findall(r"^COPY (\S+)", text, re.MULTILINE) == ["dist/*.whl"]
        makefile = (ROOT / "Makefile").read_text("utf-8")
        assert re.search(
            r"^wheel: .*\n(?:.*\n)*?\t.*--outdir dist", makefile, re.MULTILINE
        )

    @pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint")
    def test_linter_finds_nothing(self) -> None:
        subprocess.run(["hadolint", str(DOCKERFILE)], check=True)
