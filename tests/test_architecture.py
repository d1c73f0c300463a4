import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES = ("model", "pipelines", "transforms")

LINT_IMPORTS = pathlib.Path(sysconfig.get_path("scripts"), "lint-imports")


def modules_after(code: str) -> set[str]:
    """Return the top-level modules of a fresh process that ran some code."""
    script = (
        f"import sys\n{code}\n"
        "print('MODULES', *{name.partition('.')[0] for name in sys.modules})"
    )
    started = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    print(f"{time.perf_counter() - started:.2f} s for: {code}")
    return set(process.stdout.rpartition("MODULES")[2].split())


def command_line(*argv: str) -> str:
    """Return code that runs the command line and goes on after its exit."""
    return (
        "from pipelines.cli import main\n"
        f"try:\n    main({list(argv)!r})\nexcept SystemExit:\n    pass"
    )


class TestNames:
    @pytest.mark.parametrize("package", PACKAGES)
    def test_top_level_name_belongs_to_stylebeam_alone(self, package: str) -> None:
        owners = importlib.metadata.packages_distributions().get(package, [])

        # A static editable install can be listed twice: by its folder and its files.
        assert set(owners) == {"stylebeam"}

    def test_packages_of_pyproject_are_the_folders(self) -> None:
        include = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
        assert sorted(include) == [f"{package}*" for package in PACKAGES]
        for package in PACKAGES:
            assert (ROOT / package / "__init__.py").is_file()
            assert (ROOT / package / "py.typed").is_file()

    def test_tests_are_no_package(self) -> None:
        # A tests/transforms/__init__.py would shadow the real transforms.
        assert not list((ROOT / "tests").rglob("__init__.py"))

    def test_no_module_edits_the_import_path(self) -> None:
        edits = [
            path.relative_to(ROOT)
            for package in PACKAGES
            for path in (ROOT / package).rglob("*.py")
            if "sys.path" in path.read_text("utf-8")
        ]
        assert not edits


class TestOwnMaths:
    def test_total_variation_is_our_own(self) -> None:
        # TensorFlow's is anisotropic only and says nothing of its gradient.
        others = [
            path.relative_to(ROOT)
            for package in (*PACKAGES, "benchmarks", "examples")
            for path in (ROOT / package).rglob("*.py")
            if re.search(r"image\s*\.\s*total_variation", path.read_text("utf-8"))
        ]
        assert not others


class TestImportCost:
    @pytest.mark.parametrize("argv", [("--help",), ("stylize", "--help")])
    def test_help_imports_neither_tensorflow_nor_beam(
        self, argv: tuple[str, ...]
    ) -> None:
        modules = modules_after(command_line(*argv))

        assert "pipelines" in modules
        assert not modules & {"tensorflow", "keras", "apache_beam", "pyarrow", "PIL"}

    @pytest.mark.parametrize(
        "module",
        [
            "transforms.elements",
            "model.config",
            "model.bundle",
            "model.gatys.settings",
        ],
    )
    def test_module_for_readers_imports_neither_tensorflow_nor_beam(
        self, module: str
    ) -> None:
        modules = modules_after(f"import {module}")

        assert not modules & {"tensorflow", "keras", "apache_beam"}

    @pytest.mark.parametrize("package", PACKAGES)
    def test_package_itself_imports_nothing_heavy(self, package: str) -> None:
        modules = modules_after(f"import {package}")

        assert not modules & {"tensorflow", "keras", "apache_beam", "numpy"}

    def test_launcher_of_a_job_imports_no_tensorflow(self) -> None:
        assert "tensorflow" not in modules_after("import pipelines.stylize.job")


class TestContracts:
    def lint(self, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
        assert LINT_IMPORTS.exists(), "run `make install`: import-linter is missing"
        return subprocess.run(
            [LINT_IMPORTS, "--no-cache"], cwd=folder, capture_output=True, text=True
        )

    def test_imports_keep_the_contracts(self) -> None:
        process = self.lint(ROOT)

        assert process.returncode == 0, process.stdout
        assert "0 broken" in process.stdout

    @pytest.mark.parametrize(
        ("module", "line", "contract"),
        [
            ("model/bad.py", "import apache_beam", "model knows nothing of Beam"),
            ("model/bad.py", "import transforms", "pipelines -> transforms -> model"),
            ("transforms/bad.py", "import pipelines", "transforms -> model"),
        ],
    )
    def test_broken_contract_is_found(
        self, tmp_path: pathlib.Path, module: str, line: str, contract: str
    ) -> None:
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        for package in PACKAGES:
            (tmp_path / package).mkdir()
            (tmp_path / package / "__init__.py").touch()
        assert self.lint(tmp_path).returncode == 0

        (tmp_path / module).write_text(f"{line}\n", "utf-8")
        process = self.lint(tmp_path)

        assert process.returncode == 1
        assert re.search(rf"{contract}.*BROKEN", process.stdout), process.stdout


class TestPins:
    def test_one_range_for_each_dependency(self) -> None:
        project = PYPROJECT["project"]
        ranges: dict[str, set[str]] = {}
        extras = project["optional-dependencies"].values()
        required = [*project["dependencies"], *PYPROJECT["build-system"]["requires"]]
        for requirement in [*required, *(one for extra in extras for one in extra)]:
            name, _, wanted = re.fullmatch(
                r"([A-Za-z0-9-]+)(\[.*?\])?(.*)", requirement
            ).groups()
            ranges.setdefault(name, set()).add(wanted)

        assert {name: found for name, found in ranges.items() if len(found) > 1} == {}

    @pytest.mark.parametrize(
        "name", ["Makefile", "setup.py", ".pre-commit-config.yaml", ".ci/run"]
    )
    def test_nothing_else_names_a_version(self, name: str) -> None:
        text = (ROOT / name).read_text("utf-8")

        assert not re.search(r"[a-z](\[.*?\])?[=~><]=\s*\d", text)
