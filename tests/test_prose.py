"""What `make prose` finds; that there is nothing to find it checks itself."""

import check_prose
import pytest


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("A style, likewise.", 1),
        ("Wire the step to the next.", 1),
        ("A picture whose mask, of which there is one, is empty.", 1),
        ("Pictures whose\nside is 3, and whose name is long.", 1),
        ("A picture whose mask is empty. One of which no part is left.", 0),
        ("A list of which this is a part.\n\nA picture whose side is 3.", 0),
        ("A wire the eye follows.", 1),
        ("What is alike wise people see.", 0),
    ],
)
def test_form_in_a_text_is_found(text: str, faults: int) -> None:
    assert len(list(check_prose.faults_in_text(text))) == faults


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ('"""Of a bundle."""', 1),
        ('def f():\n    """Return it.\n\n    Args:\n        a: Of it.\n    """', 5),
        ('class A:\n    """It.\n\n    Attributes:\n        b: Of it.\n    """', 5),
        ("# Likewise here.", 1),
        ('def f():\n    """Return what is of which kind, and whose name."""', 2),
    ],
)
def test_form_in_code_is_found_with_its_line(tmp_path, code: str, line: int) -> None:
    path = tmp_path / "a.py"
    path.write_text(code, "utf-8")

    assert [found for found, _ in check_prose.faults_in_code(path)] == [line]


@pytest.mark.parametrize(
    ("link", "broken"),
    [
        ("b.md", False),
        ("b.md#two-words", False),
        ("#here", False),
        ("https://example.org/none", False),
        ("c.md", True),
        ("b.md#three-words", True),
        ("#there", True),
        ("/b.md", True),
    ],
)
def test_broken_link_is_found(tmp_path, link: str, broken: bool) -> None:
    (tmp_path / "b.md").write_text("## Two words\n", "utf-8")
    page = tmp_path / "a.md"
    page.write_text(f"# Here\n\nGo [there]({link}).\n", "utf-8")

    assert bool(list(check_prose.faults_in_page(page))) == broken
