"""Parts of a work in threads that share the cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import torch

from seqloom.engines.base import Part, Result

MOST = 4  # threads: more would wait for each other, since only one of them can be in Python


class SideBySide:
    """Threads that share so many cores evenly among them.

    The steps of a search are many small operations, one after the other: several cores are of little use to one of
    them, and of full use to several searches at a time.  So these are of whole batches: halves of one would take as
    many steps, with fewer rows each.
    """

    def __init__(self, cores: int):
        self.threads = min(cores, MOST)
        self._cores = max(1, cores // MOST)  # of each

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        settle = torch.set_num_threads
        return ThreadPoolExecutor(self.threads, "seqloom-search", initializer=settle, initargs=(self._cores,))

    def run(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """What `work` makes of each part, in their order; an error in one of them is raised when nothing runs."""
        if self.threads < 2 or len(parts) < 2:
            return [work(part) for part in parts]
        here = torch.get_num_threads()
        futures = [self._pool.submit(work, part) for part in parts]
        try:
            return [future.result() for future in futures]
        finally:
            for future in [future for future in futures if not future.cancel()]:
                future.exception()  # whoever asked may go on once nothing of this is running
            torch.set_num_threads(here)  # PyTorch gives threads to come what the last one asked for
