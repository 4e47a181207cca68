"""What the README and the pages of docs/ say of commands, functions and files is what there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pipeline
from pipeline.config.overrides import readable
from tests.conftest import Compose

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


def _lines(pattern: str) -> list[str]:
    return [found for page in PAGES for found in re.findall(pattern, _text(page), re.MULTILINE)]


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _commands() -> list[str]:
    lines = _lines(r"^    artiphys (.*)$")
    lines = [line for line in lines if not line.startswith(("--help", "serve", "store", "sweep"))]
    return list(dict.fromkeys(line.split("  #")[0].strip() for line in lines))


def test_the_readme_is_short():
    lines = _text(README).splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 140] == []


@pytest.mark.parametrize("command", [c for c in _commands() if not c.startswith("-m")])
def test_every_command_composes(composed: Compose, command: str):
    composed(*readable(command.split()))


def test_every_sub_command_is_there():
    from pipeline.cli import SUBCOMMANDS

    named = _lines(r"^    artiphys (\w+) (?:verify|status|submit|collect|outputs)")
    assert set(named) == set(SUBCOMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", _text(page)):
        path = (page.parent / target).resolve()
        assert path.is_file(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_heading(page: Path):
    for target, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", _text(page)):
        path = (page.parent / target).resolve() if target else page
        titles = re.findall(r"^#+ (.*)$", _text(path), re.MULTILINE)
        assert heading in [_anchor(title) for title in titles], f"{target}#{heading}"


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_function_of_the_package_that_is_shown_is_there(page: Path):
    for code in re.findall(r"```python\n(.*?)```", _text(page), re.DOTALL):
        ast.parse(code)
    for name in re.findall(r"pipeline\.(\w+)\(", _text(page)):
        assert name in pipeline.__all__
