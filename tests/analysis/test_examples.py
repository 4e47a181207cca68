"""The examples in the docstrings run and give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import pipeline.analysis

MODULES = [module.name for module in pkgutil.iter_modules(pipeline.analysis.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_module(name: str):
    result = doctest.testmod(importlib.import_module(f"pipeline.analysis.{name}"))
    assert result.failed == 0
