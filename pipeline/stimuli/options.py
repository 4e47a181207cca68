"""The options of stimulus sets: each is of the type of its annotation and within its limits."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Concatenate, ParamSpec, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError
from pipeline.stimuli.field import Field
from pipeline.stimuli.stimulus_set import StimulusSet

Given = ParamSpec("Given")


@dataclass(frozen=True)
class Limits:
    """Which numbers are allowed.

    Attributes:
        least: the smallest number.
        most: the largest number.
        above: whether numbers must be above ``least``.
    """

    least: float = -math.inf
    most: float = math.inf
    above: bool = False

    def allow(self, number: float) -> bool:
        """Return whether a number is finite and within the limits.

        >>> Limits(0.0, above=True).allow(0.0)
        False
        """
        enough = number > self.least if self.above else number >= self.least
        return math.isfinite(number) and enough and number <= self.most

    def describe(self, *, whole: bool) -> str:
        """Return the allowed numbers in words.

        >>> Limits(0.0, 0.5).describe(whole=False), Limits(1.0).describe(whole=True)
        ('a number from 0 to 0.5', 'a positive whole number')
        """
        noun = "whole number" if whole else "number"
        if self.most < math.inf:
            return f"a {noun} from {self.least:g} to {self.most:g}"
        if self.above or self.least == 1:
            return f"a positive {noun}"
        if self.least == 0:
            return f"a {noun} of at least 0"
        return f"a {noun}" if whole else f"a finite {noun}"


ANY, POSITIVE, COUNT = Limits(), Limits(0.0, above=True), Limits(1.0)
SHARE = Limits(0.0, 1.0)
# An option has the same limits in all sets; one that is not here takes any number of its type.
LIMITS = {
    **dict.fromkeys(
        ("checks", "directions", "frames", "hues", "orientations", "per_frame", "phases", "samples",
         "side", "stimuli"),
        COUNT,
    ),
    **dict.fromkeys(
        ("diameter", "diameters", "divider", "frequencies", "image", "size", "width"), POSITIVE
    ),
    **dict.fromkeys(("contrasts", "levels", "rgb", "surround_contrasts"), SHARE),
    "mask_contrasts": Limits(0.0, 0.5),  # with the other grating between black and white
    "seed": Limits(0.0),
    "step": Limits(1.0, 360.0),
}  # fmt: skip


def checks_options(
    builder: Callable[Concatenate[Field, Given], StimulusSet],
) -> Callable[Concatenate[Field, Given], StimulusSet]:
    """Let a stimulus set refuse options of the wrong type or beyond their limits.

    They are checked before anything is drawn. What depends on the field, or on other options, is
    left to the set.

    >>> @checks_options
    ... def own(field: Field, contrasts: Sequence[float] = (1.0,)) -> StimulusSet: ...
    >>> own(Field(3, 3), contrasts=[0.5, 2.0])
    Traceback (most recent call last):
    pipeline.errors.ConfigError: stimulus.own.contrasts: 2.0 is not a number from 0 to 1
    """
    name, signature = builder.__name__, inspect.signature(builder)

    @wraps(builder)
    def build(field: Field, *args: Given.args, **kwargs: Given.kwargs) -> StimulusSet:
        given = signature.bind(field, *args, **kwargs).arguments
        hints = get_type_hints(builder)
        for option, value in list(given.items())[1:]:
            if fault := _fault(value, hints[option], LIMITS.get(option, ANY)):
                raise ConfigError(f"stimulus.{name}.{option}: {fault}")
        return builder(field, *args, **kwargs)

    return build


def _fault(value: Any, hint: Any, limits: Limits) -> str:
    """Return what is wrong with a value, or an empty string."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and NoneType in kinds:
        return ""
    if Path in kinds or kinds == (str,):
        return _text_fault(value, kinds)
    if bool in kinds:
        known = isinstance(value, bool | np.bool_)
        return "" if known else f"{value!r} is neither True nor False"
    if get_origin(kinds[0]) is not None:
        return _list_fault(value, get_args(kinds[0])[0], limits)
    return _number_fault(value, limits, whole=float not in kinds)


def _number_fault(value: Any, limits: Limits, *, whole: bool) -> str:
    types = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    fits = isinstance(value, types) and not isinstance(value, bool)
    if fits and limits.allow(float(value)):
        return ""
    return f"{value!r} is not {limits.describe(whole=whole)}"


def _text_fault(value: Any, kinds: Sequence[Any]) -> str:
    if Path not in kinds:
        return "" if isinstance(value, str) else f"{value!r} is not text"
    tables = pd.DataFrame in kinds
    if isinstance(value, str | os.PathLike) or (tables and isinstance(value, pd.DataFrame)):
        return ""
    return f"{value!r} is {'neither a table nor' if tables else 'not'} a path"


def _list_fault(value: Any, of: Any, limits: Limits) -> str:
    """Return what is wrong with a list or an array, whose members have the type ``of``."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return f"{value!r} is not a list; give one, as in [{value}]"
    given: Any = value
    members: list[Any] = given.tolist() if hasattr(given, "tolist") else list(given)
    if not members:
        return "the list is empty; give at least one value"
    return next((fault for one in members if (fault := _fault(one, of, limits))), "")
