"""The typed spine of the configuration: every key that is read as data.

Groups that are objects (model, images, init ...) stay YAML; the signature of their target is their
schema and is checked in ``build.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore

from pipeline.config.settings import (
    AnimateConfig,
    AscentConfig,
    CollectConfig,
    DreamConfig,
    FiguresConfig,
    PagesConfig,
    ResponsesConfig,
    SearchConfig,
    TrainingConfig,
)

CHECK = "check"  # says what the other stages would do and cost, and what is wrong with them
DEFAULT_STAGES = ("top_patches", "ascent", "correlations", "figures", "pages")
PRECISIONS = ("float32", "tf32", "bfloat16")


@dataclass
class Config:
    """The whole configuration; see ``conf/config.yaml`` for what each key does.

    ``own`` holds the settings of stages of one's own, by the name of the stage.
    """

    model: dict[str, Any] = field(default_factory=dict[str, Any])
    images: dict[str, Any] = field(default_factory=dict[str, Any])
    objective: dict[str, Any] = field(default_factory=dict[str, Any])
    init: dict[str, Any] = field(default_factory=dict[str, Any])
    parameterization: dict[str, Any] = field(default_factory=dict[str, Any])
    constraint: dict[str, Any] = field(default_factory=dict[str, Any])
    optimizer: dict[str, Any] = field(default_factory=dict[str, Any])
    regularizer: dict[str, Any] = field(default_factory=dict[str, Any])
    smoothing: dict[str, Any] = field(default_factory=dict[str, Any])
    transform: dict[str, Any] = field(default_factory=dict[str, Any])
    gradient: dict[str, Any] = field(default_factory=dict[str, Any])
    runner: dict[str, Any] = field(default_factory=dict[str, Any])
    tracking: dict[str, Any] = field(default_factory=dict[str, Any])
    layers: Any = "all"
    units: Any = "all"
    stages: list[str] = field(default_factory=lambda: list(DEFAULT_STAGES))
    out: str = "outputs"
    name: str = "main"
    seed: int = 0
    precision: str = "float32"
    search: SearchConfig = field(default_factory=SearchConfig)
    responses: ResponsesConfig = field(default_factory=ResponsesConfig)
    ascent: AscentConfig = field(default_factory=AscentConfig)
    dream: DreamConfig = field(default_factory=DreamConfig)
    figures: FiguresConfig = field(default_factory=FiguresConfig)
    animate: AnimateConfig = field(default_factory=AnimateConfig)
    pages: PagesConfig = field(default_factory=PagesConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    collect: CollectConfig = field(default_factory=CollectConfig)
    own: dict[str, Any] = field(default_factory=dict[str, Any])


def register() -> None:
    """Make the schema known to Hydra."""
    ConfigStore.instance().store(name="schema", node=Config)
