"""Shapes in signatures are checked while tests run, in every module that states some."""

from __future__ import annotations

from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pipeline"


def test_shapes_are_checked_wherever_they_are_stated(pytestconfig: pytest.Config):
    # Modules without shapes are left out, since the checks double the time of small functions.
    *checked, _checker = pytestconfig.getoption("--jaxtyping-packages").split(",")
    stating = [
        "pipeline." + path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
        for path in PACKAGE.rglob("*.py")
        if "from jaxtyping" in path.read_text()
    ]
    assert len(stating) > 50
    assert [m for m in stating if not f"{m}.".startswith(tuple(f"{c}." for c in checked))] == []
