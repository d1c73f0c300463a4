"""Tables of columns beside pictures, as Hugging Face's ImageFolder has them.

`metadata.jsonl` has an object a line, `metadata.csv` a row; `file_name` says of which
picture, relative to the folder of the table. Cells of a CSV are texts.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from transforms.storage.text import csv_rows, decode_text, shown

NAMES: Final = ("metadata.jsonl", "metadata.csv")

_FILE_NAME: Final = "file_name"


def metadata_rows(data: bytes, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield the file name of each row, its other columns as JSON, and what is wrong.

    The file name is '' where the row tells none, and the columns are where it cannot be
    used.

    Args:
        data: The whole table.
        path: Its path; the ending says what it is.

    Raises:
        ValueError: It is no such table.
    """
    text = decode_text(data)
    if path.lower().endswith(".csv"):
        yield from _csv(text)
    elif path.lower().endswith((".jsonl", ".json")):
        yield from _json_lines(text)
    else:
        raise ValueError("a table of metadata ends in .jsonl or .csv")


def metadata_line(file_name: str, columns: str, names: Iterable[str]) -> bytes:
    """Return the row of a picture in a `metadata.jsonl`, each column there.

    Args:
        file_name: Path of the picture, relative to the table.
        columns: What is known of it, as JSON; '' where nothing is.
        names: All columns of the table.
    """
    known = json.loads(columns) if columns else {}
    row = {_FILE_NAME: file_name, **{name: known.get(name) for name in names}}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _csv(text: str) -> Iterator[tuple[str, str, str]]:
    rows = csv_rows(text)
    _, _, header = next(rows, (0, 0, []))
    if header.count(_FILE_NAME) != 1 or len(set(header)) != len(header):
        raise ValueError(
            f"its columns are {shown(', '.join(header))}; expected one `file_name`, "
            "and no column twice"
        )
    for line, _, cells in rows:
        if len(cells) != len(header):
            wrong = f"line {line}: {len(cells)} cells for {len(header)} columns"
            yield "", "", wrong
            continue
        row = dict(zip(header, cells, strict=True))
        yield _row(row, f"line {line}")


def _json_lines(text: str) -> Iterator[tuple[str, str, str]]:
    # Not `splitlines`: a JSON text may hold other ends of lines.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            yield "", "", f"line {number}: it is not JSON ({error})"
            continue
        if not isinstance(row, Mapping):
            yield "", "", f"line {number}: it is {shown(row)}, expected an object"
            continue
        yield _row(row, f"line {number}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a column is there twice")
    return found


def _row(row: Mapping[str, Any], where: str) -> tuple[str, str, str]:
    name = row.get(_FILE_NAME)
    if not isinstance(name, str) or not name.strip():
        return "", "", f"{where}: its file_name is {shown(name)}"
    others = {key: value for key, value in row.items() if key != _FILE_NAME}
    try:
        columns = json.dumps(others, ensure_ascii=False, allow_nan=False)
        columns.encode()
    except (ValueError, UnicodeError):
        return name, "", f"{where}: it has half a character, or a number that is none"
    return name, columns, ""
