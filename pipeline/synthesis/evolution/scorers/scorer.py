"""The scorer: scores pictures in place of a network, and is told what each picture is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from torch import Tensor


@dataclass(frozen=True)
class Scorer:
    """Scores pictures in place of a network.

    It is called once per generation, and once each time that reference images are shown.

    Attributes:
        score: returns one number per picture, NaN for what was not measured, from pictures in
            pixels 0..1 ``[pictures, channels, height, width]`` and a table with a row for each, in
            the order of showing: ``evolution`` (name of the searches that are shown together),
            ``kind`` (``candidate`` or ``reference``), ``generation`` (from 1; for references, the
            number of generations before), ``unit`` and ``restart`` of its search, ``candidate``
            (its number among the candidates of the search, or the references) and ``repeat``
            (showings of it before).
        bits: bits of the pixels that it shows, to which they are rounded for it, or ``None``.
    """

    score: Callable[[Tensor, pd.DataFrame], object]
    bits: int | None = None
