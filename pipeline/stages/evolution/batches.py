"""What the searches of a layer share, as the library takes it."""

from __future__ import annotations

import torch

from pipeline.errors import ConfigError
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.stages.evolution.references import References
from pipeline.synthesis.evolution.adaptation import exponential
from pipeline.synthesis.evolution.batch import Batch, field_size
from pipeline.synthesis.evolution.experiment import Experiment
from pipeline.synthesis.evolution.noises import Noise


def batch_of(run: ActiveRun, layer: Layer) -> Batch:
    """Return the batch of the units of a layer, scored by the network without noise."""
    parts = run.parts
    return Batch(
        parts.sized_network,
        layer,
        parts.units[layer.name],
        parts.config.evolution.restarts,
        parts.config.seed,
        experiment_of(run, None, None),
        torch.device(parts.runner.device),
        run.images,
    )


def experiment_of(
    run: ActiveRun, noise: Noise | None, references: References | None, layer: Layer | None = None
) -> Experiment:
    """Return how pictures are shown to the units of a layer.

    Raises:
        ConfigError: a setting is outside of its range.
    """
    config = run.parts.config.evolution
    shown = None
    if references is not None and layer is not None:
        shown = references.covering(field_size(run.parts.sized_network, layer))
    adaptation = None
    if config.adaptation is not None:
        try:
            adaptation = exponential(*config.adaptation)
        except ConfigError as error:
            raise ConfigError(f"evolution.{error}") from error
    return Experiment(
        config.queries,
        config.repeats,
        config.contrast,
        config.bits,
        noise,
        adaptation,
        shown,
        config.reference_every,
        config.searches_per_pass,
    )
