from __future__ import annotations

from functools import partial

from pipeline.store.natural_order import WHOLE, natural_order


def test_names_sort_by_their_numbers():
    names = ["seed=10", "seed=2", "lr=0.05", "lr=0.1", "lr=1e-3", "lr=-1", "", "conv"]
    assert sorted(names, key=natural_order) == [
        "", "conv", "lr=1e-3", "lr=0.05", "lr=0.1", "lr=-1", "seed=2", "seed=10",
    ]  # fmt: skip


def test_names_of_files_sort_by_whole_numbers_of_any_length():
    large = 2**60
    names = ["a10.npy", "a9.npy", "1.10.npy", "1.9.npy", "3e1.npy", "20.npy"]
    names += [f"{large + 1}.npy", f"{large}.npy", "01.npy", "1.npy", "b/2.npy", "b/1.npy"]
    assert sorted(names, key=partial(natural_order, number=WHOLE)) == [
        "1.9.npy", "1.10.npy", "01.npy", "1.npy", "3e1.npy", "20.npy", f"{large}.npy",
        f"{large + 1}.npy", "a9.npy", "a10.npy", "b/1.npy", "b/2.npy",
    ]  # fmt: skip
