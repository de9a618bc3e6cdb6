"""Work that threads share: all of it is done, few at a time, and errors come out."""

import threading
import time

import pytest

from grainlight.catalog.threads import work_in_threads


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_all_is_made_and_no_more_is_underway_than_there_are_threads(workers):
    asked, taken, most = [], {}, []

    def items():
        for number in range(20):
            asked.append(number)
            yield number

    def make(number):
        most.append(len(asked) - len(taken))
        time.sleep(0.002 * (number % 3))
        return number**2

    work_in_threads(make, items(), workers, taken.__setitem__)
    assert taken == {number: number**2 for number in range(20)}
    # one may be made but not yet taken
    assert max(most) <= workers + 1
    assert len(set(most)) > 0


def test_threads_work_at_the_same_time():
    together = threading.Barrier(3, timeout=20)  # breaks unless all three are there
    taken = []
    work_in_threads(
        lambda _: together.wait(), range(6), 3, lambda item, _: taken.append(item)
    )
    assert sorted(taken) == list(range(6))


def test_an_error_in_a_thread_comes_out_and_nothing_more_is_begun():
    begun, before = [], threading.active_count()

    def make(number):
        begun.append(number)
        if number == 3:
            raise OSError("no space left")
        return number

    with pytest.raises(OSError, match="no space left"):
        work_in_threads(make, range(1000), 2, lambda *_: None)
    assert len(begun) < 10
    assert threading.active_count() == before


def test_an_interrupt_does_not_wait_for_what_is_underway():
    hold, begun, taken = threading.Event(), [], []

    def make(number):
        begun.append(number)
        if number:
            hold.wait(60)
        return number

    def take(number, _):
        taken.append(number)
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        work_in_threads(make, range(1000), 2, take)
    assert time.monotonic() - start < 30
    hold.set()
    time.sleep(0.1)
    assert taken == [0]
    assert len(begun) <= 3
