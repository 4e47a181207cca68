"""The section of a unit's page about the units that are like it, and about its own facets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.pages.sections import Maps, Number, Numbers, Part, Picture, Section

TITLE = "Similar units and facets"
ABOUT = (
    "The units of the layer whose ascents are most like this one's: r of what was added, the"
    " largest over small shifts; beside it the cosine of the kernels, and r of the responses to the"
    " image set. Facets are groups among the images of this unit, as all other units of the layer"
    " see them; one of one or two images is an outlier. p is the share of single clouds of the same"
    " spread whose groups are as distinct, and fewer than one unit in twenty is below 0.05 by"
    " chance. Ascents are scaled to their range of values."
)


class ShownFacets(NamedTuple):
    """The facets of a unit.

    Attributes:
        row: of ``unit_facets``.
        sizes: of its groups, in words.
        pictures: of its images, group by group.
    """

    row: Mapping[str, float]
    sizes: str
    pictures: Sequence[Picture]


def unit_similarity_section(
    similar: Mapping[str, Sequence[Picture]], facets: Mapping[str, ShownFacets]
) -> Section:
    """Return the section of one unit.

    Args:
        similar: the unit's ascent and those of the units most like it, by init.
        facets: by what images they are of.
    """
    parts: list[Part] = []
    for init, pictures in similar.items():
        parts.append(Maps(f"Most similar by ascents from {init}", pictures))
    for images, shown in facets.items():
        parts.append(Numbers(_numbers(shown), f"Facets of {images}"))
        if shown.pictures:
            title = f"{images[:1].upper()}{images[1:]}, group by group"
            parts.append(Maps(title, shown.pictures))
    return Section(TITLE, parts, ABOUT)


def _numbers(shown: ShownFacets) -> list[Number]:
    row = shown.row
    if not row["groups"]:
        return [Number("Images", row["images"]), Number("Groups", "none")]
    return [
        Number("Images", row["images"]),
        Number("Groups", row["groups"], note=shown.sizes),
        Number("Silhouette", row["silhouette"], note=f"one cloud: {row['null']:.2f}"),
        Number("p", row["p"]),
    ]
