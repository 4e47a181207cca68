"""The plan of similarity: responses to what was added, and every pair of inits of every layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from itertools import combinations, combinations_with_replacement

from pipeline.analysis.similarity.catalog import (
    FIELD,
    IMAGES,
    RESPONSES,
    Statistic,
    chosen_statistics,
    statistics,
)
from pipeline.errors import ConfigError, StoreError
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.run.identity import canvas_settings
from pipeline.search.effective_fields import NoiseImages
from pipeline.stages.ascent import STAGE as ASCENT
from pipeline.stages.ascent.results import find_climb
from pipeline.stages.collect.results import Wanted, find_finished_runs
from pipeline.stages.similarity import SIMILARITY, STAGE
from pipeline.stages.similarity.compared_runs import ComparedRuns, find_compared_runs
from pipeline.stages.similarity.results import CEILING, TWIN, ComparedPair, Shown, TwinAscents
from pipeline.stages.stage import Plan
from pipeline.store.results import Result
from pipeline.store.runs import Run, find_run

VALUES, MOST = 1 << 22, 64  # values and images of a work item, about; they are in the key


class SimilarityPlan(Plan[Shown | ComparedPair]):
    """Responses to what was added from each init, and the pairs of inits, of every layer.

    Attributes:
        statistics: the chosen statistics.
        compared: other runs, with which units are compared.
        faults: what cannot be compared, and why.
    """

    statistics: Sequence[Statistic] = ()
    compared: ComparedRuns = ComparedRuns()
    faults: Sequence[str] = ()

    @property
    def shown(self) -> list[Shown]:
        """The responses."""
        return [each for each in self if isinstance(each, Shown)]

    @cached_property
    def pairs(self) -> list[ComparedPair]:
        """The pairs."""
        return [each for each in self if isinstance(each, ComparedPair)]


def plan_similarity(run: ActiveRun) -> SimilarityPlan:
    """Return all pairs of inits of every layer; with copies, also each init with itself."""
    faults = Faults()
    chosen = faults.attempt(lambda: _statistics(run)) or []
    twins = faults.attempt(lambda: [_twin(path) for path in run.parts.config.similarity.twins])
    planned: list[Shown | ComparedPair] = []
    for layer in run.parts.layers if chosen and twins is not None else ():
        if run.parts.climbed_units(layer):
            of_layer = partial(_of_layer, run, layer, chosen, twins or [])
            planned += faults.attempt(of_layer) or []
    plan = SimilarityPlan(planned)
    if chosen:
        names = [each.name for each in chosen]
        compared = faults.attempt(lambda: find_compared_runs(run, names))
        plan.compared = compared or ComparedRuns()
    plan.statistics, plan.faults = chosen, faults.found
    return plan


def similarity_faults(run: ActiveRun, plan: SimilarityPlan) -> Iterator[str]:
    """Yield what cannot be compared, and what the store lacks for it."""
    yield from plan.faults
    if plan.faults:
        return
    if not _pairs(run):
        yield (
            "stages: similarity compares ascents, and there is one init of one copy; use"
            " init=[zeros,top_patch] or init.copies=2, or leave it out"
        )
    if ASCENT.name in run.parts.config.stages:
        return
    for pair in plan.pairs:
        if pair.result.missing() and any(c.result.missing() for c in (*pair.climbs, *pair.exact)):
            yield (
                f"similarity: the store does not hold all ascents of {pair.layer.name} from"
                f" {' and '.join(dict.fromkeys(pair.inits))} for this configuration; add ascent to"
                " stages"
            )
            return


def _statistics(run: ActiveRun) -> list[Statistic]:
    """Return the chosen statistics.

    Raises:
        ConfigError: one is unknown, or cannot be computed for the objective.
    """
    config, scoring = run.parts.config.similarity, run.parts.scoring
    available = [IMAGES, *([FIELD, RESPONSES] if scoring.of_fields else [])]
    try:
        names = chosen_statistics(config.statistics, available)
    except ConfigError as error:
        raise ConfigError(f"similarity.{error}") from error
    known = statistics(config.shift, config.window)
    return [known[name] for name in names]


def _pairs(run: ActiveRun) -> list[tuple[str, str]]:
    pairs = combinations_with_replacement if run.parts.copies > 1 else combinations
    return list(pairs(run.parts.inits, 2))


def _of_layer(
    run: ActiveRun, layer: Layer, chosen: Sequence[Statistic], twins: Sequence[Run]
) -> list[Shown | ComparedPair]:
    """Return the responses and pairs of a layer."""
    shown: dict[str, Shown] = {}
    if any(each.needs == RESPONSES for each in chosen):
        shown = {init: _shown(run, layer, init) for init in run.parts.inits}
    pairs: list[ComparedPair] = []
    for inits in _pairs(run):
        ascents = [_ascents(twin, layer, inits) for twin in twins]
        pairs.append(_pair(run, layer, inits, chosen, (shown, ascents)))
    return [*shown.values(), *pairs]


def _shown(run: ActiveRun, layer: Layer, init: str) -> Shown:
    climb = find_climb(run, layer, init)
    settings = {"ascent": climb.result.key, **canvas_settings(run, layer)}
    name = f"{layer.name}/{init}/responses"
    return Shown(layer, init, climb, run.result(STAGE, layer.name, name, settings, ["responses"]))


def _pair(
    run: ActiveRun,
    layer: Layer,
    inits: tuple[str, str],
    chosen: Sequence[Statistic],
    others: tuple[dict[str, Shown], list[TwinAscents]],
) -> ComparedPair:
    (shown, twins), config, parts = others, run.parts.config.similarity, run.parts
    a, b = inits
    climbs = find_climb(run, layer, a), find_climb(run, layer, b)
    exact = find_climb(run, layer, a, exact=True), find_climb(run, layer, b, exact=True)
    blocks = _blocks(run, layer, same=a == b)
    names = [each.name for each in chosen]
    settings = {
        "ascents": [climb.result.key for climb in (*climbs, *exact)],
        "statistics": names,
        "nulls": list(config.nulls),
        "draws": config.draws if config.nulls else 0,
        "shift": config.shift if "shift_tolerant" in names else None,
        "window": config.window if "ssim" in names else None,
        "fields": asdict(noise_images(run)) if "field_weighted" in names else None,
        "twins": [twin.keys for twin in twins],
        "network": canvas_settings(run, layer),
        "seed": parts.config.seed,
        "block": next(iter(blocks.values())).stop,
    }
    items = [*blocks, CEILING, *([TWIN] if twins else [])]
    name = f"{layer.name}/{a}/{b}"
    result = run.result(STAGE, layer.name, name, settings, items)
    both = (shown[a], shown[b]) if shown else None
    return ComparedPair(layer, inits, climbs, exact, result, blocks, both, twins, names)


def noise_images(run: ActiveRun) -> NoiseImages:
    """Return the images from which the effective fields of a run are made."""
    return NoiseImages(seed=run.parts.config.seed)


def _blocks(run: ActiveRun, layer: Layer, *, same: bool) -> dict[str, slice]:
    """Return the rows of each work item."""
    copies = run.parts.copies
    of_unit = 1 if same and copies == 2 else copies
    rows = len(run.parts.climbed_units(layer)) * of_unit
    height, width = run.parts.image_size(layer)
    size = max(1, min(MOST, VALUES // (3 * height * width)))
    starts = range(0, rows, size)
    return {f"block-{n:04d}": slice(at, min(at + size, rows)) for n, at in enumerate(starts)}


def _twin(path: str) -> Run:
    try:
        return find_run(path, Run)
    except StoreError as error:
        raise ConfigError(f"similarity.twins: {error}") from error


def _ascents(twin: Run, layer: Layer, inits: tuple[str, str]) -> TwinAscents:
    """Return the ascents of a twin.

    Raises:
        ConfigError: it lacks some.
    """
    found: list[Result] = []
    for init in inits:
        try:
            found.append(twin.result("ascent", f"{layer.name}/{init}"))
        except StoreError as error:
            raise ConfigError(f"similarity.twins: {error}") from error
    compared = _twin_similarities(twin, f"{layer.name}/{inits[0]}/{inits[1]}")
    return TwinAscents((found[0], found[1]), twin, compared)


def _twin_similarities(twin: Run, name: str) -> Result | None:
    """Return the similarities that a twin has of a pair, if they are of this version."""
    try:
        found = twin.result(STAGE.name, name)
        find_finished_runs([twin.paths.folder], Wanted(STAGE, (SIMILARITY,), ()))
    except StoreError:
        return None
    return found
