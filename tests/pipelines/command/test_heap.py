"""`share_one_heap`, looked at in processes of their own."""

import os
import platform
import subprocess
import sys

import pytest

# Prints how many heaps the C library has after eight threads have asked for memory.
_COUNT_HEAPS = """
import ctypes, sys, tempfile, threading

from pipelines.command.heap import share_one_heap

if sys.argv[1] == "share":
    share_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(8)

def allocate():
    together.wait()
    for _ in range(1000):
        libc.malloc(ctypes.c_size_t(5000))
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(file.read().count(b"<heap nr="))
"""


def _heaps(share: str, **variables: str) -> int:
    environment = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"}
    done = subprocess.run(
        [sys.executable, "-c", _COUNT_HEAPS, share],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_share_one_heap_unless_the_environment_says_otherwise() -> None:
    assert _heaps("leave") > 2
    assert _heaps("share") == 1
    assert _heaps("share", MALLOC_ARENA_MAX="2") == 2
