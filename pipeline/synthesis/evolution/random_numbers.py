"""Random numbers of searches: one source per search and purpose, and its state as arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import RandomState


def source(*identity: object) -> RandomState:
    """Return the random numbers of an identity, whatever the process, the order and the batch.

    >>> source(0, "conv3", 5).randint(1000) == source(0, "conv3", 5).randint(1000)
    True
    """
    digest = hashlib.sha256("/".join(map(str, identity)).encode()).digest()
    return RandomState(np.frombuffer(digest, "<u4"))


def states(randoms: Sequence[RandomState]) -> dict[str, np.ndarray]:
    """Return the states of sources as arrays, one row each."""
    found = [random.get_state(legacy=False) for random in randoms]
    return {
        "keys": np.array([each["state"]["key"] for each in found], np.uint32).reshape(-1, 624),
        "positions": np.array([each["state"]["pos"] for each in found], np.int64),
        "has_normal": np.array([each["has_gauss"] for each in found], np.int64),
        "normals": np.array([each["gauss"] for each in found], np.float64),
    }


def restore(randoms: Sequence[RandomState], state: Mapping[str, np.ndarray]) -> None:
    """Set sources to states."""
    for row, random in enumerate(randoms):
        random.set_state(
            (
                "MT19937",
                state["keys"][row],
                int(state["positions"][row]),
                int(state["has_normal"][row]),
                float(state["normals"][row]),
            )
        )
