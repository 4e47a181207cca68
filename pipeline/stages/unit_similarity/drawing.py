"""Drawing: matrices of similarity, and the images of units that have facets."""

from __future__ import annotations

from pipeline.figures.evolution_images import MOST_ROWS
from pipeline.figures.facets import facet_images
from pipeline.figures.unit_similarity import similarity_matrices
from pipeline.run.active_run import ActiveRun
from pipeline.stages.unit_similarity.pictures import FacetPictures
from pipeline.stages.unit_similarity.plan import UnitPlan

LEAST = 3  # units of a matrix worth a figure


def draw(run: ActiveRun, plan: UnitPlan) -> None:
    """Draw a figure for each layer and init, and for each kind of images with facets."""
    model = run.parts.network.name
    for each in plan.compared:
        if len(each.units) >= LEAST:
            title = f"{model} {each.layer.name}: are units alike? Ascents from {each.init}"
            agreed = each.tables["agreement"]
            figure = similarity_matrices(each.units, each.matrices, agreed, title)
            run.figure(f"unit_similarity_{each.layer.name}_{each.init}", figure)
    for each in plan.facets:
        pictures = FacetPictures(run, each)
        rows = [pictures.of(unit) for unit in pictures.candidates(MOST_ROWS)]
        if rows:
            title = f"{model} {each.layer.name}: groups of {pictures.name}, most distinct first"
            end = "_".join(filter(None, (each.layer.name, each.images.kind, each.images.init)))
            run.figure(f"unit_facets_{end}", facet_images(rows, title, pictures.caption))
