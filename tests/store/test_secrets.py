"""Queries of URLs are neither shown nor stored."""

from __future__ import annotations

import pytest

from pipeline.store.secrets import without_queries, without_query


@pytest.mark.parametrize(
    "text",
    [
        "https://host/w.pth?token=SECRET",
        "model.weights='http://user:SECRET@host:8/w.pth#SECRET' x=1",
        "'file:///w.pth?a=SECRET&b=SECRET' and https://host/v?SECRET",
    ],
)
def test_a_digest_stands_for_a_query(text: str):
    found = without_query(text)
    assert "SECRET" not in found
    assert found.startswith(text[:12])
    assert without_query(found) == found
    assert without_query(text.replace("SECRET", "OTHER")) != found


@pytest.mark.parametrize("text", ["https://host/w.pth", "what is this? SECRET", "a?b=c"])
def test_other_texts_stay_as_they_are(text: str):
    assert without_query(text) == text


def test_nested_settings_keep_everything_else():
    given = {"model": {"weights": "https://h/w?SECRET", "seed": 1}, "runs": ["https://h/?S", None]}
    found = without_queries(given)
    assert "SECRET" not in str(found)
    assert (found["model"]["seed"], found["runs"][1]) == (1, None)
