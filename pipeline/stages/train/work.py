"""Training the embedded networks."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from pipeline.miniature.decoder_training import DecoderSettings, train_decoder
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
    given = {name: getattr(config, name) for name in ("steps", "batch")}
    given = {name: value for name, value in given.items() if value is not None}
    given |= {"seed": run.parts.config.seed, "accelerator": run.parts.config.runner["accelerator"]}
    if config.network == "decoder":
        _train_decoder(run, out, DecoderSettings(**given))
    else:
        _train_classifier(run, out, TrainingSettings(**given))
    run.done += 1


def _train_classifier(run: ActiveRun, out: Path, settings: TrainingSettings) -> None:
    log.info("train: %d steps of %d images", settings.steps, settings.batch)
    network, record = train_miniature(settings)
    write_weights(out, "miniature", network.state_dict(), record)
    accuracy = record["test_accuracy"]["class"]
    run.tracker.log({"train/test_accuracy": accuracy})
    log.info("train: test accuracy %.3f; weights in %s", accuracy, out)


def _train_decoder(run: ActiveRun, out: Path, settings: DecoderSettings) -> None:
    log.info("train: the decoder, %d steps of %d images", settings.steps, settings.batch)
    decoder, record = train_decoder(settings)
    halves = {name: tensor.half() for name, tensor in decoder.state_dict().items()}
    write_weights(out, "decoder", halves, record)
    explained = record["test_r2"]["codes"]
    run.tracker.log({"train/test_r2": explained})
    log.info("train: %.3f of the variance of codes explained; weights in %s", explained, out)


def write_weights(
    out: Path, name: str, tensors: Mapping[str, Tensor], record: Mapping[str, Any]
) -> None:
    """Write trained weights into a folder, which is made if need be.

    Files are ``<name>.safetensors`` and ``<name>.json`` (the record); those of these names are
    replaced.

    Raises:
        StoreError: the disk refuses.
    """
    state = {key: tensor.contiguous() for key, tensor in tensors.items()}
    # The record last: where it lies, the weights that it tells of lie too.
    write_whole(out / f"{name}.safetensors", lambda path: save_file(state, path))
    text = json.dumps(record, indent=2) + "\n"
    write_whole(out / f"{name}.json", lambda path: path.write_text(text, encoding="utf-8"))
