"""Computes the next items of an iterator in a background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
WAIT_S = 0.1  # how often a blocked producer looks whether the consumer has gone


def prefetched(items: Iterable[T], ahead: int) -> Iterator[T]:
    """Yield the same items in the same order, up to `ahead` of them computed early.

    An error of the producer is raised at the item it happened at. Closing the iterator
    ends the thread. With `ahead` 0 nothing runs in the background.
    """
    if ahead < 1:
        yield from items
        return
    ready: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(ahead)
    stopped = threading.Event()

    def put(item: T | None, error: BaseException | None, last: bool) -> None:
        while not stopped.is_set():
            try:
                ready.put((item, error, last), timeout=WAIT_S)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in items:
                put(item, None, False)
                if stopped.is_set():
                    return
            put(None, None, True)
        except BaseException as error:  # handed to the consumer, who raises it
            put(None, error, True)

    thread = threading.Thread(target=produce, name="tabench-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error, last = ready.get()
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]  # T may itself include None
    finally:
        stopped.set()
        thread.join()
