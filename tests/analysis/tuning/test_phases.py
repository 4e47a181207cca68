from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.analysis.tuning.orientation import orientation_properties
from pipeline.analysis.tuning.phases import Gratings, tuning_slice
from pipeline.analysis.tuning.size import size_properties
from pipeline.analysis.tuning.spatial_frequency import frequency_bandwidth, peak_frequency
from pipeline.errors import ConfigError


def random_gratings(units: int = 6) -> Gratings:
    rates = np.random.default_rng(0).random((units, 5, 4, 6, 8))
    return Gratings(
        rates,
        np.full(units, 0.1),
        np.repeat(np.arange(1.0, 6)[:, None], 4, axis=1),
        2.0 ** np.arange(4),
        np.arange(6) * 30.0,
    )


@pytest.mark.parametrize("axis", ["size", "frequency", "orientation"])
@pytest.mark.parametrize("component", ["mean", "larger"])
def test_the_slice_goes_through_the_optimum_of_each_unit(axis: str, component: str):
    shown = random_gratings()
    sliced = tuning_slice(shown, axis, component=component)
    for unit, rates in enumerate(shown.rates):
        dc = rates.mean(axis=-1) - 0.1
        ac = 2 * np.abs(np.fft.fft(rates)[..., 1]) / 8
        chosen = np.maximum(dc, ac) if component == "larger" else dc
        best = np.unravel_index(chosen.argmax(), chosen.shape)
        assert tuple(sliced.best[unit]) == best
        names = ("size", "frequency", "orientation")
        along = [slice(None) if name == axis else at for name, at in zip(names, best, strict=True)]
        source = ac if component == "larger" and ac.max() > dc.max() else dc
        raised = 0.1 if component == "mean" else 0  # the blank is not subtracted
        np.testing.assert_allclose(sliced.curve[unit], source[tuple(along)] + raised, atol=1e-12)


def test_the_first_harmonic_is_taken_where_it_is_larger(gabor_gratings):
    shown = gabor_gratings({}, {"kind": "energy"}, study="frequency")
    sliced = tuning_slice(shown, "frequency", component="larger")
    assert sliced.modulated.tolist() == [True, False]


def test_the_blank_is_subtracted_on_demand():
    shown = random_gratings(1)
    plain = tuning_slice(shown, "orientation").curve
    np.testing.assert_allclose(tuning_slice(shown, "orientation", subtract=True).curve, plain - 0.1)


def test_units_that_do_not_respond_have_reasons_and_no_numbers():
    shown = random_gratings(6)
    rates, blank = shown.rates.copy(), np.zeros(6)
    rates[0], blank[0] = 0.0, 0.0  # dead, or off the screen
    rates[1], blank[1] = 2.0, 2.0  # saturated by anything
    rates[2], blank[2] = rates[2] - 5, 3.0  # inhibited by every grating
    rates[3, 0, 0, 0, 0] = np.nan
    blank[4] = np.inf
    found = replace(shown, rates=rates, blank=blank)
    sliced = tuning_slice(found, "orientation")
    assert sliced.flag.tolist()[:5] == [
        "the unit does not respond",
        "the unit does not respond",
        "no grating is answered more than the blank",
        "responses are not finite",
        "responses are not finite",
    ]
    along_size = tuning_slice(found, "size", component="larger")
    along_frequency = tuning_slice(found, "frequency")
    for one in [
        *orientation_properties(sliced),
        *peak_frequency(along_frequency),
        *frequency_bandwidth(along_frequency),
    ]:
        assert np.isnan(one.value[:5]).all()
        assert all(one.flag[:5])
        assert one.studied.tolist() == [False] * 5 + [True]
    # Inhibited in the mean, the third unit still follows the phases.
    assert np.isnan([one.value[[0, 1, 3, 4]] for one in size_properties(along_size)]).all()


