from __future__ import annotations

import pytest

from pipeline.run import pace


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch):
    """Time as little as can be: no test looks at the times."""
    monkeypatch.setattr(pace, "BRIEF", 0.0)
    monkeypatch.setattr(pace, "AFFORDABLE", {"cpu": 1e6, "other": 1e6})
