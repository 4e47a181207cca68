"""The examples in the docstrings of stimuli run, and every public function has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import pipeline.stimuli

MODULES = [module.name for module in pkgutil.iter_modules(pipeline.stimuli.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example_that_runs(name: str):
    module = importlib.import_module(f"pipeline.stimuli.{name}")
    assert doctest.testmod(module).failed == 0
    own = [
        function
        for function in vars(module).values()
        if inspect.isroutine(function) and getattr(function, "__module__", "") == module.__name__
    ]
    public = [function for function in own if not function.__name__.startswith("_")]
    without = [f.__name__ for f in public if ">>>" not in (f.__doc__ or "")]
    assert without == []
