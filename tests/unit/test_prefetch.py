import threading
import time
from itertools import count, islice

import pytest
from patience import until

from tabench.data.prefetch import prefetched


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "tabench-prefetch"]


@pytest.mark.parametrize("ahead", [0, 1, 3, 100])
def test_items_come_unchanged_in_order(ahead):
    assert list(prefetched(iter(range(20)), ahead)) == list(range(20))
    assert list(prefetched([], ahead)) == []
    assert list(prefetched([None, 1, None], ahead)) == [None, 1, None]
    assert threads() == []


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_error_is_raised_where_it_happened(ahead):
    def failing():
        yield 1
        yield 2
        raise OSError("disk gone")

    iterator = prefetched(failing(), ahead)
    assert [next(iterator), next(iterator)] == [1, 2]
    with pytest.raises(OSError, match="disk gone"):
        next(iterator)
    assert threads() == []


def test_closing_early_ends_the_thread_even_of_an_endless_source():
    iterator = prefetched(count(), 2)
    assert list(islice(iterator, 5)) == [0, 1, 2, 3, 4]
    assert len(threads()) == 1
    iterator.close()
    assert threads() == []


def test_at_most_the_asked_number_is_computed_ahead():
    made = []

    def source():
        for i in range(50):
            made.append(i)
            yield i

    iterator = prefetched(source(), 3)
    next(iterator)
    until(lambda: len(made) >= 5, "the reading ahead")
    time.sleep(0.1)  # for more, if it took more than it may
    assert len(made) == 5  # the one taken, three waiting, one that waits for room
    iterator.close()
