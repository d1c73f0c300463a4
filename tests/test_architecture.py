import ast
import graphlib
import importlib
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

import model

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES = ("model", "pipelines", "stylebeam", "transforms")

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
        # An `__init__.py` in tests/transforms would shadow the real transforms.
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

    def test_public_names_of_model_come_when_asked_for(self) -> None:
        assert set(model.__all__) == set(model._HOMES)
        assert set(model.__all__) <= set(dir(model))
        for name, home in model._HOMES.items():
            assert getattr(model, name) is getattr(importlib.import_module(home), name)

        with pytest.raises(AttributeError, match="has no attribute 'stylizer_of_cats'"):
            _ = model.stylizer_of_cats

    def test_jobs_of_a_notebook_import_no_package_with_a_common_name(self) -> None:
        # A notebook may have a `model.py` beside it.
        modules = modules_after("import stylebeam\nstylebeam.stylize")

        assert not modules & {"model", "transforms", "pipelines"}

    def test_launcher_of_a_job_imports_no_tensorflow(self) -> None:
        assert "tensorflow" not in modules_after("import pipelines.stylize.job")

    def test_evaluate_imports_no_beam(self) -> None:
        assert "apache_beam" not in modules_after("import pipelines.evaluate.job")


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

    @pytest.fixture
    def skeleton(self, tmp_path: pathlib.Path) -> pathlib.Path:
        """The tree of packages without a line of code."""
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        for package in PACKAGES:
            modules = [*(ROOT / package).glob("*.py"), *(ROOT / package).glob("*/*.py")]
            for module in modules:
                copy = tmp_path / module.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.touch()
        return tmp_path

    @pytest.mark.parametrize(
        ("module", "line", "contract"),
        [
            ("model/bad.py", "import apache_beam", "model knows nothing of Beam"),
            ("model/bad.py", "import transforms", "pipelines -> transforms -> model"),
            ("transforms/bad.py", "import pipelines", "transforms -> model"),
            ("pipelines/bad.py", "import stylebeam.jobs", "stylebeam -> pipelines"),
            ("model/networks/bad.py", "import model.adain.losses", "rooms of model"),
            ("model/gatys/bad.py", "import model.training", "rooms of model"),
            ("model/bad.py", "", "rooms of model"),
            ("transforms/images/bad.py", "import transforms.steps", "of transforms"),
            ("transforms/bad.py", "", "rooms of transforms"),
            (
                "transforms/visualize/bad.py",
                "import transforms.stylize.cells",
                "job rooms of transforms are independent",
            ),
            ("pipelines/command/bad.py", "import pipelines.train", "of pipelines"),
            (
                "pipelines/evaluate/bad.py",
                "import pipelines.train.plan",
                "job rooms of pipelines are independent",
            ),
        ],
    )
    def test_broken_contract_is_found(
        self, skeleton: pathlib.Path, module: str, line: str, contract: str
    ) -> None:
        assert self.lint(skeleton).returncode == 0

        (skeleton / module).write_text(f"{line}\n", "utf-8")
        process = self.lint(skeleton)

        assert process.returncode == 1
        assert re.search(rf"{contract}.*BROKEN", process.stdout), process.stdout


def imports_of(folder: pathlib.Path) -> dict[str, set[str]]:
    """Return which of our modules each module imports.

    Late imports and those for type checkers count: a circle is one, however it is hid.
    """
    files = {
        ".".join(path.relative_to(folder).with_suffix("").parts): path
        for package in PACKAGES
        for path in (folder / package).rglob("*.py")
    }
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    names.add(full if full in files else str(node.module))
        found[name] = names & files.keys()
    return found


def circle_in(imports: dict[str, set[str]]) -> list[str]:
    """Return modules that import one another, the first again at the end."""
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


