"""Maps of receptive fields by several methods."""

from __future__ import annotations

import pytest

import pipeline
from pipeline.errors import ConfigError


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
    with pytest.raises(ConfigError, match=r"is empty or names a method twice"):
        pipeline.map_receptive_fields(pipeline.network("miniature"), "conv1", [])
