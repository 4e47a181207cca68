"""Ranks: every item once, waiting for each other, and a failure of one told to all."""

from __future__ import annotations

import time

import pytest

from pipeline.errors import ConfigError
from pipeline.runner import ranks as room
from pipeline.runner.ranks import RankError
from pipeline.runner.stopping import Stopped
from tests.runner.conftest import together


@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_item_is_dealt_once_in_the_order_of_the_plan(size):
    plan = [f"item {n}" for n in range(57)]

    def take(ranks):
        taken = []
        for number, item in ranks.queue(plan):
            time.sleep(0.001 * (ranks.rank + 1))
            taken.append((number, item))
        return taken

    dealt = together(size, take)
    assert sorted(item for taken in dealt for item in taken) == list(enumerate(plan))
    for taken in dealt:
        assert taken == sorted(taken)


def test_a_second_plan_is_dealt_afresh():
    dealt = together(2, lambda ranks: [list(ranks.queue("abc")), list(ranks.queue("de"))])
    for turn, plan in enumerate(("abc", "de")):
        assert sorted(dealt[0][turn] + dealt[1][turn]) == list(enumerate(plan))


def test_no_rank_goes_on_before_all_are_there():
    arrived = []

    def barrier(ranks):
        time.sleep(0.1 * ranks.rank)
        arrived.append(ranks.rank)
        ranks.barrier()
        return len(arrived)

    assert together(3, barrier) == [3, 3, 3]


def test_the_leader_goes_first():
    done = []

    def first(ranks):
        with ranks.leader_first():
            time.sleep(0.1 * ranks.leads)
            done.append(ranks.rank)

    together(3, first)
    assert done[0] == 0


def test_sums_and_words_reach_all():
    def tell(ranks):
        words = [ranks.broadcast(f"{ranks.rank} says {n}") for n in range(3)]
        return [ranks.all_reduce(10 + ranks.rank), ranks.all_reduce(1), *words]

    assert together(3, tell) == [[33, 3, "0 says 0", "0 says 1", "0 says 2"]] * 3


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConfigError("layers: 'x' is not there"), "has failed: layers: 'x' is not there"),
        (ZeroDivisionError("by hand"), "ZeroDivisionError: by hand"),
    ],
)
def test_what_one_rank_fails_with_reaches_the_others_who_wait(failing, error, words):
    def work(ranks):
        if ranks.rank == failing:
            raise error
        ranks.barrier()

    ended = together(3, work)
    assert ended.pop(failing) is error
    for other in ended:
        assert isinstance(other, RankError)
        assert str(other).startswith(f"runner: process {failing} of 3 on ")
        assert words in str(other)
        assert str(other).endswith("; finished work is kept")


def test_where_one_rank_is_told_to_stop_all_stop():
    def work(ranks):
        if ranks.rank == 1:
            raise Stopped("SIGUSR1")
        ranks.barrier()

    assert [type(ended) for ended in together(2, work)] == [Stopped, Stopped]


def test_a_silent_rank_is_dead(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "SILENCE", 1.0)
    monkeypatch.setattr(room, "BEAT", 0.1)

    def work(ranks):
        if ranks.rank == 1:
            ranks._over.set()  # as if it had been killed: nothing more is heard of it
            return None
        ranks.barrier()

    ended = together(2, work)
    assert str(ended[0]) == (
        "runner: process 1 of 2 has died: no sign of life for 1 s; finished work is kept"
    )
