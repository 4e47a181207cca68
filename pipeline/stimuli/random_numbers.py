"""Random numbers that depend on a seed, a stimulus number and a place alone: on no order or batch.

They are hashes by the 32-bit finalizer "lowbias32" of C. Wellons, whole numbers only, so that every
device gives the same.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

MASK = 0xFFFFFFFF


def hashed(values: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """Return a well-mixed number from 0 to 2^32 - 1 for each, a different one for each.

    >>> hashed(torch.tensor([0, 1, 2])).tolist()
    [0, 1753845952, 3507691905]
    """
    mixed = values & MASK
    mixed = ((mixed ^ (mixed >> 16)) * 0x7FEB352D) & MASK
    mixed = ((mixed ^ (mixed >> 15)) * 0x846CA68B) & MASK
    return mixed ^ (mixed >> 16)


def random_bits(seed: int, numbers: Int[Tensor, " n"], places: int) -> Int[Tensor, "n places"]:
    """Return random numbers from 0 to 2^32 - 1 for the places of each stimulus.

    Args:
        seed: of the set, of which the lowest 32 bits count.
        numbers: of stimuli.
        places: how many numbers a stimulus needs.

    >>> both = random_bits(0, torch.tensor([4, 9]), 3)
    >>> bool((both[1] == random_bits(0, torch.tensor([9]), 3)).all())
    True
    """
    start = hashed(hashed(torch.tensor(seed, device=numbers.device)) ^ numbers)
    place = hashed(torch.arange(1, places + 1, device=numbers.device))
    return hashed(hashed(start[:, None] ^ place) + start[:, None])


def uniform(bits: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return random bits as numbers from 0 to 1, 1 excluded, in steps of 2^-24.

    >>> uniform(torch.tensor([0, 1 << 31]))
    tensor([0.0000, 0.5000])
    """
    return (bits >> 8).float() / (1 << 24)
