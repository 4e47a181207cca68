"""Wrong commands: one sentence that says what is wrong, where, and what to type instead."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from pipeline.cli.flags import check_flags
from pipeline.config.build import typed
from pipeline.config.overrides import readable
from pipeline.config.refusals import refusal
from pipeline.config.search_path import conf_dir
from pipeline.errors import ArtiphysError


def said(*given: str) -> str:
    """Return the message about a command line."""
    try:
        check_flags(given)
        overrides = readable(given)
        with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
            typed(compose("config", overrides))
    except ArtiphysError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - Hydra raises several
        return refusal(error, given)
    return "accepted"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("modle=alexnet", "modle: there is no such key; nearest: model"),
        ("+modle=alexnet", "modle: there is no such key; nearest: model"),
        ("tracking=wandbb", "'wandbb' is not an option; choose from none, wandb; nearest: wandb"),
        ("init=[zeros,noisse]", "uniform, zeros; nearest: noise"),
        ("init=", "init: the name of an option is missing; choose from constant, image"),
        ("model=3", "model: '3' is not an option; choose from alexnet"),
        ("experiment=xdreem", "vocabulary, xdream, zeros_vs_top_patch; nearest: xdream"),
        ("experiment=null", "experiment: null chooses none; leave it out"),
        (
            "search.kep=3",
            "search.kep: search has no such setting; it has keep, batch_size, max_unreadable;"
            " nearest: keep",
        ),
        ("+search.kep=3", "search.kep: search has no such setting"),
        (
            "init.noise.std=2",
            "init.noise.std: 'noise' is not chosen, as init=[zeros,top_patch]; choose it, as in"
            " init=[zeros,top_patch,noise]",
        ),
        ("init.nois.std=2", "init.nois.std: init has no option 'nois'; nearest: noise"),
        ("init.zeros.std=2", "init.zeros.std: there is no such argument; zeros takes none"),
        (
            "optimizer.momentum=2",
            "optimizer.momentum: there is no such argument; the chosen option takes steps, lr,"
            " normalize; it is an argument of momentum",
        ),
        ("seed=abc", "seed: 'abc' is not a whole number"),
        ("seed=", "seed: it cannot be empty; give a whole number"),
        ("seed=null", "seed: it cannot be null; give a whole number"),
        ("evolution.contrast=high", "evolution.contrast: 'high' is not a number or null"),
        ("stages=ascent", "stages: ascent is not a list; give stages=[ascent]"),
        ("stages={a:1}", "stages: {a:1} is not a list; give stages=[a,b]"),
        ("search=3", "search: 3 cannot stand for its settings; set one, as in search.keep=VALUE"),
        ("name=${nothing}", "name: ${nothing} refers to a key that does not exist"),
        ("name=${oc.env:NO_SUCH}", "name: environment variable 'NO_SUCH' not found; write"),
        ("~nothing", "~nothing: there is no 'nothing' to leave out"),
        ("+seed=3", "seed: there is such a key already; leave out the + to set it"),
        ("+model=vgg16", "model: one is chosen already; leave out the + to replace it"),
        ("model@x=alexnet", "model: a package, after @, cannot be chosen here"),
        ("optimizer=[sgd]", "optimizer: [sgd] is a list; choose one option, as in optimizer=sgd"),
        ("model=[vgg16,alexnet]", "as in model=vgg16; to run each, give -m model=vgg16,alexnet"),
        ("conv1", "'conv1' is not KEY=VALUE, such as conv1=VALUE"),
        ("--hlep", "'--hlep' is not a flag; see artiphys --help; nearest: --help"),
        ("--cfg=jbo", "--cfg: 'jbo' is not one of job, hydra, all; nearest: job"),
        ("--resolve", "--resolve: it goes with --cfg; give --cfg job --resolve"),
        ("--config-dir=/no/such", "--config-dir: there is no folder '/no/such'"),
        ("layers=conv1", "accepted"),
    ],
)  # fmt: skip
def test_a_wrong_command_is_told_with_what_to_type(given: str, message: str):
    assert message in said(given)
    assert "\n" not in said(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["init=[zeros,", "noise]"],
            "init: the shell splits [zeros, noise] at its spaces; write it without spaces,"
            " init=[zeros,noise], or in quotes, 'init=[zeros, noise]'",
        ),
        (["layers", "=", "[conv1]"], "write layers=[conv1], without spaces around it"),
        (["-m", "seed=1,"], "seed: 1, ends with a comma; give seed=1, or another value"),
    ],
)
def test_what_the_shell_has_split_is_put_together(given: list[str], message: str):
    with pytest.raises(ArtiphysError) as caught:
        readable(given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers: [conv1\nseed: 3\n", "line 2: expected ',' or ']', but got ':'"),
        ("search:\n\tkeep: 3\n", "lines are indented with a tab; use spaces"),
        ("name: a\nname: b\n", "line 2: the key 'name' is there twice; leave one out"),
    ],
)
def test_faults_of_ones_own_yaml_are_told_with_file_and_line(
    tmp_path: Path, text: str, message: str
):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        OmegaConf.load(file)
    assert refusal(caught.value).startswith(f"'{file}', ")
    assert message in refusal(caught.value)


def test_a_file_that_is_not_utf8_is_found(tmp_path: Path):
    file = tmp_path / "experiment" / "mine.yaml"
    file.parent.mkdir()
    file.write_bytes(b"seed: 3\nname: caf\xe9\n")
    with pytest.raises(UnicodeDecodeError) as caught:
        OmegaConf.load(file)
    assert refusal(caught.value, ["--config-dir", str(tmp_path)]) == (
        f"'{file}', line 2: the file is not UTF-8; save it as such"
    )
