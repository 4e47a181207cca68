"""The plan of a run: what is mapped by which methods, and what cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from pipeline.errors import nearest
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.search.field_mapping import check_mappable
from pipeline.search.stimulus_responses import check_memory
from pipeline.stages.receptive_fields.measures import Measures, plan_measures
from pipeline.stages.receptive_fields.methods import (
    METHODS,
    NEED_PATCHES,
    method_fault,
    method_settings,
)
from pipeline.stages.receptive_fields.results import (
    FieldMaps,
    SetMaps,
    maps_by_method,
    maps_by_stimuli,
)
from pipeline.stages.stage import Plan
from pipeline.stages.top_patches import STAGE as TOP_PATCHES
from pipeline.stages.top_patches.results import find_search
from pipeline.store.identity import chosen
from pipeline.store.results import Result

PATCHES = 10  # of each sign, unless another number is given


class FieldPlan(Plan[FieldMaps | Measures]):
    """The maps of a run, then the tables that are made of them.

    Attributes:
        faults: what cannot be mapped, and why.
        searches: of the layers.
    """

    faults: Sequence[str] = ()

    searches: Sequence[Result] = ()

    @property
    def consulted(self) -> list[Result]:
        """The searches, with whose responses those to stimuli are compared."""
        return list(self.searches)

    @property
    def maps(self) -> list[FieldMaps]:
        """The maps."""
        return [each for each in self if isinstance(each, FieldMaps)]

    @property
    def summaries(self) -> list[Measures]:
        """Where the field of each unit is and how large, for each of the maps."""
        return [each for each in self if isinstance(each, Measures) and not each.compared]

    @property
    def agreements(self) -> list[Measures]:
        """How far methods agree, for each pair."""
        return [each for each in self if isinstance(each, Measures) and each.compared]


def plan_fields(run: ActiveRun) -> FieldPlan:
    """Return what a run maps, by layer and method, and the tables made of the maps."""
    faults = Faults()
    faults.add(_name_faults(run))
    maps: list[FieldMaps] = []
    for layer in run.parts.layers:
        if run.parts.units[layer.name]:
            own = [faults.attempt(make) for make in _of_layer(run, layer)]
            maps += [each for each in own if each is not None]
    plan = FieldPlan([*maps, *plan_measures(run, maps)])
    plan.faults = faults.found
    plan.searches = [search.result for search in run.plan(TOP_PATCHES)]
    return plan


def field_faults(run: ActiveRun, plan: FieldPlan) -> Iterator[str]:
    """Yield what cannot be mapped, and what the store lacks for it."""
    yield from plan.faults
    faults = Faults()
    for each in plan.maps:
        if isinstance(each, SetMaps) and each.result.missing():
            faults.attempt(partial(_check_set, each))
    yield from faults.found
    if TOP_PATCHES.name in run.parts.config.stages:
        return
    for each in plan.maps:
        if each.ranks and each.result.missing() and find_search(run, each.layer).result.missing():
            yield (
                f"receptive_fields: the store holds no top patches of {each.layer.name} for these"
                f" weights and images, which '{each.method}' needs; add top_patches to stages"
            )
            return


def _check_set(each: SetMaps) -> None:
    """Raise an error if a set cannot be drawn or mapped, or has too many stimuli."""
    facts = each.shown.facts
    check_mappable(each.shown.kind, facts.columns)
    check_memory(each.shown.name, len(each.blocks["block-0000"]), facts.count)


def _name_faults(run: ActiveRun) -> Iterator[str]:
    config = run.parts.config
    names, sets = config.receptive_fields.methods, chosen(config.stimulus)
    for name in names:
        if name not in METHODS:
            yield (
                f"receptive_fields.methods: '{name}' is not one of {', '.join(METHODS)}"
                f"{nearest(name, METHODS)}"
            )
        elif fault := method_fault(run, name):
            yield fault
        if name in sets:
            yield f"stimulus.{name}: has the name of a method; give the set another name"
    if not names and not sets:
        yield (
            "stimulus: the list is empty, and so is receptive_fields.methods; choose one or more,"
            " as in stimulus=[bars_on_stride]"
        )
    wanted = config.receptive_fields.patches
    if wanted is not None and {*names} & {*NEED_PATCHES} and wanted > (kept := _kept(run)):
        yield (
            f"receptive_fields.patches: {wanted} are more than the {kept} patches kept per unit"
            " (search.keep sets how many are kept)"
        )


def _of_layer(run: ActiveRun, layer: Layer) -> Iterable[Callable[[], FieldMaps]]:
    """Return functions that plan the maps of a layer by each method."""
    sets = [
        partial(maps_by_stimuli, run, layer, name) for name in chosen(run.parts.config.stimulus)
    ]
    names = [name for name in run.parts.config.receptive_fields.methods if name in METHODS]
    return [*sets, *(partial(_by_method, run, layer, name) for name in names)]


def _by_method(run: ActiveRun, layer: Layer, name: str) -> FieldMaps:
    wanted, ranks = run.parts.config.receptive_fields.patches, 0
    if name in NEED_PATCHES:
        ranks = min(PATCHES, _kept(run)) if wanted is None else wanted
    return maps_by_method(run, layer, name, ranks, method_settings(run, name))


def _kept(run: ActiveRun) -> int:
    """Return how many patches of each sign a search of the run keeps."""
    return min(run.parts.config.search.keep, len(run.images))
