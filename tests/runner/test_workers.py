"""Workers: side by side, in order, and stopped at once."""

import threading
import time

import pytest
import torch

from pipeline.runner.workers import StoppedError, Workers, writing


def over(threads, parts, work):
    return Workers(threads).map(parts, work, threads)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(threads):
    def late(item):
        time.sleep(0.02 * (item % 3 == 0))
        return item * item

    assert list(over(threads, range(20), late)) == [n * n for n in range(20)]


@pytest.mark.parametrize("threads", [1, 3])
def test_so_many_items_are_worked_on_at_a_time_each_on_one_thread(threads):
    at_work, most, lock = [0], [0], threading.Lock()
    own = set()

    def work(_):
        own.add(torch.get_num_threads())
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        time.sleep(0.02)
        with lock:
            at_work[0] -= 1

    before = torch.get_num_threads()
    list(over(threads, range(12), work))
    assert most[0] == threads
    assert own == {1}
    assert torch.get_num_threads() == threads
    torch.set_num_threads(before)


def test_a_sum_has_the_same_bits_however_many_threads_there_are():
    numbers = torch.randn(6, 200_000, generator=torch.Generator().manual_seed(0))
    sums = [
        torch.stack(list(over(threads, range(6), lambda row: numbers[row].sum())))
        for threads in (1, 2, 4)
    ]
    assert torch.equal(sums[0], sums[1])
    assert torch.equal(sums[0], sums[2])


def test_results_are_handed_over_while_others_are_computed():
    """The third item waits until the first result has been taken."""
    taken = threading.Event()

    def work(item):
        return item if item < 2 else taken.wait(10)

    results = over(1, range(3), work)
    assert next(results) == 0
    taken.set()
    assert list(results) == [1, True]


def test_an_error_of_an_item_is_raised_and_no_further_item_begins():
    begun = []

    def work(item):
        begun.append(item)
        if item == 3:
            raise ValueError("item 3")
        time.sleep(0.01)
        return item

    results = over(2, range(1000), work)
    with pytest.raises(ValueError, match="item 3"):
        list(results)
    assert max(begun) < 12


def test_items_under_way_stop_where_they_check_when_the_caller_stops():
    workers = Workers(2)
    begun, ended = set(), set()

    def work(item):
        begun.add(item)
        try:
            for _ in range(1000):
                workers.check()
                time.sleep(0.01 * (item > 0))
        except StoppedError:
            ended.add(item)
            raise
        return item

    results = workers.map(range(8), work, 2)
    assert next(results) == 0
    results.close()
    assert ended == begun - {0} != set()
    # Stopped workers work again.
    assert list(workers.map([1], lambda item: workers.check() or item, 2)) == [1]


def test_what_is_written_beside_the_work_is_all_there_at_the_end():
    written = []

    def slowly(number):
        time.sleep(0.002 * (number % 5))
        written.append(number)

    def work():
        with writing() as write:
            for number in range(40):
                write(lambda number=number: slowly(number))
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert sorted(written) == list(range(40))


def test_a_failed_write_is_told():
    def fail():
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"), writing() as write:
        write(fail)
