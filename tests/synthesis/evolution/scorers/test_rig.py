"""Evolution by a rig: the same bits as with a network, whatever happens."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pipeline
from pipeline.errors import ConfigError
from pipeline.library.evolution import Evolved
from pipeline.networks.loading.network import Network
from pipeline.runner.stopping import Stopped
from pipeline.synthesis.evolution.generators import BuiltGenerator, Generator
from pipeline.synthesis.evolution.rivals import natural
from pipeline.synthesis.evolution.scorers import Scorer, folder
from pipeline.synthesis.evolution.scorers.folder import Look
from pipeline.synthesis.evolution.scorers.showing_folder import ShowingFolder
from pipeline.synthesis.parameterizations import Setting
from tests.synthesis.evolution.scorers.generations import FIELD
from tests.synthesis.evolution.scorers.simulated_rig import SimulatedRig, at_work, of_network
from tests.synthesis.evolution.stand_ins import climbing, raw

MODULE = import_module("pipeline.synthesis.evolution.scorers.folder")  # not its function


def experiment(**options: Any) -> dict[str, Any]:
    """Return options with everything that is shown to a rig: restarts, repeats, references."""
    generator = torch.Generator().manual_seed(0)
    given = {
        "searcher": climbing(),
        "generator": raw(),
        "queries": 40,
        "restarts": 2,
        "repeats": 2,
        "references": torch.randn(2, *FIELD, generator=generator),
        "reference_every": 1,
        "rivals": {"photographs": natural(population=5)},
        "images": torch.randn(7, 1, 20, 30, generator=generator),
    }
    return {**given, **options}


def evolve(net: Network, **options: Any) -> Evolved:
    return pipeline.evolve(net, "conv2", [4, 1], **experiment(**options))


def assert_same(found: Evolved, wanted: Evolved) -> None:
    """Compare all that does not need the network."""
    assert torch.equal(found.images, wanted.images)
    for name in ("table", "history", "references"):
        ours, theirs = getattr(found, name), getattr(wanted, name)
        of_rig = [column for column in ours if not column.startswith("noise_free")]
        pd.testing.assert_frame_equal(ours[of_rig], theirs[of_rig], check_exact=True)


@pytest.fixture(scope="module")
def wanted(own: Network) -> Evolved:
    """The experiment on the network itself, with pixels of 8 bits."""
    return evolve(own, bits=8)


def test_a_rig_that_dies_again_and_again_is_as_good_as_the_network(
    own: Network, wanted: Evolved, tmp_path: Path
):
    with at_work(SimulatedRig(tmp_path, of_network(), lifetime=23)) as rig:
        found = evolve(own, score=folder(tmp_path, poll=0.002, timeout=60.0))
    assert_same(found, wanted)
    # 4 searches; references of a method are counted in its queries.
    lines = 4 * int(wanted.table.groupby("method")["queries"].first().sum())
    deaths = (len(rig.shown) - 1) // 23
    assert len({*rig.shown}) < len(rig.shown) == lines + deaths  # but for those it died at
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["README.txt", "conv2_1-4_photographs", "conv2_1-4_searcher_generator"]
    generations = sorted(path.name for path in (tmp_path / names[2]).iterdir())
    assert generations == [
        "generation_00001",
        "generation_00002",
        "references_00000",
        "references_00001",
    ]


def brighter_together(setting: Setting) -> BuiltGenerator:
    """Stand for matrix products, whose rounding depends on how many pictures are drawn at once."""
    built = raw().build(setting)
    return replace(built, draw=lambda codes: built.draw(codes) + len(codes) / 255)


def test_the_images_of_results_are_those_that_were_shown(own: Network, tmp_path: Path):
    with at_work(SimulatedRig(tmp_path, of_network())):
        found = evolve(
            own,
            generator=Generator(brighter_together),
            rivals=(),
            score=folder(tmp_path, poll=0.002, timeout=60.0),
        )
    shown = {
        np.asarray(Image.open(path)).tobytes() for path in tmp_path.glob("*/generation_*/*.png")
    }
    exact = own.preprocessing.pixels(found.images) * 255
    assert (exact - exact.round()).abs().max() < 1e-3
    assert all(image.round().byte().numpy().tobytes() in shown for image in exact)


def test_bits_that_are_not_those_of_the_rig_are_refused(own: Network, tmp_path: Path):
    evolve(own, rivals=(), queries=8, bits=8, score=Scorer(lambda p, s: [0.0] * len(p), bits=8))
    with pytest.raises(ConfigError, match=r"^bits: 10 is given, and the scorer shows .* of 8 bits"):
        evolve(own, rivals=(), bits=10, score=folder(tmp_path))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Stopped("SIGTERM")])
def test_a_stopped_experiment_goes_on_and_shows_nothing_twice(
    own: Network,
    wanted: Evolved,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: BaseException,
):
    looks, whole = 0, MODULE.look_at

    def look_at(showing: ShowingFolder) -> Look:
        nonlocal looks
        looks += 1
        if looks % 20 == 0:
            raise stop
        return whole(showing)

    monkeypatch.setattr(MODULE, "look_at", look_at)
    with at_work(SimulatedRig(tmp_path, of_network())) as rig:
        stops, found = 0, None
        while found is None:
            try:
                found = evolve(own, score=folder(tmp_path, poll=0.002, timeout=60.0))
            except type(stop):
                stops += 1
    assert stops  # how many depends on how fast the rig is
    assert_same(found, wanted)
    assert len(rig.shown) == len({*rig.shown})


def test_a_scorer_is_told_what_each_picture_is(own: Network):
    tables: list[pd.DataFrame] = []

    def kept(pictures: torch.Tensor, shown: pd.DataFrame) -> list[float]:
        assert len(pictures) == len(shown)
        tables.append(shown)
        return [0.0] * len(pictures)

    evolve(own, score=Scorer(kept), rivals=(), queries=40)
    references, first, later, second = tables
    assert later["generation"].unique().tolist() == [1]
    assert references["kind"].unique().tolist() == ["reference"]
    assert references["generation"].unique().tolist() == [0]
    assert first["kind"].unique().tolist() == ["candidate"]
    assert [table["generation"].unique().tolist() for table in (first, second)] == [[1], [2]]
    searches = [(4, 0), (4, 1), (1, 0), (1, 1)]
    rows = [(*search, n, repeat) for repeat in (0, 1) for search in searches for n in range(8)]
    columns = ["unit", "restart", "candidate", "repeat"]
    assert [*first[columns].itertuples(index=False, name=None)] == rows
