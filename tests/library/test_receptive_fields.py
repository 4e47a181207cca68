"""Maps of receptive fields by several methods."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from torch import nn

import pipeline
from pipeline.errors import ConfigError, NetworkError
from pipeline.stimuli.bars import bars_4b
from pipeline.stimuli.field import Field
from pipeline.stimuli.stimulus_set import StimulusSet


def test_methods_are_compared_with_each_other():
    net = pipeline.network("miniature")
    methods = ["bars_on_stride", "sparse_noise"]
    found = pipeline.map_receptive_fields(net, "conv1", methods, units=[3, 5], frames=500)
    table = found.agreement()
    assert len(table) == 3 * 2 * 2  # pairs, signs, units
    assert set(table["unit"]) == {3, 5}
    assert table["correlation"].dropna().between(-1.000001, 1.000001).all()


def test_unknown_methods_are_refused():
    with pytest.raises(ConfigError, match=r"^methods: 'bars_4' is not one of bars_on_stride, bars"):
        pipeline.map_receptive_fields(pipeline.network("miniature"), "conv1", "bars_4")
    with pytest.raises(ConfigError, match=r"^methods: there are none"):
        pipeline.map_receptive_fields(pipeline.network("miniature"), "conv1", [])
    with pytest.raises(ConfigError, match=r"^methods: sin1 is there twice"):
        pipeline.map_receptive_fields(pipeline.network("miniature"), "conv1", ["sin1", "sin1"])
    with pytest.raises(ConfigError, match=r"^methods: a function returned a int, and must return"):
        pipeline.map_receptive_fields(pipeline.network("miniature"), "conv1", lambda field: 3)


def test_a_function_of_ones_own_maps_as_the_set_that_it_makes():
    def fewer(field: Field) -> StimulusSet:
        return bars_4b(field, divider=1.0)

    net = pipeline.network("miniature")
    found = pipeline.map_receptive_fields(net, "conv1", [fewer, "bars_4b"], units=[3])
    maps = found.maps["conv1"]
    assert {*found.summary["method"]} == {*maps}
    assert set(maps) >= {"fewer", "fewer_non_overlapping", "bars_4b"}
    assert not np.array_equal(maps["fewer"], maps["bars_4b"])
    again = pipeline.map_receptive_fields(net, "conv1", partial(bars_4b, divider=1.0), units=[3])
    np.testing.assert_array_equal(again.maps["conv1"]["own"], maps["fewer"])


def test_a_unit_that_is_not_finite_is_named():
    layer = nn.Conv2d(3, 3, 7, stride=2)
    layer.weight.data[1] = np.nan
    net = pipeline.network(nn.Sequential(layer), input_size=(3, 33, 33))
    for measure in (pipeline.map_receptive_fields, pipeline.bar_tuning):
        with pytest.raises(NetworkError, match=r"^conv1: responses of unit 1 are not finite; mend"):
            measure(net, "conv1")
    assert len(pipeline.bar_tuning(net, "conv1", units=[0, 2]).preferred) == 2
