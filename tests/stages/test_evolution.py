"""The stage evolution: the numbers of the library, at any interruption, under the right keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import pipeline
from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts
from pipeline.stages.evolution import STAGE, work
from pipeline.stages.evolution.plan import plan_evolution
from pipeline.stages.evolution.references import read_references
from pipeline.stages.evolution.tables import ranking, reasons
from pipeline.store.layout import CHECKPOINT, ITEM, Layout
from pipeline.synthesis.evolution.loop import Evolution
from tests.conftest import RunPipeline, compose_config, here

SMALL = (
    "stages=[evolution]", "layers=[conv2]", "units=[3,17]", "images.limit=6",
    "evolution.queries=100", "evolution.film=3", "generator=[grid]", "figures.formats=[]",
)  # fmt: skip
ONE = (*SMALL, "units=[3]", "evolution.rivals=[natural,gradient]")


def items(out: Path) -> dict[str, bytes]:
    found = Layout(out).store.glob(f"evolution/**/*{ITEM}")
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def checkpoints(out: Path) -> list[Path]:
    return sorted(Layout(out).store.glob(f"evolution/**/*{CHECKPOINT}"))


def keys(*overrides: str) -> list[str]:
    config = compose_config(*SMALL, "evolution.rivals=[]", *overrides)
    run = ActiveRun.planned(Parts(config, here()), Layout("/nowhere"))
    return [result.key for result in plan_evolution(run).results]


@pytest.fixture(scope="module")
def whole(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    out = tmp_path_factory.mktemp("evolution")
    given = (*SMALL, "evolution.restarts=2", "scorer=[network,poisson]", f"out={out}")
    return run_pipeline(*given, "figures.formats=[png]")


@pytest.fixture(scope="module")
def unstopped(
    run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What searches of one unit by three methods leave if nothing stops them."""
    out = tmp_path_factory.mktemp("unstopped")
    run_pipeline(*ONE, f"out={out}")
    return items(out)


def test_numbers_are_those_of_the_library(whole: ActiveRun):
    from pipeline.synthesis.evolution.noises import poisson

    net = pipeline.network("miniature")
    run: Any = pipeline.open_run(whole.paths.folder)
    for scorer, noise in (("network", None), ("poisson", poisson())):
        chosen: dict[str, Any] = {"generator": "grid", "restarts": 2, "noise": noise}
        found = pipeline.evolve(net, "conv2", [3, 17], queries=100, **chosen)
        rows = run.evolution.query(f"scorer == '{scorer}' and generator == 'grid'")
        for column in ("unit", "restart", "response", "noise_free", "start", "queries_to_90"):
            assert rows[column].tolist() == found.table[column].tolist()
        history = run.evolution_history.query(f"scorer == '{scorer}' and generator == 'grid'")
        assert history["noise_free_mean"].tolist() == found.history["noise_free_mean"].tolist()
        result = run.result("evolution", f"conv2/{scorer}/genetic/grid")
        images = [result.read(item)[0]["images"] for item in result.items]
        assert (np.concatenate(images) == found.images.numpy()).all()


def test_tables_have_a_row_for_every_method_unit_and_restart(whole: ActiveRun):
    run: Any = pipeline.open_run(whole.paths.folder)
    methods = run.evolution.groupby(["scorer", "searcher", "generator"]).size()
    assert set(methods) == {4}  # two units, two restarts
    names = {("genetic", "grid"), ("natural", ""), ("gradient", "")}
    assert set(methods.index) == {(s, *n) for s in ("network", "poisson") for n in names}
    noisy = run.evolution.query("scorer == 'poisson' and searcher == 'genetic'")
    assert (noisy["response"] != noisy["noise_free"]).all()
    assert run.evolution["top_patch"].isna().all()  # the store holds none
    assert run.evolution_references.empty


def test_films_end_with_the_best_image(whole: ActiveRun):
    for each in whole.plan(STAGE):
        film, generations = each.film(17, 1)
        assert (film[-1] == each.images[17][1]).all()
        assert len(film) == 3
        assert generations[0] == 1


