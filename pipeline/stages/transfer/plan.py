"""The plan of a run: responses to the image set, to images made for units, and to changed ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

from pipeline.errors import ArtiphysError
from pipeline.images.perturbations import Perturbation, perturbations
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.run.identity import network_settings
from pipeline.run.image_blocks import image_blocks
from pipeline.search.transfer import TOGETHER, Viewing
from pipeline.stages.set_responses import set_settings
from pipeline.stages.stage import Plan
from pipeline.stages.transfer import STAGE
from pipeline.stages.transfer.networks import Seer, seers
from pipeline.stages.transfer.results import ITEM, Changed, Norms, Seen
from pipeline.stages.transfer.sources import Source, sources
from pipeline.store.results import find_result

NORMS, CHANGED = "transfer_norms", "transfer_changed"  # folders of the store


class TransferPlan(Plan[Any]):
    """Everything that is shown to every network.

    Attributes:
        faults: what cannot be shown, and why.
        tables: those that were read already, by name.
    """

    faults: Sequence[str]
    tables: dict[str, Any]

    @property
    def norms(self) -> list[Norms]:
        """Responses to the image set."""
        return [each for each in self if isinstance(each, Norms)]

    @property
    def seen(self) -> list[Seen]:
        """Responses to images made for units."""
        shown = [each for each in self if isinstance(each, Seen)]
        return [each for each in shown if not isinstance(each, Changed)]

    @property
    def changed(self) -> list[Changed]:
        """Responses to changed images."""
        return [each for each in self if isinstance(each, Changed)]


def plan_transfer(run: ActiveRun) -> TransferPlan:
    """Return what a run shows to whom.

    Pages ask every stage for its plan: of all layers seen by all layers of the same network, one
    is made only if the stage is asked for.
    """
    faults, config = Faults(), run.parts.config
    asked = STAGE.name in config.stages or config.transfer.to
    found = faults.attempt(lambda: list(seers(run))) if asked else None
    shown = faults.attempt(lambda: list(sources(run))) if found else None
    plan = TransferPlan(_items(run, found, shown) if found and shown else ())
    plan.faults, plan.tables = faults.found, {}
    return plan


def transfer_faults(run: ActiveRun, plan: TransferPlan) -> Iterator[str]:
    """Yield what is missing, or cannot be shown."""
    faults = Faults()
    faults.add(plan.faults)
    for each in plan.seen:
        stage = each.source.result.stage
        if stage not in run.parts.config.stages and each.result.missing():
            faults.attempt(partial(_check_stored, each.source, stage))
    yield from faults.found


def _check_stored(source: Source, stage: str) -> None:
    if source.result.missing():
        what = "ascents" if stage == "ascent" else "top patches"
        start = f" from {source.init}" if source.init else ""
        raise ArtiphysError(
            f"transfer: the store holds no {what} of {source.layer.name}{start}; add {stage} to"
            " stages"
        )


def _items(run: ActiveRun, found: Sequence[Seer], shown: Sequence[Source]) -> Iterator[Any]:
    config = run.parts.config.transfer
    viewing = Viewing(config.at, config.scale, config.contrast, "transfer.")
    levels = (config.crops, config.jpeg, config.noise, config.shifts)
    changes = perturbations(*levels, prefix="transfer.")
    norms = {
        (seer.name, layer.name): _norms(run, seer, layer) for seer in found for layer in seer.layers
    }
    yield from norms.values()
    pairs = [
        (source, seer, layer)
        for source, seer in product(shown, found)
        for layer in seer.layers
        if _sees(source, seer, layer, alone=len(found) == 1)
    ]
    bases = {key: _base(run, each, viewing) for key, each in norms.items()}
    for source, seer, layer in pairs:
        key = (seer.name, layer.name)
        yield _seen(run, source, norms[key], viewing, bases[key])
    if config.robust:
        for source, seer, layer in pairs:
            if not seer.itself or layer.name == source.layer.name:
                key = (seer.name, layer.name)
                yield _changed(run, source, norms[key], viewing, changes, bases[key])


def _sees(source: Source, seer: Seer, layer: Layer, *, alone: bool) -> bool:
    """Return whether images are shown to a layer: to all of other networks, or if there is none."""
    return alone or not seer.itself or layer.name == source.layer.name


def _norms(run: ActiveRun, seer: Seer, layer: Layer) -> Norms:
    of = seer.run
    settings = {**set_settings(of, layer), "at": run.parts.config.transfer.at}
    place = (NORMS, of.parts.network.identity, layer.name)
    name = f"{seer.name}/{layer.name}"
    result = find_result(run.layout, place, settings, list(image_blocks(of)), STAGE.version, name)
    return Norms(seer, layer, result)


def _base(run: ActiveRun, norms: Norms, viewing: Viewing) -> dict[str, Any]:
    """Return what determines the responses of a layer, apart from the images."""
    of, layer = norms.seer.run, norms.layer
    canvas = of.parts.canvas(layer)
    return {
        "image preprocessing": run.parts.network.preprocessing.settings(),
        **network_settings(of),
        "layer": layer.identity,
        "preprocessing": of.parts.network.preprocessing.settings(),
        "canvas": [*canvas.size, *canvas.position, *canvas.box],
        "input": list(of.parts.images.size),
        "at": viewing.at,
        "scale": viewing.scale,
        "contrast": viewing.contrast,
        "together": TOGETHER,
    }


def _of_source(source: Source) -> dict[str, Any]:
    return {f"image {key}": value for key, value in source.settings.items()}


def _seen(
    run: ActiveRun, source: Source, norms: Norms, viewing: Viewing, base: dict[str, Any]
) -> Seen:
    settings = (
        base
        | _of_source(source)
        | {
            "units": list(run.parts.units[source.layer.name]),
        }
    )
    name = f"{source.name}/{norms.seer.name}/{norms.layer.name}"
    result = run.result(STAGE, source.layer.name, name, settings, [ITEM])
    return Seen(source, norms, viewing, run.parts.network.preprocessing, result)


def _changed(
    run: ActiveRun,
    source: Source,
    norms: Norms,
    viewing: Viewing,
    changes: Sequence[Perturbation],
    base: dict[str, Any],
) -> Changed:
    config = run.parts.config
    units = run.parts.climbed_units(source.layer)[: config.transfer.robust]
    if source.kind == "top_patch":
        units = run.parts.units[source.layer.name][: config.transfer.robust]
    settings = (
        base
        | _of_source(source)
        | {
            "units": list(units),
            "changes": [list(change) for change in changes],
            "noise": [config.seed, source.layer.name],
        }
    )
    name = f"{source.name}/{norms.seer.name}/{norms.layer.name}"
    result = run.result(STAGE, source.layer.name, name, settings, [ITEM], CHANGED)
    seen = run.parts.network.preprocessing
    return Changed(source, norms, viewing, seen, result, list(units), list(changes), config.seed)
