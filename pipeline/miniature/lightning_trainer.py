"""Lightning, configured to train one small network quietly in one process."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import pytorch_lightning as lightning
from lightning_fabric.plugins.environments.lightning import LightningEnvironment


def trainer(steps: int, accelerator: str) -> lightning.Trainer:
    """Return a trainer for a number of steps on one device that writes no files."""
    return lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        max_steps=steps,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[LightningEnvironment()],  # one process, even if Slurm could start more
    )


@contextmanager
def quiet_lightning() -> Generator[None]:
    """Suppress Lightning's advertisements, and warnings of what is meant to be."""
    log = logging.getLogger("pytorch_lightning")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            # The network whose features are compared is in eval mode.
            warnings.filterwarnings("ignore", message=".*module.s. in eval mode.*")
            warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
            yield
    finally:
        log.setLevel(level)
