"""Every YAML composes, and every option's keys are arguments of its target."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.build import check_signature
from pipeline.config.schema import DEFAULT_STAGES
from pipeline.config.search_path import conf_dir
from tests.conftest import Compose

CONF = conf_dir()
GROUPS = ("model", "images", "objective", "init", "optimizer", "runner", "tracking")
OPTIONS = [
    (path.parent.name, path.stem) for group in GROUPS for path in (CONF / group).glob("*.yaml")
]
# Keys that only the user can know.
REQUIRED = {
    ("model", "torchvision"): ["model.name=alexnet"],
    ("images", "folder"): ["images.root=/images"],
    ("images", "arrays"): ["images.root=/images"],
    ("experiment", "zeros_vs_top_patch"): ["images.root=/images"],
}
EXPERIMENTS = [path.stem for path in (CONF / "experiment").glob("*.yaml")]


def test_every_file_is_in_a_known_group():
    known = {CONF / "config.yaml", *(CONF / group / f"{name}.yaml" for group, name in OPTIONS)}
    known |= {CONF / "experiment" / f"{name}.yaml" for name in EXPERIMENTS}
    known |= {CONF / "hydra" / "launcher" / "slurm.yaml"}
    files = {path for path in CONF.rglob("*") if path.is_file() and "local" not in path.parts}
    assert files == known


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_option_composes_and_fits_its_target(composed: Compose, group: str, name: str):
    choice = f"{group}=[{name}]" if group == "init" else f"{group}={name}"
    config = composed(choice, *REQUIRED.get((group, name), []))
    node = config.init[name] if group == "init" else getattr(config, group)
    check_signature(node, group)
    allowed = {name, "torchvision_network"} if group == "model" else {name}
    assert node["_target_"].rpartition(".")[2] in allowed


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_composes(composed: Compose, name: str):
    config = composed(f"experiment={name}", *REQUIRED.get(("experiment", name), []))
    assert config.name == name


@pytest.mark.parametrize("path", [CONF / "experiment" / f"{name}.yaml" for name in EXPERIMENTS])
def test_experiment_names_its_file_and_how_to_run_it(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# @package _global_\n")
    assert f"experiment={path.stem}" in text


def test_defaults_are_the_main_job(composed: Compose):
    config = composed()
    assert tuple(config.stages) == DEFAULT_STAGES
    assert list(config.init) == ["zeros", "top_patch"]
    assert config.optimizer["lr"] == 0.1
    assert config.optimizer["steps"] == 100
    assert config.search.keep == 100


def test_inits_are_a_list_whose_settings_can_be_changed(composed: Compose):
    config = composed("init=[zeros,noise]", "init.noise.std=0.7")
    assert list(config.init) == ["zeros", "noise"]
    assert config.init["noise"]["std"] == 0.7
