"""Stage: climb the response of every unit from every init."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.contrast import contrasts, norms
from pipeline.session.climbed import (
    EXACT,
    Climb,
    all_climbs,
    ascents,
    main_climbs,
    read_responses,
    trajectories,
)
from pipeline.session.climbing import Batch, Climber, batches_of
from pipeline.session.session import Session
from pipeline.session.treated import Beginning
from pipeline.store.results import Arrays
from pipeline.synthesis import loop
from pipeline.synthesis.loop import NOT_FINITE, ZERO_GRADIENT

log = logging.getLogger(__name__)


def work(session: Session) -> None:
    """Climb, with all processes, what has not been climbed; the heaviest blocks first."""
    climbs = all_climbs(session)
    missing = [climb for climb in climbs if session.leads and climb.result.missing()]
    named = session.parts.runner.ranks.tell(", ".join(_named(missing)))
    if not named:
        return
    ascent = Ascent(session)
    plan = [Block(climb, name) for climb in climbs for name in climb.blocks]
    plan.sort(key=ascent.operations, reverse=True)
    log.info("ascent: climbing %s", named)
    results = [climb.result for climb in missing]
    session.make(results, plan, ascent, "ascent: ascents", tf32=True)


def run(session: Session) -> None:
    """Write the tables of ascents and trajectories."""
    session.table("ascents", ascents(session))
    session.table("trajectories", trajectories(session))
    for climb in main_climbs(session):
        _warn(climb)


def _named(climbs: Sequence[Climb]) -> list[str]:
    return list(dict.fromkeys(f"{climb.layer.name} from {climb.init}" for climb in climbs))


@dataclass(frozen=True)
class Block:
    """Units of one climb that are written as one file."""

    climb: Climb
    name: str

    @property
    def units(self) -> Sequence[int]:
        """The units, in order."""
        return self.climb.blocks[self.name]


class Ascent:
    """Blocks of units as work for the runner (``runner.Work``)."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.climb = Climber(session)

    def operations(self, block: Block) -> int:
        """Return how many operations a block takes, as weighed against others."""
        costs = self.session.parts.costs(block.climb.layer)
        return self.size(block) * costs.operations * (4 if block.climb.precision == EXACT else 1)

    def needed(self, block: Block) -> bool:
        """Say whether a block is not in the store."""
        return not block.climb.result.holds(block.name)

    def size(self, block: Block) -> int:
        """Return how many images a block holds."""
        return len(block.units) * self.session.parts.copies

    def parts(self, block: Block) -> list[Batch]:
        """Return the batches of a block."""
        return batches_of(self.session, block.climb, block.name)

    def load(self, batch: Batch) -> Batch:
        """Return the batch itself: its starting images are made where it is climbed."""
        return batch

    def run(self, batch: Batch) -> tuple[Arrays, list[str]]:
        """Climb one batch."""
        start, done = self.climb(batch)
        return _arrays(start, done), done.status

    def begin(self, block: Block) -> Climbed:
        """Return what gathers a block."""
        return Climbed(block, [], [])


@dataclass(frozen=True)
class Climbed:
    """What the batches of one block gave."""

    block: Block
    arrays: list[Arrays]
    status: list[str]

    def add(self, done: tuple[Arrays, list[str]]) -> None:
        """Take in a batch."""
        self.arrays.append(done[0])
        self.status.extend(done[1])

    def write(self) -> None:
        """Write the block."""
        whole = {
            name: np.concatenate([arrays[name] for arrays in self.arrays])
            for name in self.arrays[0]
        }
        self.block.climb.result.write(self.block.name, whole, {"status": self.status})


def _arrays(start: Beginning, done: loop.Ascent) -> Arrays:
    starts, images = done.starts.cpu().numpy(), done.images.cpu().numpy()
    return {
        "units": np.array(start.units),
        "copies": np.array(start.copies),
        "starts": starts.astype(np.float32),
        "images": images,
        "responses": done.responses.cpu().numpy(),
        "norms": np.stack([norms(starts), norms(images)], 1),
        "contrasts": np.stack([contrasts(starts), contrasts(images)], 1),
        "budgets": start.budgets.cpu().numpy(),
    }


def _warn(climb: Climb) -> None:
    advice: dict[str, Callable[[str], str]] = {
        ZERO_GRADIENT: lambda units: (
            f"{units} cannot climb from '{climb.init}': the gradient there is zero (a nonlinearity"
            " on every path is silent); try init=[top_patch] or init=[noise] with a larger std"
        ),
        NOT_FINITE: lambda units: (
            f"{units} from '{climb.init}' reached a response that is not finite; try a smaller"
            " optimizer.lr"
        ),
    }
    found = read_responses(climb)
    for status, say in advice.items():
        pairs = zip(found.units.tolist(), found.status, strict=True)
        failed = list(dict.fromkeys(unit for unit, reason in pairs if reason == status))
        if failed:
            shown = ", ".join(map(str, failed[:10]))
            more = f" and {len(failed) - 10} more" if len(failed) > 10 else ""
            named = f"unit {shown}{more}" if found.of_units else "the layer as a whole"
            log.warning("%s: %s", climb.layer.name, say(named))
