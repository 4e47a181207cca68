from __future__ import annotations

from pipeline.errors import nearest


def test_nearest_name_is_offered_only_if_it_is_near():
    assert nearest("conv6", ["conv1", "fc"]) == "; nearest: conv1"
    assert nearest("xyz", ["conv1"]) == ""
