"""What figures of transfer show, read back from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.figures.best_matches import Match, Matched, best_matches
from pipeline.figures.facets import Faceted, chosen_images, facet_images
from pipeline.figures.transfer_matrix import transfer_matrix
from pipeline.figures.transfer_robustness import robustness_curves
from pipeline.figures.unit_similarity import similarity_matrices


def cells(count: int) -> pd.DataFrame:
    rows = [
        {"layer": f"conv{a}", "layer_b": f"conv{b}", "drop_median": 0.1 * a + 0.01 * b}
        for a in range(count)
        for b in range(count)
    ]
    table = pd.DataFrame(rows).assign(model="net", kind="ascent", init="zeros", network="other")
    return table.assign(drop_q25=table["drop_median"] - 0.5, drop_q75=np.nan)


def test_cells_have_numbers_if_there_are_few_of_them():
    figure = transfer_matrix(cells(2), "drop")
    medians = [text.get_text() for text in figure.axes[0].texts if text.get_gid() == "median"]
    assert medians == ["0", "0.01", "0.1", "0.11"]
    many = transfer_matrix(cells(9), "drop")
    assert not many.axes[0].texts
    shown = np.asarray(many.axes[0].images[0].get_array())
    assert shown[8, 3] == pytest.approx(0.83)
    with pytest.raises(ValueError, match="measure 'rank' is not one of percentile, z, drop"):
        transfer_matrix(cells(2), "rank")


def test_curves_are_medians_and_jpeg_ends_without_compression():
    rows = [
        ("conv1", "clean", 0.0, 1.0), ("conv1", "clip", 0.0, 0.9),
        ("conv1", "jpeg", 50.0, 0.2), ("conv1", "jpeg", 50.0, 0.4), ("conv1", "jpeg", 90.0, 0.8),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["layer", "perturbation", "level", "share"])
    table = table.assign(model="net", kind="ascent", init="zeros", network="itself")
    (axis,) = robustness_curves(table).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["50", "90", "none"]
    assert np.allclose(axis.lines[0].get_ydata(), [0.3, 0.8, 0.9])
    with pytest.raises(ValueError, match="no perturbation but the clean image"):
        robustness_curves(table[:1])


def test_rows_of_matches_have_the_same_networks():
    image = np.zeros((4, 4, 3), np.float32)
    one = Match("vgg", "conv2", 7, 3.21, 99.6, None)
    rows = [Matched("conv1/0", image, (), [one])]
    figure = best_matches(rows, "title", "caption")
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert texts == ["conv2/7", "z 3.2", "100 %"]
    with pytest.raises(ValueError, match="all rows must have matches in vgg"):
        best_matches([*rows, Matched("conv1/1", image, (), [])], "", "")
    with pytest.raises(ValueError, match="0 rows do not fit on a page"):
        best_matches([], "", "")


def test_similar_units_stand_side_by_side():
    labels = np.array([0, 1, 0, 1])
    matrix = np.where(labels[:, None] == labels, 0.9, -0.2)
    agreement = pd.DataFrame({"first": ["images"], "second": ["weights"], "r": [0.5], "p": [0.01]})
    figure = similarity_matrices([5, 6, 7, 8], {"images": matrix, "weights": matrix}, agreement)
    names = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert {frozenset(names[:2]), frozenset(names[2:])} == {frozenset("57"), frozenset("68")}
    assert "images and weights: r = 0.50, p = 0.01" in figure.get_supxlabel()
    with pytest.raises(ValueError, match="2 units have no matrix worth a figure"):
        similarity_matrices([1, 2], {"images": matrix[:2, :2]}, agreement)


def test_images_of_a_unit_stand_group_by_group():
    image = np.zeros((4, 4, 3), np.float32)
    facets = np.array([0, 1, 0, 0, 1, 0, 0, 0, 0, 0])
    chosen = chosen_images(facets)
    assert chosen == [0, 2, 3, 5, 6, 7, 1, 4]  # both of the smaller group, and the first others
    row = Faceted("conv1/5", [image] * 8, facets[chosen].tolist())
    figure = facet_images([row], "title", "caption")
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert texts == ["1"] * 6 + ["2"] * 2
    with pytest.raises(ValueError, match="rows of 9 to 9 images; give 1 to 8"):
        facet_images([Faceted("", [image] * 9, [0] * 9)], "", "")
