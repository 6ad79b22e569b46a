"""What a search tells while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Thread

Listener = Callable[[Sequence[int]], None]


def overheard(work: Callable[[Listener], str]) -> Iterator[Sequence[int] | str]:
    """All that some work tells a listener, as it comes, and then its result.  Raises what the work raises.

    The work is done in a thread of its own; whoever stops listening lets it come to its end unheard.  So does Python
    when it ends, since what runs in an engine must not be torn down on the way.
    """
    told: SimpleQueue[Sequence[int] | str | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            told.put(work(told.put))
        except BaseException as error:  # whatever it is, it is for whoever listens
            told.put(error)

    Thread(target=run).start()
    while not isinstance(one := told.get(), str | BaseException):
        yield one
    if isinstance(one, BaseException):
        raise one
    yield one
