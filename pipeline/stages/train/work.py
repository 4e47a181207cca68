"""Training the embedded network."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from pipeline.miniature.training import TrainingSettings, train_miniature
from pipeline.run.active_run import ActiveRun
from pipeline.run.room import folder_faults
from pipeline.store.files import write_whole

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
    accelerator = run.parts.config.runner["accelerator"]
    network, record = train_miniature(
        TrainingSettings(run.parts.config.seed, config.steps, config.batch, accelerator=accelerator)
    )
    write_weights(out, network, record)
    accuracy = record["test_accuracy"]["class"]
    run.tracker.log({"train/test_accuracy": accuracy})
    run.done += 1
    log.info("train: test accuracy %.3f; weights in %s", accuracy, out)


def write_weights(out: Path, network: nn.Module, record: Mapping[str, Any]) -> None:
    """Write a trained network into a folder, which is made if need be.

    Files are ``miniature.safetensors`` (the network's state, float32) and ``miniature.json`` (the
    record); those of these names are replaced.

    Raises:
        StoreError: the disk refuses.
    """
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    # The record last: where it lies, the weights that it tells of lie too.
    write_whole(out / "miniature.safetensors", lambda path: save_file(state, path))
    text = json.dumps(record, indent=2) + "\n"
    write_whole(out / "miniature.json", lambda path: path.write_text(text, encoding="utf-8"))
