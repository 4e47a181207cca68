"""Options of every set: what is of the wrong type or impossible is refused before any drawing."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.stimuli.field import Colors, Field, Screen
from pipeline.stimuli.sets import BUILDERS

FIELD = Field(40, 40, 4, Colors.bounds([0.5] * 3, [0.5] * 3), Screen(64, 64))
EXAMPLES: dict[str, Any] = {"folder": "some", "table": "some.csv", "figure": [0.0] * 3}
EXAMPLES["background"] = EXAMPLES["figure"]
# Options without a default list of their own.
LISTS = {"checks": [2], "contrasts": [0.5], "rgb": [[0.1, 0.2, 0.3]], "figure": [0.0, 0.0, 0.0],
         "background": [0.0, 0.0, 0.0]}  # fmt: skip
NUMBERS = {"side": 2}
OPTIONS = [
    (name, option, parameter)
    for name, builder in BUILDERS.items()
    for option, parameter in list(inspect.signature(builder).parameters.items())[1:]
]


def example(option: str, parameter: inspect.Parameter) -> Any:
    """Return a value that is allowed."""
    given = parameter.default
    if given is None or given is parameter.empty:
        given = {**EXAMPLES, **LISTS, **NUMBERS}[option]
    return given


def wrong_values(option: str, parameter: inspect.Parameter) -> list[Any]:
    """Return values of no sense: other types than the example's, and numbers that cannot be."""
    good = example(option, parameter)
    if isinstance(good, bool):
        return [1, "true", None]
    if isinstance(good, str):
        return [3, 1.5, [1.0], True]
    if isinstance(good, int):
        least = 0 if option == "seed" else 1
        return [2.5, float(good), "many", True, [good], least - 1, math.nan, math.inf]
    if isinstance(good, float):
        return ["many", True, [good], -1.0, 0.0, math.nan, math.inf]
    first = next(iter(good))
    inner = "many" if isinstance(first, list | tuple) else math.nan
    several = [["many"], [inner], [True], [], 1.0, "many", None, [math.inf]]
    return several if parameter.default is not None else [one for one in several if one is not None]


@pytest.mark.parametrize(
    ("name", "option", "parameter"), OPTIONS, ids=[f"{name}.{one}" for name, one, _ in OPTIONS]
)
def test_what_an_option_cannot_be(name: str, option: str, parameter: inspect.Parameter):
    needed = {
        other: EXAMPLES[other]
        for of, other, each in OPTIONS
        if of == name and each.default is each.empty
    }
    for value in wrong_values(option, parameter):
        with pytest.raises(ConfigError) as refused:
            BUILDERS[name](FIELD, **{**needed, option: value})
        message = str(refused.value)
        assert message.startswith(f"stimulus.{name}.{option}: "), (value, message)
        assert "\n" not in message


def test_numbers_and_lists_of_numpy_are_numbers_and_lists(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside of tests
    given = BUILDERS["contrast_series"](
        FIELD, contrasts=np.array([0.1, 1.0]), phases=np.int64(2), frequencies=(np.float32(2), 3)
    )
    assert len(given) == 2 * 2 * 2 * 6


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("sparse_noise", {"side": 2.5}, "side: 2.5 is not a positive whole number"),
        ("sparse_noise", {"stimuli": "many"}, "stimuli: 'many' is not a positive whole number"),
        ("dense_noise", {"colored": "no"}, "colored: 'no' is neither True nor False"),
        ("dense_noise", {"seed": -1}, "seed: -1 is not a whole number of at least 0"),
        ("plaids", {"mask_contrasts": [0, 0.6]}, "mask_contrasts: 0.6 is not a number from"
         " 0 to 0.5"),
        ("plaids", {"frequencies": []}, "frequencies: the list is empty; give at least one value"),
        ("plaids", {"frequencies": 2.0}, r"frequencies: 2.0 is not a list; give one,"
         r" as in \[2.0\]"),
        ("v4_shapes", {"x": [math.nan]}, "x: nan is not a finite number"),
        ("hues", {"step": 361}, "step: 361 is not a whole number from 1 to 360"),
        ("full_field_colors", {"rgb": [[1.0, 0.0]]}, r"rgb: \(1.0, 0.0\) is not a color; give"
         " three numbers"),
        ("gratings", {"table": 3}, "table: 3 is neither a table nor a path"),
        ("textures", {"folder": 3}, "folder: 3 is not a path"),
        ("isoluminant_discs", {"cones": 3}, "cones: 3 is not text"),
    ],
)  # fmt: skip
def test_messages(name: str, given: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=rf"^stimulus\.{name}\.{message}$"):
        BUILDERS[name](FIELD, **given)


def test_a_path_is_a_path(tmp_path: Path):
    (tmp_path / "own.csv").write_text("orientation,frequency_per_degree,diameter_degrees\n0,1,2\n")
    assert len(BUILDERS["gratings"](FIELD, table=tmp_path / "own.csv")) == 8
