"""Both programs that docs/rig.md shows work together."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[4] / "docs" / "rig.md"


def test_the_programs_of_the_page_work_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    experiment, rig = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (command,) = re.findall(r"^    python (.*)$", PAGE.read_text(), re.MULTILINE)
    Path("rig.py").write_text(rig)
    process = subprocess.Popen([sys.executable, *command.split()])
    names: dict[str, Any] = {}
    try:
        exec(compile(experiment, str(PAGE), "exec"), names)
    finally:
        process.kill()
        process.wait()
    found = names["found"]
    assert found.table["queries"].tolist() == [80]
    red = found.pictures[0, 0].mean().item() * 255
    assert found.table["response"].tolist() == pytest.approx([red], rel=1e-5)
    (folder,) = {path.parent.name for path in Path("rig").glob("*/generation_00001")}
    assert f"rig/{folder}/generation_00001" in PAGE.read_text()
    assert (Path("rig") / "README.txt").exists()
