"""The worked session of the documentation runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.md"


@pytest.mark.commands
def test_every_block_of_the_notebook_runs_after_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    names: dict[str, Any] = {"__name__": "notebook"}
    for block in re.findall(r"```python\n(.*?)```", NOTEBOOK.read_text(), re.DOTALL):
        exec(compile(block, str(NOTEBOOK), "exec"), names)
    assert (tmp_path / "panel.pdf").stat().st_size > 5000
    assert names["matrix"].array.shape == (12, 4)
    assert names["run"].patches("conv2", unit=3, rank=0).shape == (29, 29, 3)
