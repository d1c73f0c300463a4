"""What is wrong with an output, one thing at a time, and what all outputs share."""

import importlib.metadata
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from model.checksums import DamagedFileError
from transforms.elements import ImageError
from transforms.images.thumbnails import is_shown
from transforms.storage.committed_table import CommittedTable
from transforms.storage.comparing_folder import ComparingFolder
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, check_table
from transforms.storage.parts import parts_in
from transforms.storage.stored_file import StoredFile

AGAIN: Final = "the same command makes it again"
PUT_BACK: Final = (
    "put back a copy, or delete it and give the same command again, which makes anew "
    "what it told of"
)
GO_ON: Final = "the same command goes on from there"


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        name: Name of the file inside the output.
        wrong: What is wrong with it, as it follows the name.
        remedy: What mends it.
        mended: Whether it was made again just now.
    """

    name: str
    wrong: str
    remedy: str = AGAIN
    mended: bool = False

    def sentence(self) -> str:
        """Return the finding as one line for a person."""
        end = "made again" if self.mended else self.remedy
        line = f"{self.name}: {self.wrong}; {end}"
        return line.encode("unicode_escape").decode() if "\n" in line else line


class Parts(NamedTuple):
    """The parts of a table.

    Attributes:
        whole: Names of those that are as they were written.
        complete: Whether these are all: what is derived of fewer would be wrong.
    """

    whole: list[str]
    complete: bool


def parquet_finding(
    output: OutputFolder, name: str, remedy: str = AGAIN
) -> Finding | None:
    """Return what is wrong with a Parquet file; None where nothing is."""
    try:
        check_table(output.path(name))
    except FileNotFoundError:
        return Finding(name, "is missing", remedy)
    except (OSError, DamagedFileError) as error:
        return Finding(name, short(output, name, error), remedy)
    return None


def short(output: OutputFolder, name: str, error: Exception) -> str:
    """Return an error without the path that it begins with, cut to a line."""
    text = str(error).removeprefix(output.path(name)).strip()
    if isinstance(error, OSError) and error.strerror:
        text = f"cannot be read ({error.strerror})"
    return " ".join(text.split())[:300] or type(error).__name__


def table_findings(
    output: OutputFolder, table: CommittedTable
) -> Generator[Finding, None, Parts]:
    """Yield what is wrong with the files of a table; return its whole parts."""
    found = parts_in(output, table.folder)
    totals = {total for _, total in found.values()}
    if not found:
        yield Finding(table.folder, "has no part of the table", GO_ON)
    if len(totals) > 1:
        yield Finding(table.folder, "has parts of an unfinished merge", GO_ON)
    for total in totals if len(totals) == 1 else ():
        for part in range(total):
            name = table.part_name(part, total)
            if name not in found:
                yield Finding(name, "is missing", PUT_BACK)
    whole = []
    for name in found:
        try:
            table.check_file(output, name)
        except (OSError, DamagedFileError) as error:
            yield Finding(name, short(output, name, error), PUT_BACK)
        else:
            whole.append(name)
    for name in table.journal_names(output):
        wrong = "was not merged: the job was killed"
        try:
            table.check_file(output, name)
        except (OSError, DamagedFileError) as error:
            wrong = short(output, name, error)
        yield Finding(name, wrong, GO_ON)
    return Parts(whole, bool(whole) and totals == {len(whole)})


def file_findings(
    output: OutputFolder, rows: Iterable[Row], table: CommittedTable
) -> Iterator[Finding]:
    """Yield the files that rows tell of and that are not as they say."""
    seen: tuple[StoredFile, ...] = ()
    for row in rows:
        # Rows of one file stand next to each other.
        files = tuple(table.files(row))
        for file in files:
            if file not in seen and (wrong := stored_wrong(output, file)):
                yield Finding(file.name, wrong)
        seen = files


def stored_wrong(output: OutputFolder, file: StoredFile) -> str | None:
    """Return what is wrong with a file that a row tells of; None where nothing is."""
    try:
        if file.read(output) is None:
            return "is missing"
        if file.read_intact(output) is None:
            return "is damaged: its sha256 is not that of its row"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return None


def preview_findings(output: OutputFolder, names: Iterable[str]) -> Iterator[Finding]:
    """Yield the previews of originals that are not whole: made of the inputs alone."""
    for name in names:
        if not is_shown(output, name):
            wrong = "is damaged" if output.exists(name) else "is missing"
            yield Finding(name, wrong)


def page_findings(
    output: OutputFolder,
    job: Mapping[str, Any],
    repair: bool,
    make: Callable[[OutputFolder], object],
    but: Callable[[str], bool] = lambda name: False,
) -> Iterator[Finding]:
    """Yield the derived files that are not what the tables make of them.

    Args:
        output: The output.
        job: Its job.json.
        repair: Whether they are made again.
        make: Writes them into the folder that it is given.
        but: Tells names that are not compared.
    """
    ours = importlib.metadata.version("stylebeam")
    exact = job.get("versions", {}).get("stylebeam") == ours
    folder = ComparingFolder(output.root, repair, exact, lease=output.lease)
    try:
        make(folder)
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        RuntimeError,
        ImageError,
    ) as error:
        wrong = f"what is derived cannot be made ({' '.join(str(error).split())[:200]})"
        yield Finding("job.json", wrong, "mend the rest first")
    for name, wrong in folder.wrong.items():
        if not but(name):
            yield Finding(name, wrong, "--repair makes it again", mended=repair)
