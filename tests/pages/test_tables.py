"""The rows that the pages read are those of the tables, unit by unit."""

import dataclasses

import pandas as pd

from pipeline.pages.tables import layer_data, layer_rows, shown_numbers, unit_patches
from tests.pages.sites import DEAD, HTML_LAYER, NAMES, UNITS, UNREADABLE, little_site

SITE = little_site()
WHOLE, BEGUN, AS_A_WHOLE = SITE.layers


def test_numbers_are_in_the_order_of_units():
    data = layer_data(WHOLE)
    assert data["units"] == list(UNITS)
    assert data["top_response"] == [20 + unit for unit in UNITS]
    assert data["bottom_response"] == [-20 - unit for unit in UNITS]
    assert data["final"]["zeros"] == [0 if unit == DEAD else 10 + unit for unit in UNITS]
    (pair,) = data["pairs"]
    assert pair["r"] == [None if unit == DEAD else unit / 10 for unit in UNITS]
    assert pair["status"] == ["undefined" if unit == DEAD else "ok" for unit in UNITS]
    assert pair["summary"]["median"] == 0.1
    assert pair["summary"]["noise_ceiling"] is None


def test_what_is_missing_is_none():
    data = layer_data(BEGUN)
    assert data["top_response"] == data["bottom_response"] == [None, None]
    assert data["final"] == {"zeros": [1.0, None]}
    assert data["status"] == {"zeros": ["ok", "not_finite"]}
    assert data["pairs"] == []
    assert layer_data(AS_A_WHOLE)["final"] == {"noise": [2.0, None, None]}


def test_copies_are_averaged_and_one_that_failed_is_told():
    other = WHOLE.ascents.assign(copy=1, final_response=30.0, status="ok")
    twice = dataclasses.replace(WHOLE, ascents=pd.concat([WHOLE.ascents, other]))
    data = layer_data(twice)
    assert data["final"]["noise"][0] == (10 + 30) / 2
    assert data["status"]["noise"][UNITS.index(DEAD)] == "zero_gradient"
    assert data["status"]["noise"][0] == "ok"


def test_patches_are_ordered_by_sign_and_rank():
    shuffled = WHOLE.top_patches.sample(frac=1, random_state=0)
    found = unit_patches(dataclasses.replace(WHOLE, top_patches=shuffled), SITE)
    assert list(found) == list(UNITS)
    expected = [(sign, rank) for sign in (1, -1) for rank in range(3)]
    assert [(patch["sign"], patch["rank"]) for patch in found[5]] == expected
    first = found[5][0]
    assert first["box"] == [20, 10, 28, 18]
    assert NAMES[first["number"]] == first["image"]
    assert unit_patches(BEGUN, SITE) == {}


def test_images_of_all_patches_are_shown():
    assert shown_numbers(SITE) == [0, 1, 2, UNREADABLE]


def test_first_page_has_a_row_for_every_layer_and_its_states():
    rows = layer_rows(SITE)
    assert [row["layer"].name for row in rows] == ["conv1", HTML_LAYER, "conv3"]
    assert rows[0]["status"] == "6 ok, 2 zero gradient"
    assert rows[0]["summary"]["median"] == 0.1
    assert rows[1]["status"] == "1 ok, 1 not finite"
    assert rows[1]["summary"] is None