def test_a_threshold_above_the_blank():
    shown = random_gratings(2)
    excess = shown.rates.mean(axis=-1).max(axis=(1, 2, 3)) - 0.1
    between = float(excess.mean())
    flags = tuning_slice(shown, "orientation", threshold=between).flag
    words = f"no grating exceeds the blank by more than {between:g}"
    assert (flags == words).tolist() == (excess < between).tolist()


def test_optima_at_the_edge_and_bad_stimuli_are_flagged():
    shown = random_gratings(3)
    rates = shown.rates.copy()
    rates[0, 0, 3, 2] += 5
    rates[1, 4, 0, 2] += 5
    rates[2, 2, 1, 2] += 5
    warnings = np.full((5, 4, 6), "", dtype=object)
    warnings[:, 3], warnings[2, 1, 2] = "aliased", "clipped"
    flags = tuning_slice(replace(shown, rates=rates, warnings=warnings), "orientation").flag
    assert flags.tolist() == [
        "the best size is the smallest shown; the best spatial frequency is the highest shown;"
        " the best stimulus is aliased",
        "the best size is the largest shown; the best spatial frequency is the lowest shown",
        "the best stimulus is clipped",
    ]


def test_a_constant_in_all_responses_counts_for_nothing_when_the_blank_is_subtracted():
    shown = random_gratings(4)
    raised = replace(shown, rates=shown.rates + 7, blank=shown.blank + 7)
    for one, other in zip(
        orientation_properties(tuning_slice(shown, "orientation", subtract=True)),
        orientation_properties(tuning_slice(raised, "orientation", subtract=True)),
        strict=True,
    ):
        np.testing.assert_allclose(one.value, other.value, atol=1e-9)


def test_gain_changes_only_rates():
    shown = random_gratings(4)
    scaled = replace(shown, rates=shown.rates * 8, blank=shown.blank * 8)
    for axis, measure in (("orientation", orientation_properties), ("size", size_properties)):
        pairs = zip(
            measure(tuning_slice(shown, axis)), measure(tuning_slice(scaled, axis)), strict=True
        )
        for one, other in pairs:
            factor = 8 if one.name.startswith("max_") else 1
            np.testing.assert_allclose(factor * one.value, other.value, rtol=1e-9)


def test_rotated_stimuli_rotate_the_preference(gabor_gratings):
    shown = gabor_gratings({"theta0": 37.0}, {"theta0": 120.0})
    turned = replace(shown, rates=np.roll(shown.rates, 6, axis=3))  # by 90 degrees
    plain, rotated = (
        {one.name: one.value for one in orientation_properties(tuning_slice(g, "orientation"))}
        for g in (shown, turned)
    )
    assert plain["preferred_orientation"].tolist() == [37, 120]
    assert rotated["preferred_orientation"].tolist() == [127, 30]
    np.testing.assert_allclose(plain["circular_variance"], rotated["circular_variance"])


def test_units_do_not_depend_on_their_company():
    shown = random_gratings(6)
    alone = replace(shown, rates=shown.rates[3:4], blank=shown.blank[3:4])
    for one, other in zip(
        orientation_properties(tuning_slice(shown, "orientation")),
        orientation_properties(tuning_slice(alone, "orientation")),
        strict=True,
    ):
        np.testing.assert_array_equal(one.value[3:4], other.value)


def test_what_is_wrong_with_gratings():
    shown = random_gratings()
    with pytest.raises(ConfigError, match=r"^gratings: at least 3 phases are needed for F1, not 2"):
        replace(shown, rates=shown.rates[..., :2])
    with pytest.raises(ConfigError, match=r"^tuning: the axis must be .*, not 'phase' and 'mean'"):
        tuning_slice(shown, "phase")
    with pytest.raises(ConfigError, match="the component mean or larger, not 'size' and 'ac'"):
        tuning_slice(shown, "size", component="ac")
    uneven = replace(shown, radii=shown.radii / shown.frequencies)
    with pytest.raises(ConfigError, match=r"^size: all frequencies must be shown at the same radi"):
        tuning_slice(uneven, "size")
