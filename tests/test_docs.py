"""The generated pages of docs/ are current, and the stages that docs/own.md shows work."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from pipeline.config.schema import CHECK
from pipeline.config.search_path import conf_dir
from pipeline.stages.catalog import all_stages
from tests.conftest import RunPipeline, table_columns

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(reference: ModuleType) -> dict[str, str]:
    """What `make docs` would write."""
    return {path.name: text for path, text in reference.pages()}


@pytest.mark.parametrize("name", ["options.md", "tables.md"])
def test_generated_pages_are_current(written: dict[str, str], name: str):
    assert (DOCS / name).read_text(encoding="utf-8") == written[name], "give: make docs"


def test_every_option_is_named(reference: ModuleType, written: dict[str, str]):
    groups = {path.parent.name for path in conf_dir().glob("*/*.yaml")} - {"experiment", "local"}
    assert set(reference.GROUPS) == groups
    for path in conf_dir().glob("*/*.yaml"):
        group, name = path.parent.name, path.stem
        if group != "local":
            given = f"[{name}]" if group in groups and reference.is_list(group) else name
            assert f"`{group}={given}`" in written["options.md"], path


def test_every_stage_and_every_column_is_named(written: dict[str, str]):
    assert f"`{CHECK}`" in written["options.md"]
    for stage in all_stages():
        assert f"\n### {stage}\n" in written["options.md"]
    for name, columns in table_columns().items():
        section = written["tables.md"].split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == columns


def test_everything_has_a_meaning(written: dict[str, str]):
    for text in written.values():
        assert not re.findall(r"^.*(?:\| +\||\*\*: *$|TODO)", text, re.MULTILINE)


def test_pages_speak_of_the_project_alone():
    for page in (ROOT / "README.md", *DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"seed document|/tmp/|/work/|/home/|/root/", text), page.name


@pytest.fixture
def shown_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Write the stages that docs/own.md shows as modules, and return their commands."""
    section = (DOCS / "own.md").read_text(encoding="utf-8").split("\n## A stage")[1]
    codes = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    commands = re.findall(r"^    PYTHONPATH=\. artiphys (.*)$", section, re.MULTILINE)
    (tmp_path / "my_lab").mkdir()
    for code, command in zip(codes, commands, strict=True):
        (module,) = re.findall(r"my_lab\.(\w+)", command)
        (tmp_path / "my_lab" / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    few = ("layers=[conv1]", "units=0:2", "images.limit=6", f"out={tmp_path / 'out'}")
    return [(*command.split(), *few) for command in commands]


def test_the_stage_that_is_shown_works(
    run_pipeline: RunPipeline, shown_stages: list[tuple[str, ...]]
):
    run = run_pipeline(*shown_stages[0])
    lines = (run.paths.tables / "contrasts.csv").read_text().splitlines()
    assert lines[0] == "layer,unit,rank,contrast"
    assert len(lines) == 1 + 2 * 5
    assert all(float(line.rpartition(",")[2]) > 0 for line in lines[1:])


def test_the_stage_whose_results_are_kept_computes_them_once(
    run_pipeline: RunPipeline, shown_stages: list[tuple[str, ...]]
):
    given = (*shown_stages[1], "layers=[conv1,conv2]")
    first = run_pipeline(*given)
    assert first.done == 2
    table = pd.read_csv(first.paths.tables / "noise_responses.csv")
    assert table["unit"].tolist() == [0, 1, 0, 1]
    # The response of a convolution to noise of variance 1 varies as its weights do.
    kernel = first.parts.network.module.get_submodule("features.0").weight[:2]
    expected = kernel.detach().square().sum((1, 2, 3)).sqrt().tolist()
    assert table["deviation"][:2].tolist() == pytest.approx(expected, rel=0.4)
    assert run_pipeline(*given).done == 0
    for other in ("seed=1", "units=[1]"):
        assert run_pipeline(*given, other).done == 2