@pytest.mark.parametrize("after", [1, 4])
def test_a_search_that_was_stopped_goes_on_to_the_same_bytes(
    after: int,
    run_pipeline: RunPipeline,
    unstopped: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    given = (*ONE, f"out={tmp_path}")
    monkeypatch.setattr(work, "SECONDS", 0.0)
    step, done = Evolution.step, []

    def stopping(self: Evolution) -> None:
        if self.generation == after:
            raise RuntimeError("stopped")
        done.append((self.name, self.generation))
        step(self)

    monkeypatch.setattr(Evolution, "step", stopping)
    with pytest.raises(RuntimeError, match="stopped"):
        run_pipeline(*given)
    assert checkpoints(tmp_path)
    monkeypatch.setattr(
        Evolution, "step", lambda self: (done.append((self.name, self.generation)), step(self))
    )
    run_pipeline(*given)
    assert items(tmp_path) == unstopped
    assert not checkpoints(tmp_path)
    assert len(set(done)) == len(done)  # searches that were begun are not begun anew


@pytest.mark.parametrize("damage", ["cut", "foreign", "other"])
def test_a_checkpoint_that_cannot_be_used_is_set_aside(
    damage: str,
    run_pipeline: RunPipeline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    given = (*SMALL, "evolution.rivals=[]", f"out={tmp_path}")
    whole = run_pipeline(*given)
    before = items(tmp_path)
    (each,) = whole.plan(STAGE)
    blocks = [work.Block(each, item) for item in each.blocks]
    blocks[0].checkpoint.write({"film/images": np.zeros((0, 1, 3, 9, 9), np.float32)})
    if damage == "foreign":
        blocks[1].checkpoint.write({})
        blocks[1].checkpoint.path.rename(blocks[0].checkpoint.path)
    elif damage == "cut":
        path = blocks[0].checkpoint.path
        path.write_bytes(path.read_bytes()[:-3])
    for path in each.result.folder.glob(f"*{ITEM}"):
        path.unlink()
    run_pipeline(*given)
    assert "and its item is begun anew" in capsys.readouterr().out
    assert items(tmp_path) == before
    assert len(list(each.result.folder.glob("*.damaged1"))) == 1


def test_every_setting_that_changes_numbers_changes_the_key(tmp_path: Path):
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((4, 4, 3), 91, np.uint8)).save(tmp_path / "b.png")
    changes = (
        "seed=1", "layers=[conv3]", "model.weights=random", "evolution.queries=120",
        "evolution.repeats=2", "evolution.restarts=2", "evolution.contrast=0.7",
        "evolution.contrast=null", "evolution.bits=8", "evolution.adaptation=[0.5,100]",
        "evolution.adaptation=[0.5,200]", "evolution.film=4", "evolution.searches_per_pass=2",
        f"evolution.references={tmp_path / 'a.png'}", f"evolution.references={tmp_path / 'b.png'}",
        f"evolution.references={tmp_path}", "searcher.genetic.population=21",
        "searcher=[genetic_wang_ponce]", "generator.grid.side=5", "generator=[pixels]",
        "scorer=[poisson]", "generator=[principal_components]",
    )  # fmt: skip
    known = [keys(), *(keys(change) for change in changes)]
    more = "generator=[principal_components]"
    known.append(keys(more, "images.limit=5"))
    known.append(keys("scorer=[poisson]", "scorer.poisson.scale=3.0"))
    assert all(len(each) == 1 for each in known)
    assert len({each[0] for each in known}) == len(known)


def test_what_changes_no_number_changes_no_key():
    same = [keys(), keys("units=[5]"), keys("images.limit=5"), keys("name=other")]
    rig = ("scorer=[folder]", "scorer.folder.path=rig")
    assert keys(*rig) == keys(*rig, "scorer.folder.timeout=5.0", "scorer.folder.poll=3.0")
    assert len({each[0] for each in same}) == 1
    assert keys("generator=[]") == keys("generator=[decoder]")  # the default of the miniature


def test_all_arguments_of_an_own_scorer_are_in_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "ownscorer.py").write_text("def score(timeout):\n    return lambda p: [timeout]\n")
    monkeypatch.syspath_prepend(tmp_path)
    own = ("scorer=[network]", "scorer.network._target_=ownscorer.score")
    assert keys(*own, "+scorer.network.timeout=1") != keys(*own, "+scorer.network.timeout=2")


