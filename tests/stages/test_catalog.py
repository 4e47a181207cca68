"""Which stages there are, in which order, and what is said of others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pipeline.stages
from pipeline.errors import ConfigError
from pipeline.stages.catalog import all_stages, chosen_stages, stage_faults, stages_before
from pipeline.stages.stage import Stage

ROOM = "pipeline.stages."


def test_a_stage_runs_after_those_that_it_needs():
    order = list(all_stages())
    for name, stage in all_stages().items():
        for need in stage.needs:
            assert order.index(need) < order.index(name)
    chosen = [stage.name for stage in chosen_stages(["pages", "ascent", "top_patches", "ascent"])]
    assert chosen == ["top_patches", "ascent", "pages"]


def test_a_misspelled_stage_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^stages: 'corelations' is not a stage; "):
        chosen_stages(["ascent", "corelations"])
    (fault,) = stage_faults(["ascent", "corelations"])
    assert fault.endswith("; nearest: correlations")
    (empty,) = stage_faults([])
    assert empty.startswith("stages: the list is empty; choose from check, ")


def test_of_another_stage_only_its_object_and_its_results_are_known():
    folder = Path(pipeline.stages.__file__).parent
    for path in folder.glob("*/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(ROOM):
                stage, _, module = node.module.removeprefix(ROOM).partition(".")
                other = (folder / stage).is_dir() and stage != path.parent.name
                assert not other or module in ("", "results"), f"{path}: {node.module}"


def test_pages_run_after_every_stage_that_adds_sections_also_a_lab_s_own():
    own = Stage("zebra", "adds a section", sections=lambda run, found, layer: lambda unit: ())
    stages = all_stages() | {"zebra": own}
    assert {"shape_tuning", "zebra", "figures"} <= {*stages_before(stages["pages"], stages)}
    assert stages_before(own, stages) == []
