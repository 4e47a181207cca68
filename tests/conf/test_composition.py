"""Every YAML composes, and every option's keys are arguments of its target."""

from __future__ import annotations

import inspect
from functools import cache

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from pipeline.config.build import check_signature
from pipeline.config.schema import DEFAULT_STAGES, Config
from pipeline.config.search_path import conf_dir
from pipeline.store.identity import chosen
from tests.conftest import Compose, compose_config

CONF = conf_dir()
SINGLE = ("model", "images", "constraint", "optimizer", "gradient", "runner", "tracking")
LISTS = (
    "objective",
    "init",
    "parameterization",
    "regularizer",
    "smoothing",
    "transform",
    "readout",
    "stimulus",
    "searcher",
    "generator",
    "scorer",
)
STACKS = [("transform", "standard")]  # several options of a list in one file
OPTIONS = [
    (path.parent.name, path.stem)
    for group in (*SINGLE, *LISTS)
    for path in (CONF / group).glob("*.yaml")
]
# Keys that only the user can know.
REQUIRED = {
    ("model", "torchvision"): ["model.name=alexnet"],
    ("model", "timm"): ["model.name=resnet18"],
    ("model", "huggingface"): ["model.name=facebook/dinov2-small"],
    ("model", "module"): ["model.target=a.b", "model.input_size=[3,8,8]", "model.weights=/weights"],
    ("images", "folder"): ["images.root=/images"],
    ("images", "arrays"): ["images.root=/images"],
    ("images", "list"): ["images.file=/images.csv"],
    ("images", "stack"): ["images.file=/images.npy"],
    ("images", "hdf5"): ["images.file=/images.h5"],
    ("images", "webdataset"): ["images.shards=/a-000.tar"],
    ("images", "huggingface"): ["images.path=/images"],
    ("images", "dataset"): ["images.target=a.b"],
    ("init", "result"): ["init.result.path=/result"],
    ("objective", "direction"): ["objective.direction.vector=[1.0]"],
    ("objective", "cosine_direction"): ["objective.cosine_direction.vector=[1.0]"],
    ("readout", "dictionary"): ["readout.dictionary.weights=/sae.npz"],
    ("readout", "linear"): ["readout.linear.weights=/decoder.npz"],
    ("readout", "directions"): ["readout.directions.weights=/concepts.npz"],
    ("stimulus", "gratings"): ["stimulus.gratings.table=/gratings.csv"],
    ("stimulus", "pictures"): ["stimulus.pictures.folder=/pictures"],
    ("generator", "deepsim"): ["generator.deepsim.weights=/weights"],
    ("generator", "taef2"): ["generator.taef2.weights=/weights"],
    ("generator", "module"): ["generator.module.target=a.b", "generator.module.code_shape=[5]"],
    ("scorer", "folder"): ["scorer.folder.path=/rig"],
    ("optimizer", "named"): ["optimizer.name=NAdam"],
}
EXPERIMENTS = [path.stem for path in (CONF / "experiment").glob("*.yaml")]


def test_every_file_is_in_a_known_group():
    known = {CONF / "config.yaml", *(CONF / group / f"{name}.yaml" for group, name in OPTIONS)}
    known |= {CONF / "experiment" / f"{name}.yaml" for name in EXPERIMENTS}
    known |= {CONF / "hydra" / "launcher" / "slurm.yaml"}
    files = {path for path in CONF.rglob("*") if path.is_file() and "local" not in path.parts}
    assert files == known


def names(group: str) -> list[str]:
    return [name for of, name in OPTIONS if of == group and (of, name) not in STACKS]


@cache
def composed_together(*choices: tuple[str, str]) -> Config:
    """Compose options of several groups at once: every composition takes a tenth of a second."""
    lists = {group for group, _ in choices if group in LISTS}
    chosen = [f"{group}=[{','.join(names(group))}]" for group in sorted(lists)]
    chosen += [f"{group}={name}" for group, name in choices if group not in LISTS]
    return compose_config(*chosen, *(more for each in choices for more in REQUIRED.get(each, [])))


def composed_option(group: str, name: str) -> Config:
    """Compose an option: of a list beside all others, and else beside as many of other groups."""
    if group in LISTS:
        return composed_together(*((group, each) for each in names(group)))
    place = names(group).index(name)
    others = [(of, names(of)[place]) for of in SINGLE if place < len(names(of))]
    return composed_together(*others)


@pytest.mark.parametrize(("group", "name"), [o for o in OPTIONS if o not in STACKS])
def test_option_composes_and_fits_its_target(group: str, name: str):
    config = composed_option(group, name)
    node = getattr(config, group)[name] if group in LISTS else getattr(config, group)
    check_signature(node, group)
    allowed = {name, "torchvision_network", f"{name}_network"} if group == "model" else {name}
    assert node["_target_"].rpartition(".")[2] in allowed


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_option_says_what_its_function_does_by_default(group: str, name: str):
    """Who calls the function from Python gets what the command line gives."""
    if group in ("model", "images", "runner", "tracking") or (group, name) in STACKS:
        return
    node = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))
    parameters = inspect.signature(get_object(node["_target_"])).parameters
    for key, parameter in parameters.items():
        if (group, key) == ("stimulus", "field"):
            continue  # which the program gives
        given = node[key]  # every argument has its key
        if given == "???" or parameter.default is parameter.empty:
            assert parameter.default is parameter.empty
        elif isinstance(parameter.default, tuple):
            assert list(parameter.default) == given
        else:  # no settings at all are written as {}
            assert given == parameter.default or (given, parameter.default) == ({}, None)


@pytest.mark.parametrize(("group", "name"), STACKS)
def test_stack_composes_and_fits_its_targets(composed: Compose, group: str, name: str):
    stack = getattr(composed(f"{group}=[{name}]"), group)
    assert list(stack) == ["pad", "jitter", "scale", "rotate", "jitter_again"]  # in this order
    for option, node in stack.items():
        check_signature(node, f"{group}.{option}")


def test_defaults_are_the_main_job(composed: Compose):
    config = composed()
    assert tuple(config.stages) == DEFAULT_STAGES
    assert list(config.objective) == ["unit_response"]
    assert set(config.init) == {"zeros", "top_patch", "copies"}
    assert config.init["copies"] == 1
    assert list(config.parameterization) == ["pixel"]
    assert config.regularizer == config.smoothing == config.transform == {}
    assert config.optimizer["lr"] == 0.1
    assert config.optimizer["steps"] == 100
    assert config.search.keep == 100


def test_inits_are_a_list_whose_settings_can_be_changed(composed: Compose):
    config = composed("init=[zeros,noise]", "init.noise.std=0.7")
    assert list(chosen(config.init)) == ["zeros", "noise"]
    assert config.init["noise"]["std"] == 0.7


def test_transforms_keep_the_order_in_which_they_are_named(composed: Compose):
    assert list(composed("transform=[roll,flip,noise]").transform) == ["roll", "flip", "noise"]
    assert list(composed("transform=[noise,roll,flip]").transform) == ["noise", "roll", "flip"]
