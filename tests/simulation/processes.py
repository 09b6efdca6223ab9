"""The same work in several processes."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def spread(
    work: Callable[[Item], Result], items: Iterable[Item], jobs: int, at_once: int = 1
) -> Iterator[Iterable[Result]]:
    """The results in the sequence of the items; with one job, of this process itself."""
    if jobs <= 1:
        yield map(work, items)
        return
    # Not `multiprocessing.Pool`: that waits for ever for what a process that was killed had taken.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        yield pool.map(work, items, chunksize=at_once)