def test_references_are_shown_by_name(run_pipeline: RunPipeline, tmp_path: Path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name, level in (("b", 200), ("a", 30)):
        array = np.full((40, 50, 3), 128, np.uint8)
        array[:, :25] = level
        Image.fromarray(array).save(pictures / f"{name}.png")
    done = run_pipeline(
        *SMALL, "evolution.rivals=[]", f"evolution.references={pictures}", f"out={tmp_path}"
    )
    run: Any = pipeline.open_run(done.paths.folder)
    table = run.evolution_references
    assert table["reference"].tolist() == ["a.png", "b.png"] * 2
    assert table["generation"].eq(0).all()
    assert np.isfinite(table["response"]).all()


def test_images_are_compared_at_one_contrast(run_pipeline: RunPipeline, tmp_path: Path):
    done = run_pipeline(
        *SMALL[1:], "stages=[top_patches,ascent,evolution]", "optimizer.steps=3", "search.keep=2",
        f"out={tmp_path}",
    )  # fmt: skip
    run: Any = pipeline.open_run(done.paths.folder)
    rows = run.evolution
    np.testing.assert_allclose(rows["over_patch"] * rows["top_patch"], rows["noise_free"])
    np.testing.assert_allclose(rows["over_ascent"] * rows["ascent"], rows["noise_free"])
    net = pipeline.network("miniature")
    patches = np.stack([run.patches("conv2", unit) for unit in (3, 17)])
    images = (patches - np.array(net.preprocessing.mean)) / np.array(net.preprocessing.std)
    power = np.sqrt((images**2).mean((1, 2, 3), keepdims=True))
    images = (images / power * 0.6).transpose(0, 3, 1, 2).astype(np.float32)
    bounds = [(-m / s, (1 - m) / s) for m, s in zip(*run_scale(net), strict=True)]
    assert all(
        images[:, n].min() > low and images[:, n].max() < high
        for n, (low, high) in enumerate(bounds)
    )  # nothing to cut, so this is exact
    from torch import from_numpy, tensor

    from pipeline.networks.unit_networks import unit_network

    score = unit_network(net.graph, net.layer("conv2"))
    responses = score(from_numpy(images), tensor([3, 17])).tolist()
    assert rows.drop_duplicates("unit")["top_patch"].tolist() == pytest.approx(responses, rel=1e-4)


def test_references_are_shown_in_gray_to_a_network_of_one_channel(tmp_path: Path):
    red = np.zeros((12, 12, 3), np.uint8)
    red[..., 0] = 255
    Image.fromarray(red).save(tmp_path / "red.png")
    gray = Preprocessing(None, 12, (0.5,), (0.25,))
    shown = read_references(str(tmp_path), gray)
    assert shown is not None
    assert shown.covering((6, 6)).shape == (1, 1, 6, 6)
    assert shown.covering((6, 6)).unique().tolist() == pytest.approx([76 / 255])  # 0.299 of red
    with pytest.raises(ConfigError, match="pictures have 1 or 3 channels, and the network has 2"):
        read_references(str(tmp_path), Preprocessing(None, 12, (0.5,) * 2, (0.25,) * 2))


def run_scale(net: pipeline.Network) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return net.preprocessing.mean, net.preprocessing.std


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("searcher=[]", "evolution.rivals=[]"), "searcher: the list is empty; choose one or more,"
         " as in searcher=[genetic]"),
        (("scorer=[]",), "scorer: the list is empty; choose one or more, as in scorer=[network]"),
        (("evolution.rivals=[natral]",), "evolution.rivals: 'natral' is not one of natural,"
         " gradient; nearest: natural"),
        (("evolution.rivals=[natural,natural]",), "names a rival twice"),
        (("evolution.queries=0",), "evolution.queries: 0 is not positive; use 1 or more"),
        (("evolution.bits=17",), "evolution.bits: 17 is not a number of bits from 1 to 16"),
        (("evolution.film=0",), "evolution.film: 0 is not a number of generations from 1 to 100"),
        (("evolution.contrast=-1",), "evolution.contrast: -1.0 is not a positive number"),
        (("evolution.contrast=inf",), "evolution.contrast: inf is not a positive number"),
        (("evolution.adaptation=[2,100]",), "evolution.adaptation.floor: 2.0 is not a gain"),
        (("evolution.adaptation=[0.5]",), "is not a gain and a number of queries"),
        (("evolution.references=/nowhere.png",), "evolution.references: there is no file"),
        (("scorer=[poisson]", "scorer.poisson.scale=-1.0"),
         "noise.scale: -1.0 is not a number"),
        (("+scorer.gaussian.scale=1",), "scorer.gaussian: has settings, but is not chosen"),
        (("searcher.genetic.population=1",), "genetic.population: 1"),
        (("generator=[deepsim]", "generator.deepsim.weights=/nowhere"), "/nowhere"),
        (("evolution.bits=7", "scorer=[folder]", "scorer.folder.path=rig"),
         "evolution.bits: 7 is given, and scorer 'folder' shows pictures of 8 bits; leave it out"),
    ],
)  # fmt: skip
def test_faults_are_found_before_any_work(
    overrides: tuple[str, ...], message: str, run_pipeline: RunPipeline, tmp_path: Path
):
    with pytest.raises(Exception) as raised:  # noqa: PT011 - of several kinds, all one sentence
        run_pipeline(*SMALL, *overrides, f"out={tmp_path / 'out'}")
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_run_says_which_method_is_best(whole: ActiveRun):
    lines = STAGE.summary(whole, whole.plan(STAGE))
    assert [line.partition(" (")[0].partition(":")[2].partition(":")[0] for line in lines] == [
        " conv2, network", " conv2, poisson",
    ]  # fmt: skip
    assert all("median response, 2 units" in line for line in lines)
    assert lines[0].index("gradient") < lines[0].index("genetic + grid") < lines[0].index("natural")


