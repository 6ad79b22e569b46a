"""How far a long work on the data is, said now and then."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from types import TracebackType

FIRST, LONGEST = 5.0, 60.0  # seconds before the first sentence, and the most between two
log = logging.getLogger(__name__)


class Pace:
    """Says "preparing: 120,000 of 1,000,000 pairs, 35,000 a second, 0:25 left"; of a short work nothing.

    Whoever would rather draw than read hears of every advance: a record of this module's logger for debugging has
    `what`, `done` and `total`.  At the end of a `with` it has nothing left to do, however that came.
    """

    def __init__(
        self,
        what: str,
        total: int,
        *,
        say: Callable[[str], None] = log.info,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._what, self._total, self._say, self._clock = what, total, say, clock
        self._started = clock()
        self._pause, self._next = FIRST, self._started + FIRST

    def __enter__(self) -> Pace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._advance(self._total)

    def __call__(self, done: int) -> None:
        """So many pairs are done now."""
        self._advance(done)
        now = self._clock()
        if now < self._next:
            return
        self._pause = min(2 * self._pause, LONGEST)
        self._next = now + self._pause
        speed = done / (now - self._started)
        left = math.ceil((self._total - done) / max(speed, 1e-9))
        self._say(
            f"{self._what}: {done:,} of {self._total:,} pairs, {speed:,.0f} a second, {left // 60}:{left % 60:02} left"
        )

    def _advance(self, done: int) -> None:
        log.debug("%s", self._what, extra={"what": self._what, "done": done, "total": self._total})
