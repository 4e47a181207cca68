"""The settings of similarity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import nearest

NULLS = ("units", "phase", "noise")


@dataclass
class SimilarityConfig:
    """By which statistics ascents are compared, and with which nulls.

    Attributes:
        statistics: a list, or [all] that can be computed: ``pearson``, ``spearman``, ``cosine``,
            ``ssim``, ``sign_tolerant`` (|r|), ``shift_tolerant`` (the largest r over shifts),
            ``field_weighted`` (r weighted by the effective receptive field), ``coherence``,
            ``amplitude`` (r of log Fourier amplitudes), and by the responses of the layer's units
            to both images ``response_profile``, ``own_percentile`` and ``d_prime``.
        nulls: what chance is, a list: ``units`` (the second image is that of another unit),
            ``phase`` (it has random phases and its own amplitudes), ``noise`` (it is Gaussian noise
            with its power spectrum).
        draws: of each null, for p values, of which 1 / (1 + draws) is the smallest; of ``units`` at
            most the number of other units.
        shift: largest shift of ``shift_tolerant`` along each axis, in pixels, at most a quarter of
            the shorter side.
        window: side of the window of ``ssim`` in pixels, odd; on smaller images, the largest odd
            side that fits.
        twins: folders of finished runs of the same layers and inits by a network with random or
            shuffled weights, whose similarities are one more null, ``twin``; of statistics of
            responses and fields, if those runs had the stage ``similarity``.
        runs: folders of finished runs of this stage that differ from this run, such as in their
            optimizer; or folders that contain runs, such as that of a sweep. Every statistic and
            the final responses are compared with theirs unit by unit, in ``similarity_tests``.
    """

    statistics: list[str] = field(default_factory=lambda: ["all"])
    nulls: list[str] = field(default_factory=lambda: ["units", "phase"])
    draws: int = 99
    shift: int = 4
    window: int = 7
    twins: list[str] = field(default_factory=list[str])
    runs: list[str] = field(default_factory=list[str])

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        # What a pattern finds may change without a sign, and a run would not be repeated.
        for path in self.runs:
            if any(sign in path for sign in "*?[") and not Path(path).expanduser().exists():
                yield (
                    f"similarity.runs: '{path}' is a pattern; give run folders, or folders that"
                    " contain runs"
                )
        for name in self.nulls:
            if name not in NULLS:
                yield (
                    f"similarity.nulls: '{name}' is not one of {', '.join(NULLS)}"
                    f"{nearest(name, NULLS)}"
                )
        if len(set(self.nulls)) < len(self.nulls):
            yield f"similarity.nulls: {list(self.nulls)} names a null twice"
        if self.draws < 1:
            yield f"similarity.draws: {self.draws} is not positive; use 1 or more"
        if self.shift < 0:
            yield f"similarity.shift: {self.shift} pixels are negative; use 0 or more"
        if self.window < 3 or self.window % 2 == 0:
            yield f"similarity.window: {self.window} is not an odd number of pixels from 3; use 7"
