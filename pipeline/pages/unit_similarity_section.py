"""The section of a unit's page about the units that are like it, and about its own facets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.pages.sections import Maps, Number, Numbers, Part, Picture, Section

TITLE = "Similar units and facets"
ABOUT = (
    "The units of the layer whose ascents are most like this one's: r of what was added, the"
    " largest over small shifts; beside it the cosine of the kernels, and r of the responses to the"
    " image set. Facets are groups among the images of this unit, as all other units of the layer"
    " see them: p is the share of single clouds of the same spread whose groups are as distinct,"
    " and one unit in twenty is below 0.05 by chance. Ascents are scaled to their range of values."
)


def unit_similarity_section(
    similar: Mapping[str, Sequence[Picture]],
    facets: Mapping[str, tuple[Mapping[str, float], Sequence[Picture]]],
) -> Section:
    """Return the section of one unit.

    Args:
        similar: the unit's ascent and those of the units most like it, by init.
        facets: by what images they are of, a row of ``unit_facets``, and the images of the unit.
    """
    parts: list[Part] = []
    for init, pictures in similar.items():
        parts.append(Maps(f"Most similar by ascents from {init}", pictures))
    for images, (row, pictures) in facets.items():
        parts.append(Numbers(_numbers(row), f"Facets of {images}"))
        if pictures:
            parts.append(Maps(f"{images[:1].upper()}{images[1:]}, group by group", pictures))
    return Section(TITLE, parts, ABOUT)


def _numbers(row: Mapping[str, float]) -> list[Number]:
    return [
        Number("Images", row["images"]),
        Number("Groups", row["groups"]),
        Number("Silhouette", row["silhouette"], note=f"one cloud: {row['null']:.2f}"),
        Number("p", row["p"]),
    ]
