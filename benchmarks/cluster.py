"""A job on a Dask cluster of this machine against the in-process runner.

    unshare --net sh -c 'ip link set lo up; python benchmarks/cluster.py'

Both paint the same grid in turns, so that a machine that drifts hurts both; the cluster
has workers with one thread each, which share the cores as it tells them. A time is that
of a job in job.json, less what its processes took to start up. In a network of its own
(`unshare`, as root) all that crosses the loopback device is what this cluster sends:
workers, scheduler and launcher, to and fro. Each byte is counted once.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from grid import make_images

PORT = 8786


def loopback_bytes() -> int:
    """Return how many bytes the loopback device has received."""
    for line in pathlib.Path("/proc/self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[0])
    return 0


def job_seconds(
    root: pathlib.Path, name: str, flags: list[str], only: str = ""
) -> tuple[float, float]:
    """Run a job; return its seconds, and those of its start-up in one process.

    Args:
        root: Folder of the inputs and outputs.
        name: Name of the output.
        flags: Flags of Beam.
        only: Glob of the contents and styles; empty for all.
    """
    command = [sys.executable, "-m", "pipelines", "stylize", "--bundle", "default"]
    command += ["--content", str(root / "contents" / only)]
    command += ["--style", str(root / "styles" / only)]
    output = root / name
    subprocess.run(
        [*command, "--output", str(output), *flags], check=True, capture_output=True
    )
    job = json.loads((output / "job.json").read_bytes())
    return job["seconds"], job["timings"].get("startup_seconds", 0.0)


def main() -> None:
    """Print the ratio and the bytes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--contents", type=int, default=8)
    parser.add_argument("--styles", type=int, default=64)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        root = pathlib.Path(name)
        make_images(root / "contents", args.contents, args.size, seed=1)
        make_images(root / "styles", args.styles, args.size, seed=2)
        address = f"tcp://127.0.0.1:{PORT}"
        common = ["--host", "127.0.0.1", "--no-dashboard"]
        servers = [["distributed.cli.dask_scheduler", "--port", str(PORT)]]
        worker = ["distributed.cli.dask_worker", address, "--no-nanny"]
        worker += ["--nthreads", "1", "--local-directory", str(root / "scratch")]
        servers += [worker] * args.workers
        for server in servers:
            process = subprocess.Popen(
                [sys.executable, "-m", *server, *common],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        time.sleep(10)  # Until the workers are there.
        flags = ["--runner=DaskRunner", f"--dask_client_address={address}"]
        flags += ["--shared-filesystem"]
        # Not counted: TensorFlow starts, a network is built. The next jobs find it.
        job_seconds(root, "warm", flags, f"000[0-{args.workers - 1}].jpg")
        times: dict[str, list[float]] = {"in process": [], "Dask": []}
        sent = []
        idle = loopback_bytes()
        time.sleep(5)
        idle = (loopback_bytes() - idle) // 5
        for turn in range(args.turns):
            seconds, start_up = job_seconds(root, f"local-{turn}", [])
            times["in process"].append(seconds - start_up)
            before, began = loopback_bytes(), time.monotonic()
            seconds, start_up = job_seconds(root, f"dask-{turn}", flags)
            took = time.monotonic() - began
            times["Dask"].append(seconds - start_up)
            sent.append(loopback_bytes() - before - idle * took)
            print(f"turn {turn}: {times}, {sent[-1] / 1e3:.0f} kB sent", flush=True)
        pictures = sum(
            path.stat().st_size for path in (root / "dask-0" / "images").rglob("*.jpg")
        )
    local, dask = (statistics.median(seconds) for seconds in times.values())
    cells = args.contents * args.styles
    print(f"command: python benchmarks/cluster.py {' '.join(sys.argv[1:])}")
    print(f"{cells} cells on {args.workers} workers: {dask / local:.2f} x the time of")
    print(f"the in-process runner ({dask:.1f} s, {local:.1f} s)")
    print(f"sent: {statistics.median(sent) / 1e3:.0f} kB, and {idle / 1e3:.1f} kB a")
    print(f"second of an idle cluster; the pictures have {pictures / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
