from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from pipeline.run.active_run import ActiveRun
from pipeline.store.results import Result
from tests.conftest import RunPipeline

SMALL = (
    "layers=[conv1,conv2,conv3]",
    "units=0:5",
    "images.limit=40",
    "optimizer.steps=4",
    "search.keep=6",
)


@pytest.fixture(scope="session")
def small_run(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    """The main job on a few units and images of the embedded network."""
    out = tmp_path_factory.mktemp("small")
    return run_pipeline(*SMALL, f"out={out}", "figures.contact_units=2", "figures.formats=[png]")


def copy_store(run: ActiveRun, out: Path, lost: Iterable[tuple[Result, str]]) -> None:
    """Copy the store of a run without some items, as a run that was stopped leaves it."""
    shutil.copytree(run.layout.out / "store", out / "store")
    for result, item in lost:
        (out / result.paths.item(item).relative_to(run.layout.out)).unlink()
