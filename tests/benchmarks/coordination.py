"""What coordination costs: many tiny work items, and the memory of a search of many images.

``python -m tests.benchmarks items memory``; the second draws ``search_memory.png`` too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.errors import ConfigError
from pipeline.images.files import Loaded
from pipeline.images.image_sets import ImageSet
from pipeline.images.preprocessing import Preprocessing
from pipeline.runner.processes import Processes
from pipeline.runner.runner import Runner
from pipeline.store.layout import Layout
from pipeline.store.results import Result, find_result

ITEMS = 10_000
COUNTS = (1_000, 3_000, 10_000, 30_000, 100_000)


@dataclass(frozen=True)
class Tiny:
    """Items of next to no work, each written to the store as a file (``runner.Work``)."""

    result: Result

    def needed(self, item: str) -> bool:
        return not self.result.holds(item)

    def size(self, item: str) -> int:
        return 1

    def parts(self, item: str) -> Sequence[int]:
        return (int(item),)

    def load(self, part: int) -> int:
        return part

    def run(self, part: int) -> np.ndarray:
        return compute(part)

    def begin(self, item: str) -> Written:
        return Written(self.result, item, [])


@dataclass(frozen=True)
class Written:
    result: Result
    item: str
    numbers: list[np.ndarray]

    def add(self, done: np.ndarray) -> None:
        self.numbers.append(done)

    def write(self) -> None:
        self.result.write(self.item, {"numbers": self.numbers[0]})


def compute(number: int) -> np.ndarray:
    return torch.full((16,), float(number)).sqrt().numpy()


def items(quick: bool) -> list[dict[str, str | float]]:
    """Do tiny items in a bare loop, and through runner and store by one and by two processes."""
    count = 50 if quick else ITEMS
    start = time.perf_counter()
    for number in range(count):
        compute(number)
    bare = (time.perf_counter() - start) / count
    rows: list[dict[str, str | float]] = []
    for processes in (1, 2):
        with tempfile.TemporaryDirectory() as out:
            seconds = Path(out) / "seconds"
            Processes("cpu", processes, 1).launch(do_items, out, count, str(seconds))
            each = float(seconds.read_text()) / count
            again = Processes("cpu", processes, 1)
            again.launch(do_items, out, count, str(seconds))
            found = float(seconds.read_text()) / count
        rows.append(
            {
                "processes": processes,
                "items": count,
                "bare_ms": 1e3 * bare,
                "done_ms": 1e3 * each,
                "over_ms": 1e3 * (each - bare),
                "found_ms": 1e3 * found,
            }
        )
    return rows


def do_items(runner: Runner, out: str, count: int, seconds: str) -> int:
    """Do all items in one of the processes; the leader notes how long it took."""
    names = [str(number) for number in range(count)]
    result = find_result(Layout(out), ("tiny", "none", "none"), {}, names, 3)
    runner.ranks.barrier()
    start = time.perf_counter()
    runner.do(names, Tiny(result), "tiny: items")
    if runner.ranks.leads:
        Path(seconds).write_text(str(time.perf_counter() - start))
    return 0


def simulated(preprocessing: Preprocessing, *, count: int) -> ImageSet:
    """Return images that are made when they are asked for, as an image set of a configuration."""
    if count < 1:
        raise ConfigError(f"images.count: {count} is not positive")
    noise = torch.randn(3, 128, 128, generator=torch.Generator().manual_seed(0))

    def load(index: int) -> Loaded:
        top, left = index % 33, index // 33 % 33
        return Loaded(noise[:, top : top + 96, left : left + 96] * (1 + index % 7), index)

    names = [f"{index:07d}.png" for index in range(count)]
    return ImageSet(names, (96, 96), {"kind": "simulated", "count": count}, load)


def memory(quick: bool) -> list[dict[str, str | float]]:
    """Search ever more images, each time in a process of its own, and note its largest memory."""
    rows: list[dict[str, str | float]] = []
    for count in COUNTS[: 1 if quick else None]:
        code = f"from tests.benchmarks.coordination import searched; searched({count})"
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    if not quick:
        draw(rows)
    return rows


def searched(count: int) -> None:
    """Search so many images for conv1 to conv3 and print the largest memory that was used."""
    from hydra import compose, initialize_config_dir

    from pipeline.cli.run import run_anew
    from pipeline.config.build import typed
    from pipeline.config.schema import register
    from pipeline.config.search_path import conf_dir

    register()
    with tempfile.TemporaryDirectory() as out:
        overrides = ["stages=[top_patches]", "layers=[conv1,conv2,conv3]", "tracking=none"]
        with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
            config = typed(compose("config", [*overrides, f"out={out}", "runner.accelerator=cpu"]))
        config.images = {
            "_target_": "tests.benchmarks.coordination.simulated",
            "_partial_": True,
            "count": count,
        }
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        run_anew(config)
        seconds = time.perf_counter() - start
        files = sum(path.stat().st_size for path in Layout(out).store.rglob("*") if path.is_file())
    row: dict[str, Any] = {
        "images": count,
        "largest_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "imports_mb": before / 1e3,
        "store_mb": files / 1e6,
        "images_per_s": count / seconds,
    }
    sys.stdout.write(json.dumps(row) + "\n")


def draw(rows: list[dict[str, str | float]]) -> None:
    """Draw the largest memory by the number of images."""
    from pipeline.figures import style

    with style.paper_style():
        figure = style.new_figure(3.5, 2.4)
        axes = figure.add_subplot()
        largest = [float(row["largest_mb"]) for row in rows]
        axes.semilogx([row["images"] for row in rows], largest, "o-", ms=3, lw=0.8)
        axes.set_ylim(0, 1.15 * max(largest))
        axes.set_xlabel("images searched")
        axes.set_ylabel("largest memory (MB)")
        content = style.render(figure, "png")
    folder = Path("outputs/benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "search_memory.png").write_bytes(content)
