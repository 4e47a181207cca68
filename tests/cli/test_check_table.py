from __future__ import annotations

import pytest

from pipeline.cli.check import Checked, Row, Totals
from pipeline.cli.check_table import duration, overview, quantity, table

COLUMNS = ("forward", "step", "search", "ascent")
FIRST = dict(zip(COLUMNS, (140_553_600, 1452, 7 * 10**10, 2 * 10**7), strict=True))
LAST = dict(zip(COLUMNS, (1_312_000_000, 0, 0, 27 * 10**12), strict=True))
ROWS = [
    Row("conv1", 64, 64, (11, 11), FIRST, 0.2),
    Row("conv10", 4, 256, (1163, 163), LAST, 3723.4),
]


def checked(**changes: object) -> Checked:
    values = {
        "name": "main",
        "stages": ["top_patches", "ascent"],
        "facts": {"model": "alexnet"},
        "rows": ROWS,
        "totals": Totals({"search": 10**11, "ascent": 10**14}, {"ascent": 90.0}, disk=2 * 10**9),
        "device": "cpu, 2 threads",
    }
    return Checked(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 op"),
        (972, "972 op"),
        (1452, "1.45 kop"),
        (9994, "9.99 kop"),
        (9996, "10.0 kop"),
        (999_499, "999 kop"),
        (999_501, "1.00 Mop"),
        (27 * 10**12, "27.0 Top"),
        (5 * 10**22, "50000 Eop"),
    ],
)
def test_quantity_has_three_digits(number: int, text: str):
    assert quantity(number, "op") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0:00:01"),
        (59.6, "0:01:00"),
        (3723.4, "1:02:03"),
        (36_059.0, "10:00:59"),
        (360_000.0, "4 d 4 h"),
    ],
)
def test_duration_is_in_hours_minutes_and_seconds(seconds: float, text: str):
    assert duration(seconds) == text


def test_layers_stand_in_columns_one_a_line():
    lines = table(checked()).splitlines()
    first, second, third = lines[4:7]
    assert first.split() == [
        *("layer", "units", "field", "forward", "step", "search", "ascent", "time"),
    ]
    assert second.split()[:5] == ["conv1", "64", "11", "x", "11"]
    assert third.endswith("1.31 Gop         -         -  27.0 Top  1:02:03")
    assert len(first) == len(second) == len(third)
    assert second.index("64") + 1 == third.index("256") + 2  # to the right


def test_no_line_is_longer_than_a_hundred_columns():
    faults = ["images.root: " + "there is no such folder, " * 12, "units: no"]
    lines = table(checked(faults=faults, notes=["a note " * 30])).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-5].startswith("1. images.root: there is")
    assert lines[-1] == "2. units: no"


def test_nothing_wrong_and_nothing_known():
    assert table(checked()).endswith("faults: none")
    bare = checked(rows=[], totals=Totals(), device="", facts={})
    assert "search " not in table(bare)
    assert "layer" not in table(bare)


def test_jobs_of_a_sweep_stand_one_a_line_with_their_faults_below():
    jobs = [checked(), checked(faults=["layers: no", "units: " + "never ever " * 12])]
    lines = overview(["optimizer=sgd", "optimizer=adam"], jobs).splitlines()
    heading, first, second = lines[:3]
    assert heading.split()[0] == "job"
    assert [line.split()[0] for line in (first, second)] == ["0", "1"]
    assert [line.split()[-1] for line in (first, second)] == ["0", "2"]
    assert lines[3:6] == ["0: optimizer=sgd", "1: optimizer=adam", "   - layers: no"]
    assert max(map(len, lines)) <= 100
