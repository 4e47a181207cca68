from __future__ import annotations

from pipeline.errors import listed, nearest


def test_nearest_name_is_offered_only_if_it_is_near():
    assert nearest("conv6", ["conv1", "fc"]) == "; nearest: conv1"
    assert nearest("xyz", ["conv1"]) == ""


def test_a_list_names_the_first_and_counts_the_others():
    assert listed([], 2) == ""
    assert listed([1, 2], 2) == "1, 2"
    assert listed([1, 2, 3, 4], 2) == "1, 2 and 2 more"
    assert listed("abc", 2, last=", ") == "a, b, and 1 more"
    assert listed("abc", 2, "\n", "\n") == "a\nb\nand 1 more"
