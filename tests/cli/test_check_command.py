"""The stage that says what the others would do: what it prints, raises and leaves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli import _run_hydra
from pipeline.cli.check import check
from pipeline.cli.jobs import Job
from pipeline.config.schema import DEFAULT_STAGES, Config
from pipeline.errors import ConfigError
from pipeline.run import pace
from tests.conftest import Compose
from tests.stages.conftest import SMALL

OFFLINE = ("tracking=none", "runner.accelerator=cpu")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the pipeline says, line by line; nothing is timed for long."""
    monkeypatch.setattr(pace, "BRIEF", 0.0)
    lines: list[str] = []
    monkeypatch.setattr(logging.getLogger("pipeline.cli.check"), "disabled", False)
    monkeypatch.setattr(
        logging.getLogger("pipeline.cli.check"),
        "info",
        lambda message, *values: lines.extend((message % values).splitlines()),
    )
    return lines


def test_check_alone_leaves_no_stage_and_no_file(
    composed: Compose, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    left = check(composed(*OFFLINE, *SMALL, "stages=[check]"))
    assert left.stages == []
    assert said[0] == "job      main"
    assert sum(line.startswith("conv") for line in said) == 3
    assert said[-1] == "faults: none"
    assert list(tmp_path.iterdir()) == []


def test_stages_beside_the_check_are_left_to_be_run(composed: Compose, said: list[str]):
    config = composed(*OFFLINE, *SMALL, "stages=[ascent,check,figures]")
    assert check(config).stages == ["ascent", "figures"]
    assert said[1] == "stages   ascent, figures"
    assert not any(line.startswith("search") for line in said)


def test_faults_are_printed_and_stop_the_job(composed: Compose, said: list[str]):
    with pytest.raises(ConfigError, match=r"^check: 2 faults found, as listed above$"):
        check(composed(*OFFLINE, "stages=[check]", "layers=[conv6,conv1]", "units=[99]"))
    assert said[-4] == "faults:"
    assert said[-3].startswith("1. layers: 'conv6' is not in miniature")
    assert said[-1] == "2. units: [99] goes beyond conv1, which has units 0 to 23"


def test_the_check_of_an_experiment_is_of_its_stages(monkeypatch: pytest.MonkeyPatch):
    seen: list[list[str]] = []

    def checking(_config: Config, _job: Job, otherwise: Callable[[], list[str]]) -> None:
        seen.append(otherwise())

    monkeypatch.setattr("pipeline.cli.run.run", checking)
    monkeypatch.setattr("pipeline.cli.listen", lambda: None)
    for given in (["experiment=xdream"], []):
        monkeypatch.setattr("sys.argv", ["artiphys", *given, "stages=[check]"])
        _run_hydra()
    evolution = ["top_patches", "ascent", "evolution", "pages"]
    assert seen == [evolution, [*DEFAULT_STAGES]]
