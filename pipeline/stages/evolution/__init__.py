"""Stage: search images that drive units from responses alone, by evolution, beside its rivals."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

_SEARCH = {
    **shared("model", "layer"),
    "unit": "number of the unit, its channel",
    "scorer": "name of the scorer: who responded",
    "searcher": "name of the searcher, or of the rival: natural (images) or gradient (ascent)",
    "generator": "name of the generator; empty for rivals",
    "restart": "number of the search among those of the unit, from 0",
}
EVOLUTION = Table(
    "evolution",
    "one row per layer, scorer, method (searcher and generator, or rival), unit and restart",
    {
        **_SEARCH,
        "response": "largest score observed, with noise if there is some",
        "noise_free": "response without noise and adaptation to that image, computed anew, in the"
        " network's own units; missing if scores are measured",
        "start": "largest score of the first generation",
        "contrast": "RMS contrast of the image, in network-input space",
        "queries": "pictures shown to the unit, repeats and references included",
        "queries_to_90": "queries when the best score had made 90 % of its way from start to end",
        "top_patch": "response to the unit's top patch at the same contrast, without noise; missing"
        " if the store does not hold it (stage top_patches), or scores are measured",
        "over_patch": "noise_free / top_patch; missing if that is not above 0",
        "ascent": "highest response to the unit's images of the stage ascent at the same contrast,"
        " without noise; missing if the store holds none",
        "over_ascent": "noise_free / ascent; missing if that is not above 0",
        "reason": "what is missing or unusual, and why known responses have no multiple; empty if"
        " nothing is",
    },
    later("pipeline.stages.evolution.tables.evolution"),
    csv=True,
)
HISTORY = Table(
    "evolution_history",
    "one row per search and generation",
    {
        **_SEARCH,
        "generation": "number of the generation, from 1",
        "queries": "pictures shown to the unit until its end",
        "best": "largest score so far",
        "mean": "mean score of the generation",
        "noise_free": "response without noise and adaptation to the image of the largest score",
        "noise_free_mean": "mean response of the generation without noise and adaptation",
        "missing": "pictures of the generation without a score",
    },
    later("pipeline.stages.evolution.tables.evolution_history"),
)
REFERENCES = Table(
    "evolution_references",
    "one row per search, showing and reference image; none without evolution.references",
    {
        **_SEARCH,
        "generation": "number of generations before the showing",
        "reference": "name of the reference image",
        "response": "its score",
        "noise_free": "response to it without noise and adaptation; missing if scores are measured",
    },
    later("pipeline.stages.evolution.tables.evolution_references"),
)
STAGE = Stage(
    name="evolution",
    about="search images that drive units from responses alone, on a budget of pictures shown",
    plan=later("pipeline.stages.evolution.plan.plan_evolution"),
    version=2,
    needs=("top_patches", "ascent"),
    tables=(EVOLUTION, HISTORY, REFERENCES),
    check=later("pipeline.stages.evolution.plan.evolution_faults"),
    cost=later("pipeline.stages.evolution.cost.evolution_cost"),
    work=later("pipeline.stages.evolution.work.evolve"),
    write=later("pipeline.stages.evolution.drawing.draw"),
    sections=later("pipeline.stages.evolution.sections.unit_sections"),
    summary=later("pipeline.stages.evolution.tables.summary"),
)
