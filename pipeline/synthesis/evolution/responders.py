"""Responders: who looks at the pictures and responds, a network or a rig."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis.evolution.scorers import Scorer
from pipeline.synthesis.scoring import Score


class Pass(NamedTuple):
    """Images that are shown together, ready to be shown.

    Attributes:
        images: network input.
        searches: number of the search that each image belongs to.
        usable: which of them are finite; others are not shown.
    """

    images: Float[Tensor, "batch c height width"]
    searches: Int[np.ndarray, " batch"]
    usable: Bool[Tensor, " batch"]


class Occasion(NamedTuple):
    """What pictures are shown for.

    Attributes:
        evolution: name of the searches that are shown together.
        generation: number of the generation, from 1; of references, the generations before.
        references: whether they are references.
    """

    evolution: str
    generation: int
    references: bool = False


@runtime_checkable
class Responder(Protocol):
    """Responds to images.

    Attributes:
        measured: whether responses are measured: each presentation has its own, with noise that is
            not known. Others are computed once, and noise may be added.
    """

    measured: bool

    def __call__(
        self, passes: Iterable[Pass], repeats: int, occasion: Occasion
    ) -> Float[np.ndarray, "presentations images"]:
        """Return the responses to the images of all passes, NaN where there is none.

        One row per repeat if they are measured, else a single row.
        """
        ...


@dataclass
class UnitResponses:
    """The responses of units of a network, computed.

    Attributes:
        score: returns the responses of units to images, such as a unit network.
        units: unit of each search.
        device: of the network.
    """

    score: Score
    units: Sequence[int]
    device: torch.device
    measured: bool = False

    def __call__(
        self,
        passes: Iterable[Pass],
        repeats: int,  # noqa: ARG002
        occasion: Occasion,  # noqa: ARG002
    ) -> Float[np.ndarray, "presentations images"]:
        """Return the responses, in one row; copied from the device all at once."""
        units = torch.tensor([*self.units])
        found: list[Tensor] = []
        with torch.inference_mode():
            for images, searches, usable in passes:
                own = units[torch.from_numpy(searches)].to(self.device)
                responses = self.score(images, own)
                known = usable & responses.isfinite()
                found.append(torch.where(known, responses, torch.nan))
            return torch.cat(found).double().cpu().numpy()[None]


@dataclass
class MeasuredScores:
    """Scores of pictures that a function or a scorer returns, for instance from a rig.

    Each generation is one call, with all pictures in the order in which they are to be shown: all
    of them once, and then again, as often as they are repeated.

    Attributes:
        score: a scorer, or a function that returns one number per picture, NaN where nothing was
            measured.
        preprocessing: of the network, from which pixels are computed.
        searches: unit and restart of each search.
    """

    score: Callable[[Float[Tensor, "pictures c height width"]], object] | Scorer
    preprocessing: Preprocessing
    searches: Sequence[tuple[int, int]]
    measured: bool = True

    def __call__(
        self, passes: Iterable[Pass], repeats: int, occasion: Occasion
    ) -> Float[np.ndarray, "presentations images"]:
        """Return the scores, one row per repeat."""
        with torch.no_grad():
            seen = [*passes]
        usable = torch.cat([each.usable for each in seen]).cpu().numpy()
        images = torch.cat([each.images[each.usable].cpu() for each in seen])
        scores = np.full((repeats, len(usable)), np.nan)
        if len(images):
            pictures = self.preprocessing.pixels(images).clamp_(0, 1).repeat(repeats, 1, 1, 1)
            shown = self._shown(usable, repeats, occasion)
            scores[:, usable] = self._scores(pictures, shown).reshape(repeats, -1)
        scores[~np.isfinite(scores)] = np.nan
        return scores

    def _shown(
        self, usable: Bool[np.ndarray, " images"], repeats: int, occasion: Occasion
    ) -> pd.DataFrame:
        """Return what each picture is, as of ``Scorer``."""
        candidates = len(usable) // len(self.searches)
        own = np.repeat(np.array([*self.searches]), candidates, 0)
        once = pd.DataFrame(
            {
                "evolution": occasion.evolution,
                "kind": "reference" if occasion.references else "candidate",
                "generation": occasion.generation,
                "unit": own[:, 0],
                "restart": own[:, 1],
                "candidate": np.tile(np.arange(candidates), len(self.searches)),
            }
        )[usable]
        table = pd.concat([once] * repeats, ignore_index=True)
        return table.assign(repeat=np.repeat(np.arange(repeats), len(once)))

    def _scores(self, pictures: Tensor, shown: pd.DataFrame) -> Float[np.ndarray, " pictures"]:
        if isinstance(self.score, Scorer):
            given = self.score.score(pictures, shown)
        else:
            given = self.score(pictures)
        plain = given.detach().cpu() if isinstance(given, Tensor) else given
        try:
            scores = np.asarray(plain, np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"score: it returned {type(given).__name__}, and must return one number per picture"
            ) from error
        if scores.shape != (len(pictures),):
            raise ConfigError(
                f"score: it returned shape {scores.shape} for {len(pictures)} pictures, and must"
                f" return one number per picture, ({len(pictures)},)"
            )
        return scores
