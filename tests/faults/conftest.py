"""Runs in processes of their own, that can be killed; many small work items."""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.runner import launching
from pipeline.store.layout import ITEM, Layout

PHOTOGRAPHS = 60
SMALL = (
    "layers=[conv1,conv2,conv3]",
    "units=0:8",
    "images=folder",
    "images.resize=null",
    "images.crop=96",
    "optimizer.steps=12",
    "search.keep=6",
    "search.batch_size=4",
    "stages=[top_patches,ascent,correlations]",
    "tracking=none",
    "runner.accelerator=cpu",
    "runner.threads=1",
)
# Imported once, so that every killed run is back at work at once.
WARM = [
    "torch",
    "pipeline.cli.run",
    "pipeline.stages.ascent.work",
    "pipeline.stages.top_patches.work",
]


def small_items() -> None:
    """Cut the work into many small items: here it is their number that matters."""
    from pipeline.run import image_blocks
    from pipeline.synthesis import plan

    image_blocks.BLOCK_IMAGES = 8
    plan.BATCH_UNITS = plan.BLOCK_UNITS = 2


def note_climbed(log: str) -> None:
    """Have every block of ascents noted as it begins to be computed; here it is one batch."""
    from pipeline.stages.ascent.work import AscentWork

    climb = AscentWork.run

    def run(self: AscentWork, batch: Any) -> Any:
        with Path(log).open("a") as file:  # a short line is written whole, or not at all
            file.write(f"{batch.layer.name} {batch.init} {batch.precision} {batch.units}\n")
        return climb(self, batch)

    AscentWork.run = run


def slow_disk(seconds: float) -> None:
    """Have every item take so long to write, as on a busy file server."""
    from pipeline.store.results import Result

    write = Result.write

    def slowly(*given: Any) -> None:
        time.sleep(seconds)
        write(*given)

    Result.write = slowly


start_rank = launching._started


def started(*arguments: Any) -> int:
    """Do the work of a rank, which is a fresh process too."""
    small_items()
    return start_rank(*arguments)


def often_checkpoints(seconds: float) -> None:
    """Have the checkpoints of searches written after so many seconds."""
    from pipeline.stages.evolution import work as evolution

    evolution.SECONDS = seconds


def work(overrides: list[str], log: str, climbed: str, seconds: tuple[float, float]) -> None:
    """Run the pipeline as the command line does, in a process that nothing has run in before."""
    small_items()
    write_seconds, checkpoint_seconds = seconds
    often_checkpoints(checkpoint_seconds)
    note_climbed(climbed)
    slow_disk(write_seconds)
    launching._supervised.__globals__["_started"] = started
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from hydra import compose, initialize_config_dir

    from pipeline.cli.run import run
    from pipeline.config.build import typed
    from pipeline.config.schema import register
    from pipeline.config.search_path import conf_dir
    from pipeline.errors import ArtiphysError
    from pipeline.runner.stopping import STOPPED, Stopped, listen

    listen()
    try:
        register()
        with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
            run(typed(compose("config", overrides)))
    except Stopped:
        sys.exit(STOPPED)
    except ArtiphysError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)


class Bench:
    """Starts runs in fresh processes.

    Attributes:
        log: what the runs have said.
        climbed: a line for every block of ascents that they have begun to compute.
        write_seconds: how much longer than on this disk an item takes to write.
        checkpoint_seconds: from one checkpoint of a search to the next.
    """

    write_seconds = 0.0
    checkpoint_seconds = 2.0

    def __init__(self, folder: Path, photographs: Path) -> None:
        self.folder = folder
        self.log = folder / "said"
        self.climbed = folder / "climbed"
        self.photographs = photographs
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(WARM)

    def start(self, out: Path, *overrides: str) -> multiprocessing.Process:
        given = [*SMALL, f"images.root={self.photographs}", f"out={out}", *overrides]
        seconds = (self.write_seconds, self.checkpoint_seconds)
        process = self.context.Process(
            target=work, args=(given, str(self.log), str(self.climbed), seconds)
        )
        process.start()
        return process

    def start_until(self, out: Path, count: int, *overrides: str) -> multiprocessing.Process:
        """Start a run and return it once its store holds so many items."""
        process = self.start(out, *overrides)
        while not out.exists() or len(shards(out)) < count:
            assert process.is_alive(), self.said()
            time.sleep(0.005)
        return process

    def run(self, out: Path, *overrides: str, code: int = 0, timeout: float = 120) -> str:
        """Run to the end and return what was said."""
        before = len(self.said())
        process = self.start(out, *overrides)
        process.join(timeout)
        assert process.exitcode == code, self.said()[before:]
        return self.said()[before:]

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(8)
    for number in range(PHOTOGRAPHS):
        pixels = rng.integers(0, 255, (13, 14, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((110, 100)).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture
def bench(tmp_path: Path, photographs: Path) -> Bench:
    return Bench(tmp_path, photographs)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    """The out folder of a run that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    Bench(folder, photographs).run(folder / "out")
    return folder / "out"


@pytest.fixture
def small_disk(tmp_path: Path):
    """A folder on a disk of its own of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def shards(out: Path) -> dict[str, bytes]:
    """Return the bytes of every item of a store."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for folder in Layout(out).results()
        for path in sorted(folder.glob(f"*{ITEM}"))
        if not path.name.startswith(".")
    }


def tables(out: Path) -> dict[str, bytes]:
    """Return the bytes of the tables of the newest run."""
    newest = sorted(path.parent for path in out.glob("runs/*/*/tables"))[-1]
    return {path.name: path.read_bytes() for path in sorted((newest / "tables").glob("*.parquet"))}


# What says when and how a result was made, and by which run, is another each time.
MADE_ANEW = ("record.json", "log")


def files(out: Path) -> dict[str, bytes]:
    """Return every file of a store and of its newest run, without the times and paths in it."""
    newest = max(out.glob("runs/*/*"), key=lambda run: run.stat().st_mtime)
    told = [path for path in newest.rglob("*") if path.is_file() and path.name not in MADE_ANEW]
    stored = [
        path
        for path in Layout(out).store.rglob("*")
        if path.is_file() and path.parent.name not in ("provenance", "finished")
    ]
    return {
        _timeless(path.relative_to(out).as_posix().encode()).decode(): _timeless(
            path.read_bytes().replace(str(out).encode(), b"OUT")
        )
        for path in [*told, *stored]
    }


def _timeless(content: bytes) -> bytes:
    """Return a content without times: of run folders, and in the pages that show them."""
    return re.sub(rb"\d{4}-\d\d-\d\d[_T ]\d\d[-:]\d\d([-:]\d\d)?(_\d+|\+00:00)?", b"TIME", content)


def assert_same(out: Path, other: Path) -> None:
    """Check that two stores hold the same items, and their last runs the same tables."""
    ours, theirs = shards(out), shards(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert tables(out) == tables(other)
    assert pd.read_parquet(next(out.glob("runs/*/*/tables/ascents.parquet"))).status.eq("ok").any()
