"""What the README says of options, tables and commands is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.config.search_path import conf_dir
from pipeline.stages.catalog import all_stages
from tests.conftest import Compose, table_columns

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


GROUPS = (
    "images", "objective", "init", "parameterization", "constraint", "optimizer", "regularizer",
    "smoothing", "transform", "gradient",
)  # fmt: skip


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_of_a_group_is_named(group: str):
    (row,) = re.findall(rf"^\| `{group}` \|(.*)\|$", README, re.MULTILINE)
    for path in (conf_dir() / group).glob("*.yaml"):
        assert f"`{path.stem}`" in row


def test_every_stage_and_every_table_with_its_columns_is_named():
    for stage in all_stages():
        assert f"`{stage}`" in README
    for name, columns in table_columns().items():
        (row,) = re.findall(rf"^\| `{name}` \|.*\| (.*) \|$", README, re.MULTILINE)
        assert tuple(row.split()) == columns


def _commands() -> list[str]:
    lines = re.findall(r"^    artiphys (.*)$", README, re.MULTILINE)
    lines = [line for line in lines if not line.startswith(("--help", "serve", "store", "sweep"))]
    return [line.split("  #")[0].strip() for line in lines]


@pytest.mark.parametrize("command", [c for c in _commands() if not c.startswith("-m")])
def test_every_command_composes(composed: Compose, command: str):
    composed(*command.split())


def test_every_sub_command_is_there():
    from pipeline.cli import SUBCOMMANDS

    named = re.findall(
        r"^    artiphys (\w+) (?:verify|status|submit|collect|outputs)", README, re.MULTILINE
    )
    assert set(named) == set(SUBCOMMANDS)


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target
