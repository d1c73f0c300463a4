"""What a process keeps of the files of a run, and forgets when the next run begins.

A worker of a cluster may live for months and see many runs. Files change between them.
"""

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

_CACHES: Final[list[Any]] = []


def kept_for_a_run(
    maxsize: int,
) -> Callable[[Callable[..., _T]], "functools._lru_cache_wrapper[_T]"]:
    """Return a decorator: `functools.lru_cache` until `forget_run`.

    Args:
        maxsize: How many results are kept.
    """

    def decorate(function: Callable[..., _T]) -> "functools._lru_cache_wrapper[_T]":
        cached = functools.lru_cache(maxsize)(function)
        _CACHES.append(cached)
        return cached

    return decorate


def forget_run() -> None:
    """Forget all that was kept: a new run begins in this process."""
    for cache in _CACHES:
        cache.cache_clear()
