"""Results of readouts: known by what a readout computes, and by nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.run.inspection import inspect
from pipeline.run.parts import Parts
from pipeline.stages.catalog import chosen_stages
from pipeline.store.layout import Layout
from tests.conftest import compose_config, here

STAGES = ("top_patches", "ascent", "responses", "export")
LAYERS = "layers=[conv1,conv1:dictionary,conv1:dictionary:channel_max]"


@cache
def network():
    return Parts(compose_config("model=miniature"), here()).network


def planned(*overrides: str) -> ActiveRun:
    """Return a run that is planned and not begun."""
    given = (f"stages=[{','.join(STAGES)}]", "units=[1,2]", "images.limit=2", "init=[zeros]")
    parts = Parts(compose_config(*given, *overrides), here())
    parts.network = network().with_readouts(parts.readouts)
    return ActiveRun.planned(parts, Layout(Path("unused")))


def keys(*overrides: str) -> dict[str, str]:
    """Return the keys of all results, by stage and name."""
    run = planned(*overrides)
    return {
        f"{stage.name} {result.name}": result.key
        for stage in chosen_stages(STAGES)
        for result in run.plan(stage).results
    }


@pytest.fixture
def written(tmp_path: Path):
    """Write the weights of a dictionary of 24 channels, and return the overrides that use them."""

    def write(name: str, scale: float = 1) -> tuple[str, ...]:
        encoder = scale * np.random.default_rng(0).standard_normal((5, 24))
        np.savez(tmp_path / name, encoder=encoder)
        return LAYERS, "readout=[dictionary]", f"readout.dictionary.weights={tmp_path / name}"

    return write


def test_numbers_of_a_readout_are_in_all_keys_of_its_layers_alone(written):
    before, same = keys(*written("one.npz")), keys(*written("other.npz"))
    assert before == same  # wherever its file lies
    changed = keys(*written("one.npz", 1.5))  # in the same file
    read = {name for name in before if ":" in name.split()[1]}
    assert {name.split()[0] for name in read} == {*STAGES}
    assert {name for name in before if before[name] != changed[name]} == read
    bare = keys("layers=[conv1]")
    assert bare == {name: before[name] for name in bare}


def test_folders_of_readouts_have_no_colon(written):
    run = planned(*written("one.npz"))
    folders = {result.folder.parent.name for result in run.plan(chosen_stages(STAGES)[0]).results}
    assert folders == {"conv1", "conv1--dictionary", "conv1--dictionary--channel_max"}


def test_a_check_finds_all_faults_of_readouts(written):
    overrides = (*written("one.npz"), "readout.dictionary.k=2", "images.limit=2")
    faults = Faults()
    inspect(Parts(compose_config(*overrides), here()), faults)
    assert faults.found[0].startswith("readout.dictionary.k: 2 does not fit nonlinearity=relu")
    named = "layers: 'conv1:dictionary' names no readout; the readouts are tokens, class_token"
    assert any(fault.startswith(named) for fault in faults.found)
