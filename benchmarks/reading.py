"""What `verify` and `view` take, by the number of pictures: seconds and memory.

    python benchmarks/reading.py --cells 10000 40000
    python benchmarks/reading.py --cells 260000 --format webdataset

The outputs are those of `stylize` with the stub of `scale.py`, ten styles on as many
contents as it takes. `verify` reads all of each. `view` is asked for the gallery, for
every tenth page of it, and for a picture of each of these. Seconds are those of the
process on the processors, memory is its peak. Prints Markdown.
"""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request

from scale import ROOT, STYLES, draw, peak, run, table

TICKS = os.sysconf("SC_CLK_TCK")


def made(folder: pathlib.Path, cells: int, kind: str) -> pathlib.Path:
    """Return the output of a job with so many cells."""
    contents = draw(folder / f"contents-{cells}", cells // STYLES)
    styles = draw(folder / f"styles-{cells}", STYLES, seed=2)
    output = folder / f"out-{cells}"
    command = ["stylize", "--content", str(contents), "--style", str(styles)]
    command += ["--output", str(output), "--bundle", "paper", "--output-format", kind]
    run(command)
    return output


def program(*words: str) -> list[str]:
    """Return a command line of stylebeam."""
    return [sys.executable, "-m", "stylebeam", *words]


def verified(output: pathlib.Path) -> dict[str, float]:
    """Verify an output; return seconds and megabytes."""
    process = subprocess.Popen(program("verify", str(output)), cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"verify {output} ended with {process.returncode}")
    return {
        "verify, CPU s": used.ru_utime + used.ru_stime,
        "MB": used.ru_maxrss // 1024,
    }


def _seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())


def viewed(output: pathlib.Path) -> dict[str, float]:
    """Look at an output as a browser does; return seconds and megabytes."""
    command = program("view", str(output))
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        root = process.stdout.readline().strip() if process.stdout else ""
        begin = _seconds(process.pid)
        first = _get(f"{root}gallery/index.html").decode()
        after_first = _seconds(process.pid)
        pages = sorted(set(re.findall(r'"(\d{5}-\d{3})"', first)))[::10]
        for page in pages:
            text = _get(f"{root}gallery/pages/{page}.js").decode()
            found = re.search(r'"(images/[^"]+\.jpg)"', text)
            if not found or not _get(root + found[1]).startswith(b"\xff\xd8"):
                raise SystemExit(f"gallery/pages/{page}.js shows no picture")
        end = _seconds(process.pid)
        memory = peak(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    return {
        "before the first page, CPU s": begin,
        "first page, CPU s": after_first - begin,
        "pages": len(pages),
        "a page with its picture": (end - after_first) / len(pages),
        "MB": memory,
    }


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", type=int, required=True)
    parser.add_argument("--format", default="files", choices=["files", "webdataset"])
    args = parser.parse_args()
    reading, looking = [], []
    with tempfile.TemporaryDirectory() as folder:
        for cells in args.cells:
            output = made(pathlib.Path(folder), cells, args.format)
            reading.append({"cells": cells, **verified(output)})
            looking.append({"cells": cells, **viewed(output)})
    for title, rows in (("verify", reading), ("view", looking)):
        list(table(title, rows))


if __name__ == "__main__":
    main()
