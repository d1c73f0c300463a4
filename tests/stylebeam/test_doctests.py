"""Every example in a docstring of the notebook's package runs."""

import doctest
import importlib
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "stylebeam"


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [
        importlib.import_module(f"stylebeam.{path.stem}")
        for path in sorted(FOLDER.glob("*.py"))
        if path.stem != "__init__"
    ]
    found = [test for module in modules for test in finder.find(module)]
    return [test for test in found if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda test: test.name)
def test_example_runs(example: doctest.DocTest) -> None:
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)

    result = runner.run(example, out=told.append)

    assert result.failed == 0, "".join(told)


def test_every_public_function_has_an_example() -> None:
    names = {test.name for test in examples()}

    assert {
        "stylebeam.jobs.stylize",
        "stylebeam.looking.look",
        "stylebeam.optimizing.optimize",
        "stylebeam.stylizing.Stylizer.__call__",
    } <= names
