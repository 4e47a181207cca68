"""Generations of dark pictures, with which the folder of a rig is tested without a loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import StoreError
from pipeline.synthesis.evolution.scorers import folder

FIELD = (1, 10, 10)
SHOWN = ["evolution", "kind", "generation", "unit", "restart", "candidate", "repeat"]


def shown(count: int) -> pd.DataFrame:
    rows = [["own", "candidate", 1, 5, 0, number, 0] for number in range(count)]
    return pd.DataFrame(rows, columns=SHOWN)


def score(path: Path, count: int = 3, **settings: Any) -> list[float]:
    """Return the scores of a generation of dark pictures."""
    given = {"poll": 0.002, "timeout": 0.3, **settings}
    pictures = torch.arange(count)[:, None, None, None].expand(-1, *FIELD) / 255
    scores = folder(path, **given).score(pictures, shown(count))
    assert isinstance(scores, np.ndarray)
    return scores.tolist()


def generation(path: Path) -> Path:
    return path / "own" / "generation_00001"


def shown_before(path: Path, count: int = 3) -> Path:
    """Return the folder of a generation that was shown, and whose scores did not come."""
    with pytest.raises(StoreError, match="no new one has come"):
        score(path, count, timeout=0.01)
    return generation(path)