def test_the_summary_counts_the_units_whose_multiples_it_ranks():
    names = {"searcher": "genetic", "generator": "grid"}
    table = pd.DataFrame({"unit": [3, 5], "over_patch": [2.0, np.nan], **names})
    told = "genetic + grid 2 (median multiple of the response to the top patch"
    assert ranking(table) == f"{told}, 1 of 2 units)"
    assert ranking(table.assign(over_patch=2.0)) == f"{told}, 2 units)"


def test_a_missing_multiple_of_a_known_response_is_explained():
    rows = [("", 2.0, 4.0), ("", 0.0, 4.0), ("old", -1.0, 0.0), ("", np.nan, np.nan)]
    table = pd.DataFrame(rows, columns=["reason", "top_patch", "ascent"])
    patch = "the response to the top patch is not above 0, so there is no multiple of it"
    ascent = patch.replace("top patch", "ascent image")
    assert reasons(table) == ["", patch, f"old; {patch}; {ascent}", ""]


def test_a_finished_run_is_found_in_the_store(run_pipeline: RunPipeline, whole: ActiveRun):
    given = (*SMALL, "evolution.restarts=2", "scorer=[network,poisson]")
    again = run_pipeline(*given, "units=[17]", f"out={whole.layout.out}")
    assert again.done == 0


def test_the_cost_counts_every_picture(whole: ActiveRun):
    cost = STAGE.cost(whole, whole.plan(STAGE), None)
    # 2 scorers x 3 methods x 2 units x 2 restarts x 100 queries.
    assert cost.facts["shown"].startswith("2400 pictures to 1 layers")
    one = whole.parts.costs(whole.parts.layers[0]).operations
    assert cost.operations["evolution"] == 2400 * one
    stored = sum(len(content) for content in items(whole.layout.out).values())
    assert cost.disk == pytest.approx(stored, rel=0.2)
    assert cost.missing == 0
