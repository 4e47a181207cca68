"""Which stages have sections on the pages of units: those whose results the store holds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest

from pipeline.errors import ConfigError
from pipeline.networks.layers import Layer
from pipeline.pages.sections import Section, Words
from pipeline.run.active_run import ActiveRun
from pipeline.stages.pages import sections
from pipeline.stages.pages.sections import layer_sections, stages_with_sections
from pipeline.stages.stage import Plan, Stage

CONV1 = Mock(spec=Layer)
CONV1.name = "conv1"


def item(layer: str, missing: bool = False) -> Any:
    result = SimpleNamespace(missing=lambda: ["item"] if missing else [])
    return SimpleNamespace(layer=SimpleNamespace(name=layer), result=result)


def stage(name: str, *items: Any) -> Stage[Any]:
    """Return a stage that says of each unit how many of its items are of the layer."""

    def own_sections(_run: Any, found: Any, layer: Layer) -> Any:
        count = len([each for each in found if each.layer.name == layer.name])
        return lambda unit: [Section(name, [Words(f"{count} of unit {unit}")])] * (count > 0)

    return Stage(name, "", plan=lambda _run: Plan(items), sections=own_sections)


def refuse(_run: Any) -> Plan[Any]:
    raise ConfigError("settings that do not fit the network")


def found(monkeypatch: pytest.MonkeyPatch, *stages: Stage[Any]) -> Any:
    """Return what stands on the page of unit 7 of conv1."""
    monkeypatch.setattr(sections, "all_stages", lambda: {each.name: each for each in stages})
    parts: Any = SimpleNamespace(config=SimpleNamespace(stages=["pages"]))
    run = ActiveRun(parts, *[cast("Any", None)] * 3)
    read = layer_sections(run, stages_with_sections(run), CONV1)
    if read is None:
        return None
    return [(each.title, cast("Words", each.parts[0]).text) for each in read()(7)]


def test_sections_come_by_the_names_of_stages_from_results_that_are_whole(
    monkeypatch: pytest.MonkeyPatch,
):
    first = stage("first", item("conv1"), item("conv1"), item("conv2"))
    second = stage("second", item("conv1"), item("conv1", missing=True))
    other = stage("other", item("conv2"))
    assert found(monkeypatch, second, other, first) == [
        ("first", "2 of unit 7"), ("second", "1 of unit 7"),
    ]  # fmt: skip


def test_a_stage_without_results_or_with_settings_that_do_not_fit_has_none(
    monkeypatch: pytest.MonkeyPatch,
):
    lacking = stage("lacking", item("conv1", missing=True))
    refused = Stage("refused", "", plan=refuse, sections=lambda run, found, layer: lambda unit: ())
    plain = Stage("plain", "", plan=lambda _run: Plan([item("conv1")]))
    assert found(monkeypatch, lacking, refused, plain) is None


def test_a_fault_of_a_stage_is_said_to_be_its_own(monkeypatch: pytest.MonkeyPatch):
    def broken(_run: Any, _found: Any, _layer: Layer) -> Any:
        raise KeyError("row")

    own = Stage("mine", "", plan=lambda _run: Plan([item("conv1")]), sections=broken)
    with pytest.raises(KeyError) as raised:
        found(monkeypatch, own)
    assert raised.value.__notes__ == ["This happened in the stage 'mine'."]
