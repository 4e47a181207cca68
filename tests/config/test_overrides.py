"""Paths and names as people type them."""

from __future__ import annotations

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from pipeline.config.overrides import quoted, readable
from pipeline.errors import ConfigError


def value(override: str) -> object:
    return OverridesParser.create().parse_override(override).value()


@example("\\${")
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12))
def test_a_text_in_quotes_stands_for_itself(text: str):
    node = OmegaConf.create({"k": value(f"k={quoted(text)}")})
    assert node.k == text


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("images.root=2024", "2024"),
        ("images.root=1e3", "1e3"),
        ("+images.root=1e3", "1e3"),
        ("images.root=Фото", "Фото"),
        ("images.root=photos (copy)", "photos (copy)"),
        ("images.root=/a/b", "/a/b"),
        ("model.weights=epoch=3-step=400.ckpt", "epoch=3-step=400.ckpt"),
        ("name=1e3", "1e3"),
        ("name=001", "001"),
        ("name=true", "true"),
        ("training.out=5", "5"),
        ("dream.video=~/a b", "/home/me/a b"),
        ("my.own=~/a", "/home/me/a"),
        ("init.image.path=7", "7"),
        ("optimizer.lr=1e-3", 0.001),
        ("optimizer.steps=2", 2),
        ("images.limit=3", 3),
        ("images.resize=256", 256),  # a number or text
        ("seed=3", 3),
        ("my.own=3", 3),
        ("training.out=null", None),
        ("layers=[0,conv1]", [0, "conv1"]),
    ],
)
def test_text_is_kept_as_typed_and_numbers_are_numbers(
    monkeypatch: pytest.MonkeyPatch, override: str, expected: object
):
    monkeypatch.setenv("HOME", "/home/me")
    assert value(readable([override])[0]) == expected


@pytest.mark.parametrize(
    ("override", "remedy", "expected"),
    [
        ("layers=été", 'layers="été"', "été"),
        ("my.own=it's", 'my.own="it\'s"', "it's"),
        ("collect.runs=[a,fotos_été]", 'collect.runs=[a,"fotos_été"]', ["a", "fotos_été"]),
        ("images.root=a,b", 'images.root="a,b"', "a,b"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_type(override, remedy, expected):
    with pytest.raises(ConfigError) as refused:
        readable([override])
    assert str(refused.value).startswith(override.partition("=")[0] + ": ")
    typed = next(word for word in shlex.split(str(refused.value).partition("give ")[2], posix=True))
    assert typed.rstrip(",") == remedy
    assert value(remedy) == expected


def test_of_a_sweep_every_value_can_be_read():
    swept = ["-m", "seed=0,1", "images.root=a,b"]
    assert readable(swept) == swept
    assert readable(swept[1:], several=True) == swept[1:]
    with pytest.raises(ConfigError, match=r"images\.root: é,b cannot be read"):
        readable(["-m", "images.root=é,b"])


def test_flags_are_left_to_hydra():
    flags = ["--config-dir", "conf=1", "hydra/launcher=slurm", "hydra.sweep.dir=x y", "--help"]
    assert readable(flags) == flags


@pytest.mark.parametrize("key", ["out", "name", "images.root", "model.weights"])
def test_what_must_be_text_cannot_be_null(key: str):
    with pytest.raises(ConfigError, match=f"^{key}: it cannot be null; give some text"):
        readable([f"{key}=null"])


def test_an_open_bracket_is_told():
    with pytest.raises(ConfigError, match=r"layers: \[a cannot be read, .*; give closed brackets"):
        readable(["layers=[a"])


def test_what_is_not_utf8_is_refused():
    with pytest.raises(ConfigError, match=r"^'images.root=\\udcff' is not UTF-8; rename the file"):
        readable(["images.root=\udcff"])
