"""The file of pairs of a command: read before anything is written."""

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipelines.command.apart import checker
from pipelines.errors import UsageError
from transforms.steps.pair_table import PairFile, judge_pairs


def read_pairs(
    file: PairFile,
    words: Sequence[str],
    contents: Collection[str],
    styles: Collection[str],
    alphas: Sequence[float],
    output: str,
) -> list[dict[str, Any]]:
    """Return the rows that a file of pairs stands for, those that cannot be used too.

    Args:
        file: What `--pairing` names.
        words: What it may name beside a file.
        contents: Keys of all contents.
        styles: Keys of all styles.
        alphas: Strengths of the rows that name none.
        output: Output of the command: no mask may be in it.

    Raises:
        UsageError: It is no file of pairs, has no pair, or names a mask in the output.
    """
    flag = f"--pairing {file.path}"
    try:
        rows = list(judge_pairs(file, set(contents), set(styles), alphas))
    except (OSError, ValueError, RuntimeError) as error:
        text = str(error)
        if not file.path.lower().endswith((".csv", ".parquet")):
            text = f"neither one of {', '.join(words)} nor a file of pairs: {text}"
        raise UsageError(f"{flag}: {text}") from error
    if not rows:
        raise UsageError(f"{flag}: there is no pair in it")
    check = checker(output)
    try:
        for row in rows:
            for share in row["styles"]:
                if share["mask"]:
                    check(os.fsdecode(share["mask"]))
    except ValueError as error:
        raise UsageError(f"{flag}: the mask {error}") from error
    return rows


def tell_bad_pairs(
    command: str, pairing: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Warn of rows that cannot be used, before a long job rather than after it."""
    problems = [row["problem"] for row in rows if row["problem"]]
    if problems:
        print(
            f"{command}: {len(problems)} rows of {pairing} cannot be used, such as "
            f"{problems[0]}",
            file=sys.stderr,
        )
