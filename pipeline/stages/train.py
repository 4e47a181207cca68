"""Stage: train the embedded network on drawn stimuli."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.miniature.training import train_miniature
from pipeline.session.session import Session

log = logging.getLogger(__name__)


def run(session: Session) -> None:
    """Train, and write weights and record to ``training.out`` or the run folder."""
    config = session.parts.config.training
    out = Path(config.out).expanduser() if config.out else session.paths.weights
    log.info("train: %d steps of %d images", config.steps, config.batch)
    record = train_miniature(
        out,
        seed=session.parts.config.seed,
        steps=config.steps,
        batch=config.batch,
        accelerator=session.parts.config.runner["accelerator"],
    )
    accuracy = record["test_accuracy"]["class"]
    session.tracker.log({"train/test_accuracy": accuracy})
    session.done += 1
    log.info("train: test accuracy %.3f; weights in %s", accuracy, out)
