"""The runner: what is needed is done once and written, and what goes wrong ends the work."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
import torch

from pipeline.runner.ranks import RankError
from pipeline.runner.runner import Runner
from tests.conftest import here
from tests.runner.conftest import together


@pytest.fixture(autouse=True)
def same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@dataclass
class Counting:
    """Work that counts from 0: an item is how far, and each of its parts one number."""

    there: set[int] = field(default_factory=set)
    store: dict[int, list[int]] = field(default_factory=dict)

    def needed(self, item):
        return item not in self.there

    def size(self, item):
        return item

    def parts(self, item):
        return [(item, part) for part in range(item)]

    def load(self, part):
        return part

    def run(self, loaded):
        return loaded

    def begin(self, item):
        return Gathered(self, item)


@dataclass
class Gathered:
    work: Counting
    item: int
    numbers: list[int] = field(default_factory=list)

    def add(self, done):
        item, part = done
        assert item == self.item
        self.numbers.append(part)

    def write(self):
        self.work.store[self.item] = self.numbers


@pytest.mark.parametrize("allowed", [True, False])
def test_float32_is_float32_for_a_while_and_then_as_it_was(allowed: bool):
    runner = here()
    flags = torch.backends.cudnn, torch.backends.cuda.matmul
    try:
        runner.allow_tf32(allowed)
        with runner.in_float32():
            assert not any(flag.allow_tf32 for flag in flags)
        assert [flag.allow_tf32 for flag in flags] == [allowed] * 2
    finally:
        runner.allow_tf32(False)


def test_items_are_gathered_from_all_their_parts_and_those_there_are_left_alone():
    work, shares = Counting(there={2, 5}), []
    assert here().do([7, 5, 3, 2, 1], work, "counting: numbers", shares.append) == 3
    assert work.store == {number: list(range(number)) for number in (7, 3, 1)}
    assert shares == [0.2, 0.6, 1.0]


def test_where_nothing_is_needed_nothing_is_begun():
    work = Counting(there={1, 2, 3})
    assert here().do([3, 2, 1], work, "counting: numbers") == 0
    assert work.store == {}


def test_a_write_that_fails_ends_the_work_and_other_items_are_written():
    class Refusing(Gathered):
        def write(self):
            if self.item == 4:
                raise OSError("no room")
            super().write()

    class Full(Counting):
        def begin(self, item):
            return Refusing(self, item)

    work = Full()
    with pytest.raises(OSError, match="no room"):
        here().do([4, 3, 2], work, "counting: numbers")
    assert 4 not in work.store
    assert all(numbers == list(range(item)) for item, numbers in work.store.items())


@pytest.mark.parametrize("moment", ["before", "during"])
def test_what_another_rank_fails_with_ends_the_work_under_way(moment):
    """Also where it fails before the work of this one has begun."""

    def work(ranks):
        if ranks.rank == 1:
            if moment == "during":
                time.sleep(0.3)
            raise ZeroDivisionError
        runner = Runner(ranks, torch.device("cpu"), 1)

        class Endless(Counting):
            def run(self, loaded):
                while True:
                    runner.check()
                    time.sleep(0.01)

        while moment == "before" and ranks.failure is None:
            time.sleep(0.01)
        runner.do([1, 1, 1], Endless(), "counting: numbers")

    ended, _ = together(2, work)
    assert isinstance(ended, RankError)
    assert "ZeroDivisionError" in str(ended)


def test_another_rank_that_fails_ends_work_that_never_checks():
    def work(ranks):
        if ranks.rank == 1:
            raise ZeroDivisionError

        class Slow(Counting):
            def run(self, loaded):
                time.sleep(0.05)
                return loaded

        return Runner(ranks, torch.device("cpu"), 1).do([1] * 1000, Slow(), "counting: numbers")

    ended, _ = together(2, work)
    assert isinstance(ended, RankError)
