"""What a run of `stylize` in a bucket asks of the store, and what it carries.

    python benchmarks/bucket.py --cells 1000 10000

Ten styles on a tenth as many contents, all in one bucket; then the same command again,
which has nothing to do. The store is fake-gcs-server on this machine (PATH or GOBIN),
behind the counting proxy of the tests; the network is a stub (`stub_network`), but the
bundle is read. Requests and bytes are those of the whole run, launcher and job; where
they are 429, 503 or cut they would come again, which does not happen here. Seconds say
nothing of a cloud, where an answer takes tens of milliseconds. Prints Markdown.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The two folders are no packages.
sys.path += [str(ROOT / "tests"), str(ROOT / "benchmarks")]

from emulators import find_program, free_port, running  # noqa: E402
from fault_proxy import Exchange, FaultProxy  # noqa: E402
from scale import STYLES, draw  # noqa: E402

KINDS = ("list", "stat", "read", "write", "copy", "delete")


def kind_of(exchange: Exchange) -> str:
    """Return what a request asked for, in the words of the pages on prices.

    On Google Cloud Storage `list`, `write` and `copy` are of class A, `stat` and `read`
    of class B, and `delete` is free.
    """
    path, _, query = exchange.path.partition("?")
    if exchange.method == "DELETE":
        return "delete"
    if path.startswith("/upload/"):
        return "write"
    if "/rewriteTo/" in path or "/copyTo/" in path:
        return "copy"
    if exchange.method != "GET":
        return "write"
    if path.endswith("/o"):
        return "list"
    return "read" if "alt=media" in query or "/download/" in path else "stat"


def files(folder: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of all files below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def put(address: str, bucket: str, name: str, data: bytes) -> None:
    """Write an object."""
    url = f"{address}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}"
    request = urllib.request.Request(url, data, {"Content-Type": "image/jpeg"})
    urllib.request.urlopen(request).close()


def run(proxy: FaultProxy, bucket: str) -> list[Exchange]:
    """Run the command once; return what it asked."""
    command = ["stylize", "--content", f"gs://{bucket}/contents", "--output"]
    command += [f"gs://{bucket}/out", "--style", f"gs://{bucket}/styles"]
    paths = [str(ROOT / "benchmarks" / "stub_network"), str(ROOT)]
    with tempfile.TemporaryDirectory() as told:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "STYLEBEAM_SCALE": told,
            "STORAGE_EMULATOR_HOST": proxy.address,
        }
        proxy.reset()
        program = [sys.executable, "-m", "pipelines", *command]
        subprocess.run(program, env=environment, check=True, stdout=subprocess.DEVNULL)
    return list(proxy.exchanges)


def row(cells: int, which: str, asked: Iterable[Exchange]) -> str:
    """Return a line of the table."""
    asked = list(asked)
    counts = Counter(map(kind_of, asked))
    columns = [f"{counts[kind]:,}" for kind in KINDS]
    lease = sum(".lease" in one.path for one in asked)
    down = sum(one.sent for one in asked) / 1e6
    up = sum(one.received for one in asked) / 1e6
    columns += [f"{len(asked):,}", f"{lease:,}", f"{down:.1f}", f"{up:.1f}"]
    return f"| {cells:,} | {which} | " + " | ".join(columns) + " |"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[1000, 10000])
    arguments = parser.parse_args()
    program = find_program("fake-gcs-server")
    if program is None:
        raise SystemExit(
            "fake-gcs-server is not there; run: "
            "go install github.com/fsouza/fake-gcs-server@v1.56.1"
        )
    port = free_port()
    upstream = f"http://127.0.0.1:{port}"
    print(
        f"| cells | run | {' | '.join(KINDS)} | requests | of the lease | MB down "
        "| MB up |"
    )
    print("|---" * (len(KINDS) + 6) + "|")
    with (
        tempfile.TemporaryDirectory() as folder,
        FaultProxy(upstream) as proxy,
        running(
            [
                *(program, "-backend", "memory", "-scheme", "http"),
                *("-host", "127.0.0.1", "-port", str(port), "-log-level", "warn"),
                *("-external-url", proxy.address),
                *("-public-host", proxy.address.removeprefix("http://")),
            ],
            f"{upstream}/storage/v1/b",
            pathlib.Path(folder, "log"),
        ),
    ):
        for cells in arguments.cells:
            bucket = f"cells-{cells}"
            body = f'{{"name": "{bucket}"}}'.encode()
            made = urllib.request.Request(
                f"{upstream}/storage/v1/b?project=p",
                body,
                {"Content-Type": "application/json"},
            )
            urllib.request.urlopen(made).close()
            for role, count, seed in (
                ("contents", cells // STYLES, 1),
                ("styles", STYLES, 2),
            ):
                drawn = draw(pathlib.Path(folder, f"{role}-{cells}"), count, seed)
                for name, data in files(drawn):
                    put(upstream, bucket, f"{role}/{name}", data)
            for which in ("first", "again"):
                print(row(cells, which, run(proxy, bucket)), flush=True)


if __name__ == "__main__":
    main()
