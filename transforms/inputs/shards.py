"""The shards of a data set: what a folder, a pattern or a name of them means."""

import re
from collections.abc import Iterator
from typing import Final

from transforms.inputs.folders import walk_folder
from transforms.inputs.roots import InputRoot, parse_inputs

_BRACES: Final = re.compile(r"\{([^{},]*,[^{}]*|\d+\.\.\d+)\}")
_RANGE: Final = re.compile(r"(\d+)\.\.(\d+)")

# A slip of the hand makes a pattern of billions.
_MOST: Final = 1_000_000


def find_shards(pattern: str, endings: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield name and path of each shard, in the order of their names.

    A name is that below the folder that was named, or below the folder of a pattern.

    Args:
        pattern: A file, a folder, a glob, or a name with braces such as
            `train-{0000..0012}.tar`; local or a URL.
        endings: How names of shards end.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It holds no shard, or cannot be read.
    """
    found: dict[str, str] = {}
    places = list(expand_braces(pattern))
    for place in places:
        for root in parse_inputs([place]):
            for name, path in _files(root):
                if name.lower().endswith(endings):
                    found.setdefault(path, name)
                elif root.files:
                    raise ValueError(
                        f"{path} is no shard: its name ends with none of "
                        f"{', '.join(endings)}"
                    )
    if not found:
        raise ValueError(
            f"{pattern}: there is no shard, a file *{' or *'.join(endings)}"
        )
    names = sorted((name, path) for path, name in found.items())
    if len({name for name, _ in names}) < len(names):
        # Folders of one pattern may have shards of one name.
        names = sorted(("/".join(path.rsplit("/", 2)[1:]), path) for path in found)
    yield from names


def expand_braces(pattern: str) -> Iterator[str]:
    """Yield the names that a pattern with braces stands for, as a shell does.

    Raises:
        ValueError: They are too many.

    >>> list(expand_braces("a-{08..10}.tar"))
    ['a-08.tar', 'a-09.tar', 'a-10.tar']
    >>> list(expand_braces("{train,val}/{0..1}.tar"))
    ['train/0.tar', 'train/1.tar', 'val/0.tar', 'val/1.tar']
    """
    match = _BRACES.search(pattern)
    if match is None:
        yield pattern
        return
    before, after = pattern[: match.start()], pattern[match.end() :]
    for text in _choices(match[1]):
        yield from expand_braces(f"{before}{text}{after}")


def _choices(text: str) -> Iterator[str]:
    if match := _RANGE.fullmatch(text):
        first, last = int(match[1]), int(match[2])
        if last - first >= _MOST:
            raise ValueError(f"{{{text}}} stands for {last - first + 1} shards")
        digits = len(match[1]) if match[1].startswith("0") else 0
        yield from (f"{number:0{digits}d}" for number in range(first, last + 1))
    else:
        yield from text.split(",")


def _files(root: InputRoot) -> Iterator[tuple[str, str]]:
    if root.archive is not None:
        yield root.path.rsplit("/", 1)[-1], root.path
    for name in root.files:
        yield name, f"{root.path.rstrip('/')}/{name}"
    for name, path, _ in walk_folder(root.path, root.patterns):
        yield name, path
