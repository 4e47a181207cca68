"""Options are known by name and arguments, and every key of the configuration has its effect."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from pipeline.config.schema import Config
from pipeline.store.identity import (
    KEYS,
    STAGE_SETTINGS,
    Effect,
    described,
    described_images,
    described_list,
    group_name,
    option_name,
    with_effect,
)

SGD = {"_target_": "pipeline.synthesis.optimizers.sgd", "lr": 0.1}


def test_every_key_of_the_configuration_is_in_the_table_and_groups_are_told_from_settings():
    schema = Config()
    assert set(KEYS) <= {field.name for field in fields(Config)}
    for field in fields(Config):
        name, value = field.name, getattr(schema, field.name)
        if name == "own":
            continue
        key = KEYS.get(name, STAGE_SETTINGS)
        assert name in KEYS or is_dataclass(value), name
        assert bool(key.options) == (isinstance(value, dict) and not is_dataclass(value)), name


def test_a_setting_has_an_effect_or_another():
    settings = {"seed": 0, "figures": {}, "name": "a", "tracking": {}, "out": "b"}
    assert with_effect(settings, Effect.NUMBERS) == {"seed": 0}
    assert with_effect(settings, Effect.FILES, Effect.NAME) == {"figures": {}, "name": "a"}
    assert with_effect(settings, *Effect) == settings


def test_an_option_that_stands_for_others_has_their_name():
    assert option_name(SGD) == "sgd"
    assert option_name({"_target_": "pipeline.synthesis.optimizers.named", "name": "Adagrad"}) == (
        "Adagrad"
    )
    assert group_name("optimizer", SGD) == "sgd"
    assert group_name("init", {"copies": 2, "zeros": {}, "noise": {}}) == "zeros+noise"
    assert group_name("transform", {}) == "none"


def test_a_module_may_move_and_a_file_may_lie_elsewhere():
    moved = SGD | {"_target_": "pipeline.synthesis.optimizers.sgd"}
    assert described(SGD) == described(moved) == {"option": "sgd", "lr": 0.1}
    first, second = (
        {"_target_": "pipeline.synthesis.inits.image", "path": path, "rank": 1}
        for path in ("here.png", "there.png")
    )
    assert described(first) != described(second)
    assert described(first, "abc") == described(second, "abc")
    assert described(first, "abc") != described(first, "abd")


def test_options_within_options_have_no_module_either():
    found = described({"_target_": "pipeline.a.each", "parts": [SGD, {"by": SGD}], "n": (1, 2)})
    assert found == {
        "option": "each",
        "parts": [{"option": "sgd", "lr": 0.1}, {"by": {"option": "sgd", "lr": 0.1}}],
        "n": [1, 2],
    }


def test_the_order_of_a_list_is_kept():
    options = {"b": SGD, "a": SGD}
    assert [name for name, _ in described_list(options)] == ["b", "a"]
    assert described_list(options, [None, "x"])[1][1]["contents"] == "x"


def test_two_functions_of_one_name_in_one_file_are_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_pair.py").write_text(
        "class A:\n    def f(): return 1\nclass B:\n    def f(): return 2\n"
    )
    sys.modules.pop("own_pair", None)
    first, second = (described({"_target_": f"own_pair.{name}.f"}) for name in "AB")
    assert (first["option"], second["option"]) == ("A.f", "B.f")
    assert first["code"] == second["code"]


def test_an_own_image_set_is_known_by_its_arguments_and_code_and_not_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "own_images.py"
    path.write_text("def noisy(root, std): ...\n")
    option = {"_target_": "own_images.noisy", "root": str(tmp_path), "std": 0.1}
    before = described_images(option)
    (tmp_path / "moved").mkdir()
    assert described_images(option | {"root": str(tmp_path / "moved")}) == before
    assert described_images(option | {"std": 0.2}) != before
    path.write_text("def noisy(root, std): return root\n")
    assert described_images(option) != before


def test_code_that_a_target_leads_to_when_it_is_imported_is_known_before_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "far").mkdir()
    far = tmp_path / "far" / "own_far_gain.py"
    far.write_text("GAIN = 1\n")
    (tmp_path / "own_near.py").write_text(
        f"import sys\nsys.path.insert(0, {str(far.parent)!r})\nimport own_far_gain\n"
        "def gain(): return own_far_gain.GAIN\n"
    )
    option = {"_target_": "own_near.gain"}
    first = described(option)
    assert described(option) == first
    far.write_text("GAIN = 2\n")
    assert described(option) != first
