"""What determines a result is in its key: each change misses, and what does not matter hits."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts
from pipeline.stages.ascent import STAGE as ASCENT
from pipeline.stages.ascent.results import main_climbs
from pipeline.stages.correlations import STAGE as CORRELATIONS
from pipeline.stages.dream import STAGE as DREAM
from pipeline.stages.top_patches import STAGE as TOP_PATCHES
from pipeline.stages.top_patches.results import find_search
from pipeline.store import metadata
from pipeline.store.layout import Layout
from tests.conftest import Compose, compose_config, here

Keys = dict[str, str]
WEIGHTS = Path(__file__).parents[2] / "pipeline" / "miniature" / "weights" / "miniature.safetensors"


def keys_in(folder: Path) -> Callable[..., Keys]:
    """Return a function of overrides: keys of the results of a configuration, by stage or init."""
    weights = folder / "weights.safetensors"
    weights.write_bytes(WEIGHTS.read_bytes())
    photographs(folder / "photographs")

    def found(*overrides: str) -> Keys:
        given = [
            "layers=[conv1]",
            "units=0:4",
            "images=folder",
            f"images.root={folder / 'photographs'}",
            "images.resize=null",
            "images.crop=64",
            f"model.weights={weights}",
            f"out={folder / 'out'}",
        ]
        parts = Parts(compose_config(*given, *overrides), here())
        session = ActiveRun.planned(parts, Layout(folder / "out"))
        return {
            "search": find_search(session, parts.layers[0]).result.folder.name,
            **{climb.init: climb.result.folder.name for climb in main_climbs(session.plan(ASCENT))},
            "correlations": session.plan(CORRELATIONS)[0].result.folder.name,
        }

    return found


@pytest.fixture
def keys(tmp_path: Path) -> Callable[..., Keys]:
    """The keys of configurations on files that the test may change."""
    return keys_in(tmp_path)


@pytest.fixture(scope="module")
def keys_of_the_same(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Keys]:
    """The keys of configurations on files that stay as they are, each found once."""
    return cache(keys_in(tmp_path_factory.mktemp("same")))


def photographs(folder: Path, count: int = 3) -> None:
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(count):
        pixels = rng.integers(0, 255, (70, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def changed(before: Keys, after: Keys) -> list[str]:
    """Return which results are not found again."""
    assert before.keys() == after.keys()
    return [name for name in before if before[name] != after[name]]


@cache
def dream_key(*overrides: str) -> str:
    config = compose_config("layers=[conv1]", "objective=[layer_mean]", "init=[zeros]", *overrides)
    plan = ActiveRun.planned(Parts(config, here()), Layout("nowhere")).plan(DREAM)
    return plan[0].result.folder.name


# Ascents from zeros ask no image set.
IMAGES = ["search", "top_patch", "correlations"]
CLIMBS = ["zeros", "top_patch", "correlations"]
ALL = ["search", *CLIMBS]


@pytest.mark.parametrize(
    ("override", "misses"),
    [
        ("images.crop=60", ALL),  # the shapes of the traced network
        ("images.resize=66", IMAGES),
        ("images.limit=2", IMAGES),
        ("search.keep=7", IMAGES),
        ("search.batch_size=8", IMAGES),
        ("layers=[conv2]", ALL),
        ("units=0:5", CLIMBS),
        ("optimizer.lr=0.2", CLIMBS),
        ("optimizer.steps=99", CLIMBS),
        ("optimizer=adam", CLIMBS),
        ("seed=1", CLIMBS),
        ("precision=bfloat16", CLIMBS),
        ("name=other", []),
        ("runner.threads=1", []),
        ("tracking=none", []),
        ("figures.contact_units=3", []),
        ("search.max_unreadable=0.5", []),
        ("stages=[ascent]", []),
    ],
)
def test_a_setting_misses_where_it_matters_and_nowhere_else(keys_of_the_same, override, misses):
    assert changed(keys_of_the_same(), keys_of_the_same(override)) == misses


def test_the_strength_of_an_init_misses_that_init_alone(keys_of_the_same):
    keys = keys_of_the_same
    before, after = keys("init=[zeros,noise]"), keys("init=[zeros,noise]", "init.noise.std=0.5")
    assert changed(before, after) == ["noise", "correlations"]


def test_keys_hold_no_module(composed: Compose):
    parts = Parts(composed("layers=[conv1]", "units=0:4", "transform=[jitter]"), here())
    climb = ActiveRun.planned(parts, Layout("nowhere")).plan(ASCENT)[0]
    assert "pipeline." not in json.dumps(climb.result.settings)
    assert climb.result.settings["optimizer"]["option"] == "sgd"


def test_one_changed_weight_misses(keys, tmp_path: Path):
    before = keys()
    path = tmp_path / "weights.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("weight"))
    tensors[name].view(-1)[0] += 1e-6
    save_file(tensors, path)
    assert changed(before, keys()) == ALL


def test_the_same_weights_in_another_file_hit(keys, tmp_path: Path):
    before = keys()
    other = tmp_path / "elsewhere.safetensors"
    save_file(load_file(tmp_path / "weights.safetensors"), other)
    assert changed(before, keys(f"model.weights={other}")) == []


def test_a_picture_that_is_added_renamed_or_changed_misses(keys, tmp_path: Path):
    folder = tmp_path / "photographs"
    before = keys()
    (folder / "0.png").rename(folder / "9.png")
    renamed = keys()
    assert changed(before, renamed) == IMAGES
    Image.new("RGB", (80, 70), (1, 2, 3)).save(folder / "9.png")
    other = keys()
    assert changed(renamed, other) == IMAGES
    (folder / "a.png").write_bytes((folder / "1.png").read_bytes())
    assert changed(other, keys()) == IMAGES


def test_a_later_version_of_the_files_misses(keys, monkeypatch: pytest.MonkeyPatch):
    before = keys()
    monkeypatch.setattr(metadata, "STORE_FORMAT", 1000)
    assert changed(before, keys()) == ALL


@pytest.mark.parametrize(
    ("stage", "misses"),
    # What starts from a search, or correlates ascents, depends on their numbers.
    [
        (TOP_PATCHES, ["search", "top_patch", "correlations"]),
        (ASCENT, ["zeros", "top_patch", "correlations"]),
        (CORRELATIONS, ["correlations"]),
    ],
)
def test_a_later_version_of_a_stage_misses_its_results_and_those_made_of_them(keys, stage, misses):
    before = keys()
    version = stage.version
    object.__setattr__(stage, "version", 1000)
    try:
        assert changed(before, keys()) == misses
    finally:
        object.__setattr__(stage, "version", version)


def test_the_picture_that_an_init_starts_from_is_known_by_its_contents(keys, tmp_path: Path):
    path = tmp_path / "start.png"
    Image.new("RGB", (80, 70), (1, 2, 3)).save(path)
    given = ("init=[zeros,image]", f"init.image.path={path}")
    before = keys(*given)
    Image.new("RGB", (80, 70), (1, 2, 4)).save(path)
    after = keys(*given)
    assert changed(before, after) == ["image", "correlations"]
    path.rename(tmp_path / "elsewhere.png")
    assert keys(*given, f"init.image.path={tmp_path / 'elsewhere.png'}") == after


def test_the_name_of_an_init_which_its_random_numbers_belong_to_misses(keys):
    noise = {"_target_": "pipeline.synthesis.inits.noise", "std": 0.3}
    given = ",".join(f"{key}: {value}" for key, value in noise.items())
    named = [keys(f"+init.{name}={{{given}}}")[name] for name in ("first", "second")]
    assert named[0] != named[1]


@pytest.mark.parametrize(
    ("overrides", "hits"),
    [
        (["dream.fill=edge"], True),
        (["dream.zoom=1.1"], True),
        (["dream.blend=0.5"], True),
        (["dream.fps=10"], True),
        (["dream.zoom=1.1", "dream.frames=2"], False),
        (["dream.sigma=0.5"], False),
        (["dream.carry=whole"], False),
        (["dream.tile=64"], False),
    ],
)
def test_settings_of_a_dream_that_are_idle_are_not_in_its_key(overrides, hits):
    assert (dream_key() == dream_key(*overrides)) == hits


@pytest.mark.parametrize(
    ("group", "head", "body", "edited", "misses"),
    [
        (
            "objective.unit_response",
            "from pipeline.synthesis.objectives import unit_response\ndef own(position, weight):",
            "return unit_response(position, weight)",
            "return unit_response(position, 2 * weight)",
            CLIMBS,
        ),
        (
            "model",
            "from torch import nn\nfrom pipeline.miniature.network import miniature\n"
            "def own(weights, seed, shuffled, weights_key):\n    found = miniature(weights, seed)",
            "found.module.features[2] = nn.MaxPool2d(3, 2)\n    return found",
            "found.module.features[2] = nn.AvgPool2d(3, 2)\n    return found",
            ALL,
        ),
        (  # what computes the same is the same network
            "model",
            "from pipeline.miniature.network import miniature\n"
            "def own(weights, seed, shuffled, weights_key):",
            "return miniature(weights, seed)",
            "return miniature(weights, seed=seed)",
            [],
        ),
    ],
)
def test_own_code_is_known_by_its_contents(
    keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group, head, body, edited, misses
):
    option = group.partition(".")[0]
    module = tmp_path / f"own_{option}.py"
    monkeypatch.syspath_prepend(tmp_path)
    # Python takes a file of the same second and size for that which it has compiled.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    given = f"{group}._target_=own_{option}.own"
    sys.modules.pop(module.stem, None)  # of another test
    module.write_text(f"{head}\n    {body}\n")
    before = keys(given)
    module.write_text(f"{head}\n    {edited}\n")
    sys.modules.pop(module.stem)  # as in a process of its own
    assert changed(before, keys(given)) == misses


@pytest.mark.parametrize("name", ["../evil", "a//b", ".hidden"])
def test_no_network_has_a_name_that_leads_out_of_the_store(name: str):
    given = ("model=module", "model.target=torch.nn.Conv2d", "model.weights=random")
    arguments = [f"+model.arguments.{k}=3" for k in ("in_channels", "out_channels", "kernel_size")]
    config = compose_config(*given, *arguments, "model.input_size=[3,9,9]", f"model.name='{name}'")
    with pytest.raises(ConfigError, match=r"^model.name: '.*' cannot be the name of a folder; use"):
        _ = Parts(config, here()).network
