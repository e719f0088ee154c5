"""Images in parallel, with every wrong one named and not just the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from tabench.data.base import Progress
from tabench.errors import DataError
from tabench.text import few

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_WRONG = 20  # then the source as a whole is wrong, and reading on is a waste
SHOWN = 8


def run_all(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int,
    name: Callable[[Item], str],
    progress: Progress | None = None,
) -> list[Result]:
    """Apply `work` to every item on `workers` threads (decoding and arithmetic release the lock).

    Returns:
        The results in the order of the items.

    Raises:
        DataError: Items are wrong: one error names up to `SHOWN` of them. The others were
            done first, so a second call has only these left.
        StoreError: Writing failed; nothing new is started.
    """
    results: dict[int, Result] = {}
    wrong: dict[int, DataError] = {}
    waiting: dict[Future[Result], int] = {}
    position = 0
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                while position < len(items) and len(waiting) < 2 * workers and len(wrong) < MOST_WRONG:
                    waiting[pool.submit(work, items[position])] = position
                    position += 1
                if not waiting:
                    break
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    number = waiting.pop(future)
                    try:
                        results[number] = future.result()
                    except DataError as error:
                        wrong[number] = error
                    if progress is not None:
                        progress(len(results) + len(wrong), len(items), name(items[number]))
        except BaseException:
            for future in waiting:
                future.cancel()
            raise
    if wrong:
        raise _together([wrong[number] for number in sorted(wrong)], position)
    return [results[number] for number in range(len(items))]


def _together(errors: Sequence[DataError], tried: int) -> DataError:
    if len(errors) == 1:
        return errors[0]
    lines = few((f"{error.where}: {error.message}" for error in errors), SHOWN, apart="\n  ")
    return DataError(
        f"{len(errors)} of the first {tried} cannot be used:\n  {lines}",
        hint=errors[0].hint,
    )
