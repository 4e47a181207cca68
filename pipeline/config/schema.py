"""The typed spine of the configuration: every key that is read as data.

Groups that are objects (model, images, init ...) stay YAML; the signature of their target is their
schema and is checked in ``build.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore

CHECK = "check"  # says what the other stages would do and cost, and what is wrong with them
# In the order in which they run.
STAGES = (
    CHECK, "train", "top_patches", "ascent", "correlations", "figures", "animate", "dream",
    "export", "pages", "collect",
)  # fmt: skip
DEFAULT_STAGES = ("top_patches", "ascent", "correlations", "figures", "pages")
PRECISIONS = ("float32", "tf32", "bfloat16")


@dataclass
class SearchConfig:
    """How the image set is searched.

    Attributes:
        keep: top and bottom patches kept per unit.
        batch_size: images run at once; it can change the last bits of a response.
        max_unreadable: share of images that may be unreadable before the search stops.
    """

    keep: int = 100
    batch_size: int = 16
    max_unreadable: float = 0.1


@dataclass
class AscentConfig:
    """What is climbed besides what the groups say.

    Attributes:
        size: side of the images in pixels, or height and width, where the objective looks at whole
            images; the size of the image set by default.
    """

    size: Any = None


@dataclass
class DreamConfig:
    """How an image is dreamt: octave by octave and, for a video, frame by frame.

    Attributes:
        size: shorter side of the image in pixels, or height and width; that of the picture that it
            starts from by default, and of the image set where there is none.
        sides: shorter side of every octave, up or down; ``ratio`` and ``levels`` if not given.
        ratio: of the sides of one octave to those of the one before.
        levels: number of octaves, the last of which has the size of the image. Noise to start from
            is drawn at the size of the first.
        carry: what is taken to the next octave: the ``whole`` dream, resized, or only the
            ``details`` that were dreamt, added to the start.
        steps: of every octave, or one number for each; those of the optimizer by default.
        lr: learning rate, or one for each octave; a pair ``[start,end]`` changes over the steps.
        sigma: of ``smoothing.blur`` for each octave; as ``lr``.
        tile: pixels of the parts in which images too large for memory are looked at.
        frames: how many; each starts from the one before.
        zoom: factor by which a frame is enlarged for the next.
        rotate: degrees by which it is turned, counterclockwise.
        translate: pixels by which it is moved to the right and down.
        fill: what comes in at the edges: ``reflect`` or ``edge``.
        video: a video file whose frames are dreamt instead.
        blend: share of the new frame of the video; the rest is the last dream.
        fps: frames per second of what is written.
    """

    size: Any = None
    sides: Any = None
    ratio: float = 1.4
    levels: int = 3
    carry: str = "details"
    steps: Any = None
    lr: Any = None
    sigma: Any = None
    tile: int | None = None
    frames: int = 1
    zoom: float = 1.0
    rotate: float = 0.0
    translate: list[float] = field(default_factory=lambda: [0.0, 0.0])
    fill: str = "reflect"
    video: str | None = None
    blend: float = 0.85
    fps: float = 30.0


@dataclass
class FiguresConfig:
    """Which figures are drawn, and how.

    Attributes:
        triptychs: units, such as ``[conv2/2, conv2/7]``; the first four of every layer by default.
        contact_units: units shown on a layer's contact sheet, at most.
        contact_ranks: patches shown per unit and sign, at most.
        formats: file formats.
    """

    triptychs: list[str] = field(default_factory=list[str])
    contact_units: int = 8
    contact_ranks: int = 8
    formats: list[str] = field(default_factory=lambda: ["png", "pdf"])


@dataclass
class AnimateConfig:
    """Which ascents are shown step by step, and how.

    Attributes:
        units: such as ``[conv2/2, conv2/7]``; the first four of every layer by default.
        optimizers: by name, to be shown side by side; the run's own by default.
        every: a frame every so many steps, and the last; by default, so that there are at most 101.
        show: the ``image``, or what was ``added`` to its start.
        scale: of values for display: to the largest of the ``last`` frame, to that of each
            ``frame``, or as ``pixels``: in own colors, cut off at black and white.
        fps: frames per second.
        formats: ``gif``, ``mp4``.
    """

    units: list[str] = field(default_factory=list[str])
    optimizers: dict[str, Any] = field(default_factory=dict[str, Any])
    every: int | None = None
    show: str = "image"
    scale: str = "last"
    fps: float = 20.0
    formats: list[str] = field(default_factory=lambda: ["gif", "mp4"])


@dataclass
class PagesConfig:
    """What the pages show.

    Attributes:
        ranks: patches shown per unit and sign, at most; their source images go with the pages.
    """

    ranks: int = 8


@dataclass
class TrainingConfig:
    """How the embedded network is trained.

    Attributes:
        steps: batches drawn.
        batch: images in a batch.
        out: folder for the weights and their record; the run folder by default.
    """

    steps: int = 2500
    batch: int = 64
    out: str | None = None


@dataclass
class CollectConfig:
    """Which runs are collected.

    Attributes:
        runs: run folders, folders that hold runs at any depth, or patterns of these; all runs of
            this run's name by default: ``<out>/runs/<name>``.
    """

    runs: list[str] = field(default_factory=list[str])


@dataclass
class Config:
    """The whole configuration; see ``conf/config.yaml`` for what each key does."""

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
    ascent: AscentConfig = field(default_factory=AscentConfig)
    dream: DreamConfig = field(default_factory=DreamConfig)
    figures: FiguresConfig = field(default_factory=FiguresConfig)
    animate: AnimateConfig = field(default_factory=AnimateConfig)
    pages: PagesConfig = field(default_factory=PagesConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    collect: CollectConfig = field(default_factory=CollectConfig)


def register() -> None:
    """Make the schema known to Hydra."""
    ConfigStore.instance().store(name="schema", node=Config)
