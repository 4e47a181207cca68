"""Shapes in signatures are checked while tests run, in every module that states some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from pipeline.analysis.curvature_models import normalized
from pipeline.synthesis.smoothing import blur

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


def test_another_shape_is_refused_at_any_call():
    """What checks is set up at the first call, and is the same for functions made anew."""
    for _ in range(2):
        with pytest.raises(TypeCheckError, match=r"normalized"):
            normalized(np.zeros(3))
        assert normalized(np.zeros((2, 3))).shape == (2, 3)
        image = blur(sigma=1.0, kernel=3).image
        assert image is not None
        with pytest.raises(TypeCheckError):
            image(torch.zeros(5, 5), 0, 1)
        assert image(torch.zeros(1, 3, 5, 5), 0, 1).shape == (1, 3, 5, 5)
