"""The loop of evolution: ask, draw, show and tell, for many searches at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.synthesis.evolution import random_numbers
from pipeline.synthesis.evolution.contrast import contrasts
from pipeline.synthesis.evolution.responders import Occasion
from pipeline.synthesis.evolution.searchers import Searching
from pipeline.synthesis.evolution.showing import Codes, Draw, Scores, Showing, measured_mean


@dataclass(frozen=True)
class Proposals:
    """Where pictures come from: codes that are searched, and how they are drawn.

    Attributes:
        searching: the searches, which have not begun.
        draw: returns pictures of codes.
        population: pictures per generation of one search.
        cost: queries that one presentation of a picture counts.
    """

    searching: Searching
    draw: Draw
    population: int
    cost: int = 1


@dataclass(frozen=True)
class Best:
    """The best image of each search.

    Attributes:
        images: network input as it was shown; NaN where no response was measured.
        observed: its score, the largest that was observed; NaN if there is none.
        noise_free: its response without noise, computed anew from the image alone; NaN if responses
            are measured.
        contrasts: its contrast.
        found: whether there is one.
    """

    images: Float[Tensor, "searches c height width"]
    observed: Float[np.ndarray, " searches"]
    noise_free: Float[np.ndarray, " searches"]
    contrasts: Float[np.ndarray, " searches"]
    found: Bool[np.ndarray, " searches"]


# What is recorded of every generation of every search, in this order.
MEASURES = ("best", "mean", "noise_free", "noise_free_mean", "missing")


class Evolution:
    """Searches under way, one generation at a time.

    No search depends on the others, to the last bit, with one search per forward pass
    (``Experiment.searches_per_pass``).

    Args:
        proposals: where pictures come from.
        showing: how they are shown.
        identities: what makes each search what it is; the random numbers of its noise follow.
        name: name of the searches, which a rig is told.

    Attributes:
        generation: number of generations done.
        generations: number of generations in all.
    """

    def __init__(
        self,
        proposals: Proposals,
        showing: Showing,
        identities: Sequence[Sequence[object]],
        name: str,
    ) -> None:
        self.proposals, self.showing, self.name = proposals, showing, name
        experiment = showing.experiment
        self.generation = 0
        self.generations = experiment.generations(proposals.population, proposals.cost)
        searches = len(identities)
        self._noises = [random_numbers.source(*each, "noise") for each in identities]
        self._reference_noises = [random_numbers.source(*each, "references") for each in identities]
        references = 0 if experiment.references is None else len(experiment.references)
        rounds = -(-self.generations // experiment.reference_every)
        # All that changes, besides the searches and the random numbers.
        self._arrays = {
            "history": np.full((len(MEASURES), self.generations, searches), np.nan),
            "references": np.full((2, rounds, searches, references), np.nan),
            "best": np.full(searches, np.nan),
            "best_noise_free": np.full(searches, np.nan),
        }
        if showing.responder.measured:  # since an image that is drawn anew may not be that shown
            self._arrays["best_images"] = np.full(self.shape, np.nan, np.float32)
        self._best_codes: Float[np.ndarray, "searches genes"] | None = None

    @property
    def finished(self) -> bool:
        """Whether all generations are done."""
        return self.generation == self.generations

    def run(self) -> None:
        """Do the generations that are left."""
        while not self.finished:
            self.step()

    def step(self) -> None:
        """Do one generation: ask, draw, show, tell."""
        proposals, experiment = self.proposals, self.showing.experiment
        shown = self._spent(self.generation)
        if experiment.shows_references(self.generation):
            self._show_references(shown)
            shown += experiment.reference_queries
        codes = proposals.searching.ask()
        occasion = Occasion(self.name, self.generation + 1)
        scores = self.showing.show(codes, proposals.draw, shown, self._noises, occasion)
        proposals.searching.tell(scores.observed)
        self._keep(codes, scores)
        self._record(scores)
        self.generation += 1

    def queries(self) -> list[int]:
        """Return the number of queries of each search after each generation done."""
        return [self._spent(number + 1) for number in range(self.generation)]

    def history(self) -> dict[str, Float[np.ndarray, "generations searches"]]:
        """Return what was measured in each generation done.

        ``best`` is the largest score so far, ``mean`` that of the generation, ``noise_free`` the
        response without noise of the image that is best so far, ``noise_free_mean`` their mean in
        the generation, and ``missing`` the number of pictures without a score.
        """
        return dict(zip(MEASURES, self._arrays["history"][:, : self.generation], strict=True))

    def references(self) -> dict[int, Float[np.ndarray, "2 searches references"]]:
        """Return the scores of the references, observed and without noise.

        Keys are the numbers of generations that were done before.
        """
        every = self.showing.experiment.reference_every
        rounds = -(-self.generation // every)
        if not self.showing.experiment.reference_queries:
            return {}
        return {number * every: self._arrays["references"][:, number] for number in range(rounds)}

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the best images: searches, channels, height and width."""
        channels = len(self.showing.prepare.preprocessing.mean)
        return (len(self._noises), channels, *self.showing.size)

    def best(self) -> Best:
        """Return the best images so far, and score them without noise."""
        images, observed = self.best_images(), self._arrays["best"]
        noise_free = self.showing.noise_free(images)
        whole, found = images.cpu(), np.isfinite(observed)
        return Best(whole, observed.copy(), noise_free, contrasts(whole).numpy(), found)

    def best_images(self) -> Float[Tensor, "searches c height width"]:
        """Return the best images so far, as they were shown; NaN where nothing was measured.

        Raises:
            ValueError: no generation has been done.
        """
        codes, showing = self._best_codes, self.showing
        if codes is None:
            raise ValueError("no generation has been done")
        if "best_images" in self._arrays:
            return torch.tensor(self._arrays["best_images"])
        images = torch.full(self.shape, torch.nan, device=showing.device)
        with torch.no_grad():
            # One by one, as an image must not depend on others.
            for row in np.flatnonzero(np.isfinite(self._arrays["best"])):
                picture = showing.pictures(codes[[row]], self.proposals.draw)
                images[row] = showing.prepare(picture)[0]
        return images

    def state(self) -> dict[str, np.ndarray]:
        """Return all that is needed to go on after the generations done, by name."""
        state = {"generation": np.array(self.generation)}
        state |= {name: array.copy() for name, array in self._arrays.items()}
        if self._best_codes is not None:
            state["best_codes"] = self._best_codes.copy()
        for part, found in (
            ("noise", random_numbers.states(self._noises)),
            ("reference_noise", random_numbers.states(self._reference_noises)),
            ("searching", self.proposals.searching.state() if self.generation else {}),
        ):
            state |= {f"{part}/{name}": array for name, array in found.items()}
        return state

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state of searches that began alike, to the same bits."""
        self.generation = int(state["generation"])
        self._arrays = {name: np.array(state[name]) for name in self._arrays}
        self._best_codes = np.array(state["best_codes"]) if "best_codes" in state else None
        random_numbers.restore(self._noises, _part(state, "noise"))
        random_numbers.restore(self._reference_noises, _part(state, "reference_noise"))
        if self.generation:
            self.proposals.searching.restore(_part(state, "searching"))

    def _spent(self, generations: int) -> int:
        proposals = self.proposals
        return self.showing.experiment.spent(generations, proposals.population, proposals.cost)

    def _show_references(self, shown: int) -> None:
        pictures = self.showing.experiment.references
        assert pictures is not None  # noqa: S101
        numbers = np.arange(len(pictures), dtype=np.float64)[None, :, None]
        codes = np.repeat(numbers, len(self._noises), 0)
        here = pictures.to(self.showing.device)
        occasion = Occasion(self.name, self.generation, references=True)
        scores = self.showing.show(
            codes,
            lambda numbers: here[numbers[:, 0].long()],
            shown,
            self._reference_noises,
            occasion,
        )
        number = self.generation // self.showing.experiment.reference_every
        self._arrays["references"][:, number] = scores

    def _keep(self, codes: Codes, scores: Scores) -> None:
        """Keep the best candidates so far; of equal ones, the first."""
        if self._best_codes is None:
            self._best_codes = np.full((len(codes), codes.shape[2]), np.nan)
        observed = np.where(np.isnan(scores.observed), -np.inf, scores.observed)
        top = observed.argmax(1)
        rows = np.arange(len(codes))
        better = observed[rows, top] > np.nan_to_num(self._arrays["best"], nan=-np.inf)
        rows, top = rows[better], top[better]
        self._best_codes[rows] = codes[rows, top]
        self._arrays["best"][rows] = observed[rows, top]
        self._arrays["best_noise_free"][rows] = scores.noise_free[rows, top]
        if "best_images" in self._arrays and len(rows):
            images = self.showing.images(codes, self.proposals.draw)
            self._arrays["best_images"][rows] = images[rows * codes.shape[1] + top].numpy()

    def _record(self, scores: Scores) -> None:
        self._arrays["history"][:, self.generation] = (
            self._arrays["best"],
            measured_mean(scores.observed, 1),
            self._arrays["best_noise_free"],
            measured_mean(scores.noise_free, 1),
            np.isnan(scores.observed).sum(1),
        )


def _part(state: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    """Return the arrays of one part of a state, by their names there."""
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)
    }
