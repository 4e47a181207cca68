"""The settings of training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import nearest

TRAINED = ("classifier", "decoder")


@dataclass
class TrainingConfig:
    """What embedded network is trained, and how.

    Attributes:
        network: ``classifier`` (the network that is examined) or ``decoder`` (the generator of
            evolution, which draws from the features of the shipped classifier).
        steps: number of training steps; by default 2500 for the classifier, 2400 for the decoder.
        batch: batch size; by default 64 for the classifier, 16 for the decoder.
        out: folder for the weights and their record; the run folder by default.
    """

    network: str = "classifier"
    steps: int | None = None
    batch: int | None = None
    out: str | None = None

    def faults(self) -> Iterator[str]:
        """Yield the faults in the values."""
        if self.network not in TRAINED:
            yield (
                f"training.network: '{self.network}' is neither 'classifier' nor 'decoder'"
                f"{nearest(self.network, TRAINED)}"
            )
        for name, value in (("steps", self.steps), ("batch", self.batch)):
            if value is not None and value < 1:
                yield f"training.{name}: {value} is not positive; use 1 or more"
