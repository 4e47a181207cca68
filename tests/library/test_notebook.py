"""The worked session of the documentation runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOK = DOCS / "notebook.md"


def run_blocks(page: Path) -> dict[str, Any]:
    """Run all blocks of Python in a page, one after the other, and return what they name."""
    names: dict[str, Any] = {"__name__": "notebook"}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(block, str(page), "exec"), names)
    return names


@pytest.mark.commands
def test_every_block_of_the_notebook_runs_after_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    names = run_blocks(NOTEBOOK)
    assert (tmp_path / "panel.pdf").stat().st_size > 5000
    assert names["matrix"].array.shape == (12, 4)
    assert names["run"].patches("conv2", unit=3, rank=0).shape == (29, 29, 3)


@pytest.mark.commands
def test_principal_components_of_a_layer_are_units():
    names = run_blocks(DOCS / "units.md")
    assert names["net"].layer("conv3:pca").units == 10
    assert (names["found"].table.final_response > names["found"].table.start_response).all()