class TestCircles:
    def test_no_modules_import_one_another(self) -> None:
        assert circle_in(imports_of(ROOT)) == []

    @pytest.mark.parametrize(
        "line",
        [
            "from transforms.stylize import b",
            "def f():\n    from transforms.stylize.b import c",
            "if TYPE_CHECKING:\n    import transforms.stylize.b",
        ],
    )
    def test_circle_is_found(self, tmp_path: pathlib.Path, line: str) -> None:
        room = tmp_path / "transforms" / "stylize"
        room.mkdir(parents=True)
        (room / "a.py").write_text(line, "utf-8")
        (room / "b.py").write_text("from transforms.stylize import a", "utf-8")

        assert set(circle_in(imports_of(tmp_path))) == {
            "transforms.stylize.a",
            "transforms.stylize.b",
        }


class TestSizes:
    """How large a room and a module may be: what one reader takes in."""

    def test_no_room_has_over_20_modules(self) -> None:
        rooms = [
            room
            for package in PACKAGES
            for room in [ROOT / package, *(ROOT / package).glob("*/")]
        ]
        counts = {
            str(room.relative_to(ROOT)): sum(
                path.name != "__init__.py" for path in room.glob("*.py")
            )
            for room in rooms
        }

        assert {room: count for room, count in counts.items() if count > 20} == {}

    def test_no_module_has_over_400_lines(self) -> None:
        lines = {
            str(path.relative_to(ROOT)): path.read_text("utf-8").count("\n")
            for package in PACKAGES
            for path in (ROOT / package).rglob("*.py")
        }

        assert {name: count for name, count in lines.items() if count > 400} == {}

    def test_every_room_says_what_it_is(self) -> None:
        silent = [
            str(path.relative_to(ROOT))
            for package in PACKAGES
            for path in (ROOT / package).rglob("__init__.py")
            if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
        ]

        assert silent == []


def transforms_in(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the PTransforms of `transforms`, each with the module it stands in."""
    return {
        node.name: path.relative_to(folder)
        for path in sorted((folder / "transforms").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
        and any("PTransform" in ast.unparse(base) for base in node.bases)
    }


def untested_in(folder: pathlib.Path) -> list[str]:
    """Return the PTransforms whose mirrored test file runs none of them.

    A test runs one where the file calls it by its name and has a TestPipeline.
    """
    untested = []
    for name, module in transforms_in(folder).items():
        test = folder / "tests" / module.with_name(f"test_{module.name}")
        tree = ast.parse(test.read_text("utf-8") if test.is_file() else "")
        called = {
            ast.unparse(node.func).rpartition(".")[2]
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
        }
        if not {name, "TestPipeline"} <= called:
            untested.append(f"{name}: {test.relative_to(folder)}")
    return untested


class TestTransforms:
    def test_every_transform_has_a_test_of_its_own(self) -> None:
        assert len(transforms_in(ROOT)) > 20
        assert untested_in(ROOT) == []

    @pytest.mark.parametrize(
        ("test", "missing"),
        [
            ("TestPipeline() | A()", []),
            ("TestPipeline() | pages.A()", []),
            ("# TestPipeline() | A()", ["A: tests/transforms/pages/test_a.py"]),
            ("from a import A", ["A: tests/transforms/pages/test_a.py"]),
            ("TestPipeline() | B()", ["A: tests/transforms/pages/test_a.py"]),
            (None, ["A: tests/transforms/pages/test_a.py"]),
        ],
    )
    def test_transform_without_a_test_is_found(
        self, tmp_path: pathlib.Path, test: str | None, missing: list[str]
    ) -> None:
        module = tmp_path / "transforms" / "pages" / "a.py"
        module.parent.mkdir(parents=True)
        module.write_text("class A(\n    beam.PTransform[int, int]\n): ...", "utf-8")
        if test is not None:
            file = tmp_path / "tests" / "transforms" / "pages" / "test_a.py"
            file.parent.mkdir(parents=True)
            file.write_text(test, "utf-8")

        assert untested_in(tmp_path) == missing


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
