"""Stage: units of a layer compared with each other, and the images of one unit among themselves."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

_MEASURES = {
    "images": "by what ascents added: the largest Pearson's r over small shifts",
    "weights": "by their kernels: cosine; missing if the layer has no weights of its own",
    "responses": "by their responses to the image set: Pearson's r",
}
_KIND = {
    "kind": "ascent, or top_patch: the unit's strongest patches",
    "init": "name of the init; empty for top patches",
}
PAIRS = Table(
    "unit_pairs",
    "one row per layer, init and pair of units",
    {
        **shared("model", "layer", "init"),
        "unit_a": "number of the first unit",
        "unit_b": "number of the second unit",
        **_MEASURES,
    },
    later("pipeline.stages.unit_similarity.tables.unit_pairs"),
)
AGREEMENT = Table(
    "unit_agreement",
    "one row per layer, init and two measures of similarity: how far they say the same of units",
    {
        **shared("model", "layer", "init"),
        "first": "first measure: images, weights or responses",
        "second": "second measure",
        "r": "Pearson's r between both, over all pairs of units",
        "p": "of the Mantel test, which permutes units; two-sided",
        "units": "number of units that both define",
    },
    later("pipeline.stages.unit_similarity.tables.unit_agreement"),
    csv=True,
)
CLUSTERS = Table(
    "unit_clusters",
    "one row per layer, init and unit: its cluster by each measure of similarity (average linkage),"
    " from 0, the largest; -1 if undefined",
    {
        **shared("model", "layer", "init", "unit"),
        **{name: f"cluster by {name}" for name in _MEASURES},
    },
    later("pipeline.stages.unit_similarity.tables.unit_clusters"),
    csv=True,
)
FACETS = Table(
    "unit_facets",
    "one row per layer, kind and init of images, and unit: do its images fall into groups?",
    {
        **shared("model", "layer"),
        **_KIND,
        **shared("unit"),
        "images": "number of its images",
        "groups": "number of groups of the highest silhouette; 0 if there are none",
        "silhouette": "mean silhouette of these groups, -1 to 1",
        "null": "its median over draws from one cloud of the same spread",
        "p": "(1 + draws at least as large) / (1 + draws); of units of one cloud, fewer than 5 %"
        " are below 0.05",
        "q": "p adjusted over the units of a layer, kind and init (Benjamini & Hochberg)",
    },
    later("pipeline.stages.unit_similarity.tables.unit_facets"),
    csv=True,
)
FACET_IMAGES = Table(
    "unit_facet_images",
    "one row per image of a unit whose facets were sought",
    {
        **shared("model", "layer"),
        **_KIND,
        **shared("unit"),
        "copy": "number of the ascent among those of its unit, or rank of the top patch, from 0",
        "facet": "its group, from 0, the largest; -1 if there are none",
    },
    later("pipeline.stages.unit_similarity.tables.unit_facet_images"),
)
STAGE = Stage(
    name="unit_similarity",
    about="compare units with each other by images, weights and responses, and find their facets",
    plan=later("pipeline.stages.unit_similarity.plan.plan_units"),
    needs=("top_patches", "ascent"),
    tables=(PAIRS, AGREEMENT, CLUSTERS, FACETS, FACET_IMAGES),
    check=later("pipeline.stages.unit_similarity.plan.unit_faults"),
    cost=later("pipeline.stages.unit_similarity.cost.unit_cost"),
    work=later("pipeline.stages.unit_similarity.work.compare_units"),
    write=later("pipeline.stages.unit_similarity.drawing.draw"),
    sections=later("pipeline.stages.unit_similarity.sections.unit_sections"),
    summary=later("pipeline.stages.unit_similarity.tables.summary"),
)
