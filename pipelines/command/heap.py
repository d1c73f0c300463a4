"""One heap for all threads of a process, so that its memory stays flat."""

import contextlib
import ctypes
import os
from typing import Final

_VARIABLE: Final = "MALLOC_ARENA_MAX"
_M_ARENA_MAX: Final = -8  # malloc.h of glibc


def share_one_heap() -> None:
    """Have all threads of this process and of its workers allocate from one heap.

    By itself glibc gives up to eight heaps a core to the threads, and each keeps what
    it once needed. TensorFlow compiles its convolutions for every size of picture, and
    thousands of these lie scattered over the heaps: see `docs/benchmarks.md` for what
    that costs. To be called before threads start. An environment that sets
    MALLOC_ARENA_MAX is obeyed; where the C library is another one nothing happens.
    """
    heaps = os.environ.setdefault(_VARIABLE, "1")
    with contextlib.suppress(OSError, AttributeError, ValueError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, int(heaps))
