"""The runner: side by side, in order, and stopped at once."""

import threading
import time

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.runner.local import Runner, StoppedError


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(threads):
    def late(item):
        time.sleep(0.02 * (item % 3 == 0))
        return item * item

    assert list(Runner("cpu", threads).run(range(20), late)) == [n * n for n in range(20)]


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
    runner = Runner("cpu", threads)
    list(runner.run(range(12), work))
    assert most[0] == threads
    assert own == {1}
    assert torch.get_num_threads() == threads
    torch.set_num_threads(before)


def test_a_sum_has_the_same_bits_however_many_threads_there_are():
    numbers = torch.randn(6, 200_000, generator=torch.Generator().manual_seed(0))
    sums = [
        torch.stack(list(Runner("cpu", threads).run(range(6), lambda row: numbers[row].sum())))
        for threads in (1, 2, 4)
    ]
    assert torch.equal(sums[0], sums[1])
    assert torch.equal(sums[0], sums[2])


def test_results_are_handed_over_while_others_are_computed():
    """The third item waits until the first result has been taken."""
    taken = threading.Event()

    def work(item):
        return item if item < 2 else taken.wait(10)

    results = Runner("cpu", 1).run(range(3), work)
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

    results = Runner("cpu", 2).run(range(1000), work)
    with pytest.raises(ValueError, match="item 3"):
        list(results)
    assert max(begun) < 12


def test_items_under_way_stop_where_they_check_when_the_caller_stops():
    runner = Runner("cpu", 2)
    ended = []

    def work(item):
        try:
            for _ in range(1000):
                runner.check()
                time.sleep(0.01 * (item > 0))
        except StoppedError:
            ended.append(item)
            raise
        return item

    results = runner.run(range(8), work)
    assert next(results) == 0
    results.close()
    assert sorted(ended) == ended
    assert ended
    # A stopped runner runs again.
    assert list(runner.run([1], lambda item: runner.check() or item)) == [1]


def test_what_is_loaded_is_what_is_worked_on():
    done = Runner("cpu", 3).stream(range(7), lambda item: item * 10, lambda loaded: loaded + 1)
    assert list(done) == [1, 11, 21, 31, 41, 51, 61]


@pytest.mark.parametrize("threads", [0, -2])
def test_threads_must_be_positive(threads):
    with pytest.raises(ConfigError) as caught:
        Runner("cpu", threads)
    assert str(caught.value) == f"runner.threads: {threads} is not null or a number from 1"
