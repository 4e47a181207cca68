"""Training the embedded network."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pipeline.miniature.training import train_miniature
from pipeline.run.active_run import ActiveRun
from pipeline.run.room import folder_faults

log = logging.getLogger(__name__)


def training_faults(run: ActiveRun, _plan: object) -> Iterator[str]:
    """Yield the reason if the weights cannot be written."""
    out = run.parts.config.training.out
    if out is not None:
        yield from folder_faults("training.out", out)


def train(run: ActiveRun, _plan: object) -> None:
    """Train, and write weights and record to ``training.out`` or the run folder."""
    config = run.parts.config.training
    out = Path(config.out).expanduser() if config.out else run.paths.weights
    log.info("train: %d steps of %d images", config.steps, config.batch)
    record = train_miniature(
        out,
        seed=run.parts.config.seed,
        steps=config.steps,
        batch=config.batch,
        accelerator=run.parts.config.runner["accelerator"],
    )
    accuracy = record["test_accuracy"]["class"]
    run.tracker.log({"train/test_accuracy": accuracy})
    run.done += 1
    log.info("train: test accuracy %.3f; weights in %s", accuracy, out)
