"""The page of pictures shows every option, names files that are there, and says what was run."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.config.search_path import conf_dir
from tests.conftest import Compose

ROOT = Path(__file__).parents[1]
GROUPS = (
    "objective",
    "init",
    "parameterization",
    "optimizer",
    "regularizer",
    "smoothing",
    "constraint",
    "transform",
    "gradient",
)


@pytest.fixture(scope="module")
def vocabulary() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vocabulary", ROOT / "docs" / "vocabulary.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_has_a_row(vocabulary: ModuleType, group: str):
    options = {path.stem for path in (conf_dir() / group).glob("*.yaml")}
    assert options <= {row.option for row in vocabulary.ROWS if row.group == group}


@pytest.mark.slow
def test_a_row_chooses_the_option_that_it_is_named_for(vocabulary: ModuleType, composed: Compose):
    for row in vocabulary.ROWS:
        overrides = row.runs[0].replace(vocabulary.EARLIER, "FOLDER").split()
        node = getattr(composed(vocabulary.EXPERIMENT, *overrides), row.group)
        option = re.split(r"[,=]", row.option)[0]
        if "_target_" not in node:
            assert option == "standard" or option in node, row.name
        elif option not in ("normalize", "lr"):
            assert node["_target_"].endswith(f".{option}"), row.name


def test_names_of_rows_and_files_are_their_own(vocabulary: ModuleType):
    names = [row.name for row in vocabulary.ROWS]
    files = [vocabulary.file_name(name) for name in vocabulary.all_strips()]
    assert len(set(names)) == len(names)
    assert len(set(files)) == len(files)


def test_pictures_are_those_that_are_drawn(vocabulary: ModuleType):
    drawn = {vocabulary.file_name(name) for name in vocabulary.all_strips()}
    files = list((ROOT / "docs" / "vocabulary").iterdir())
    assert {path.name for path in files} == drawn
    assert sum(path.stat().st_size for path in files) < 1.5e6


def test_the_page_is_what_the_script_writes(vocabulary: ModuleType):
    text = (ROOT / "docs" / "vocabulary.md").read_text(encoding="utf-8")
    assert text == vocabulary.page()
    for target in re.findall(r'src="([^"]+)"', text):
        assert (ROOT / "docs" / target).is_file()
