"""The typed part of the configuration: every key that is read as data.

Groups that are built to objects (model, images, init ...) stay YAML; the signature of their target
is their schema, and ``build.py`` checks it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from pipeline.config.evolution import EvolutionConfig
from pipeline.config.screen import (
    BestGaborConfig,
    OpponencyConfig,
    ReceptiveFieldsConfig,
    ScreenConfig,
    ShapeTuningConfig,
    StimuliConfig,
    TuningConfig,
)
from pipeline.config.settings import (
    AnimateConfig,
    AscentConfig,
    CollectConfig,
    DreamConfig,
    FiguresConfig,
    PagesConfig,
    ResponsesConfig,
    SearchConfig,
)
from pipeline.config.similarity import SimilarityConfig
from pipeline.config.training import TrainingConfig
from pipeline.config.transfer import TransferConfig
from pipeline.config.unit_similarity import UnitSimilarityConfig

CHECK = "check"  # reports what the other stages would do and cost, and their faults
DEFAULT_STAGES = ("top_patches", "ascent", "correlations", "figures", "pages")
PRECISIONS = ("float32", "tf32", "bfloat16")


@dataclass
class Config:
    """The whole configuration: groups, then single keys and the settings of stages.

    Attributes:
        model: the network.
        images: the image set that is searched for patches, and that provides image statistics.
        objective: what ascents maximize: a list whose scores are added up, each times its
            ``objective.NAME.weight`` (negative to minimize, null to balance gradients).
            ``unit_response``, ``channel_mean``, ``channel_sum`` and ``constant_minus_channel``
            belong to a unit. ``layer_mean``, ``layer_sum``, ``layer_mean_square``,
            ``layer_sum_square``, ``layer_half_sum_square``, ``direction``, ``cosine_direction``,
            ``inversion`` and ``caricature`` belong to a whole layer. ``class_logit`` and
            ``class_probability`` belong to the output (with ``layers=[output]``, or a
            ``category``). ``diversity``, ``alignment`` and ``accentuation`` are added to another
            objective.
        init: the starting images of ascents, a list. ``init.copies`` (1 by default) is the number
            of images per unit and init, each with its own random numbers; each copy is also
            correlated with the next.
        parameterization: what the optimizer changes, a list with at most one of each kind: the
            space (``pixel``, ``fourier``, ``maco`` or ``cppn``), the resolution
            (``low_resolution``), the colors (``decorrelated``) and the range (``unbounded``,
            ``clamp``, ``sigmoid`` or ``tanh``).
        constraint: what every image must satisfy after every step. A value of ``natural`` stands
            for that of the unit's top patch.
        optimizer: how the gradient is followed. ``optimizer.lr=[start,end]`` changes over the
            steps; ``optimizer.normalize`` normalizes the gradient of each image.
        regularizer: penalties that are subtracted from the score, a list.
        smoothing: blurs of the image between steps, or of the gradient, a list.
        transform: random transforms of the image before the network, drawn again at every step: a
            list, applied in order.
        gradient: how the gradient passes ReLU and max pooling.
        readout: units that are computed from the channels of a layer, by files of weights: a list.
            Those of a layer are named behind a colon, as in ``layers=[conv4:dictionary]``.
        stimulus: sets of stimuli by formula, and of pictures, a list; each is drawn on the
            receptive field of every layer.
        searcher: how evolution chooses the next pictures from the responses to those before, a
            list; each is run with each generator and each scorer.
        generator: the spaces of pictures in which evolution searches, a list. If it is empty, it is
            ``decoder`` for the embedded network and ``grid`` for every other.
        scorer: who responds to the pictures of evolution, a list: the ``network`` without noise, or
            with one of several kinds of noise.
        runner: the devices, processes and threads that do the work. The number of processes and
            threads does not change the results, to the last bit.
        tracking: the service that tracks runs.
        layers: ``all`` (every convolution; of a transformer, also the output of every block), or a
            list of names: PyTorch's dotted names, ``convN`` in the order of calls (the downsample
            convolutions of a ResNet count), or ``output``, the last layer. If a module is called
            several times, its calls are ``NAME@0``, ``NAME@1`` and so on. ``NAME:READOUT`` are
            other units of a layer: ``tokens``, ``class_token``, ``heads``, ``head_outputs``,
            ``channel_mean``, ``channel_max``, or those of ``readout``; see ``docs/units.md``.
        units: ``all``, a list such as ``[2,7]``, or a range such as ``0:64``.
        stages: the stages of the run, a list. They run in a fixed order; ``check`` first reports
            what the others would do and cost, and all faults; if there are any, they do not run.
            ``stages=[check]`` checks the stages that would run without it, such as those of an
            experiment, and writes nothing.
        out: folder of all results: ``<out>/store`` and ``<out>/runs/<name>``.
        name: name of the run.
        seed: seed of all random numbers.
        precision: precision of ascents: ``float32``, ``bfloat16``, or ``tf32`` (on CUDA). The last
            two are faster, but deep units end at other images; see ``docs/outputs.md``.
        screen: how large images are seen, and in which colors stimuli are shown.
        search: settings of the stage ``top_patches``.
        responses: settings of the stage ``responses``.
        receptive_fields: settings of the stage ``receptive_fields``.
        shape_tuning: settings of the stage ``shape_tuning``.
        tuning: settings of the stage ``tuning``.
        opponency: settings of the stage ``opponency``.
        best_gabor: settings of the stage ``best_gabor``.
        evolution: settings of the stage ``evolution``.
        ascent: settings of the stage ``ascent``.
        transfer: settings of the stage ``transfer``.
        similarity: settings of the stage ``similarity``.
        unit_similarity: settings of the stage ``unit_similarity``.
        dream: settings of the stage ``dream``.
        stimuli: settings of the stage ``stimuli``.
        figures: settings of the stage ``figures``.
        animate: settings of the stage ``animate``.
        pages: settings of the stage ``pages``.
        training: settings of the stage ``train``.
        collect: settings of the stage ``collect``.
        own: settings of your own stages, by stage name.
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
    readout: dict[str, Any] = field(default_factory=dict[str, Any])
    stimulus: dict[str, Any] = field(default_factory=dict[str, Any])
    searcher: dict[str, Any] = field(default_factory=dict[str, Any])
    generator: dict[str, Any] = field(default_factory=dict[str, Any])
    scorer: dict[str, Any] = field(default_factory=dict[str, Any])
    runner: dict[str, Any] = field(default_factory=dict[str, Any])
    tracking: dict[str, Any] = field(default_factory=dict[str, Any])
    layers: Any = "all"
    units: Any = "all"
    stages: list[str] = field(default_factory=lambda: list(DEFAULT_STAGES))
    out: str = "outputs"
    name: str = "main"
    seed: int = 0
    precision: str = "float32"
    screen: ScreenConfig = field(default_factory=ScreenConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    responses: ResponsesConfig = field(default_factory=ResponsesConfig)
    receptive_fields: ReceptiveFieldsConfig = field(default_factory=ReceptiveFieldsConfig)
    shape_tuning: ShapeTuningConfig = field(default_factory=ShapeTuningConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)
    opponency: OpponencyConfig = field(default_factory=OpponencyConfig)
    best_gabor: BestGaborConfig = field(default_factory=BestGaborConfig)
    evolution: EvolutionConfig = field(default_factory=EvolutionConfig)
    ascent: AscentConfig = field(default_factory=AscentConfig)
    transfer: TransferConfig = field(default_factory=TransferConfig)
    similarity: SimilarityConfig = field(default_factory=SimilarityConfig)
    unit_similarity: UnitSimilarityConfig = field(default_factory=UnitSimilarityConfig)
    dream: DreamConfig = field(default_factory=DreamConfig)
    stimuli: StimuliConfig = field(default_factory=StimuliConfig)
    figures: FiguresConfig = field(default_factory=FiguresConfig)
    animate: AnimateConfig = field(default_factory=AnimateConfig)
    pages: PagesConfig = field(default_factory=PagesConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    collect: CollectConfig = field(default_factory=CollectConfig)
    own: dict[str, Any] = field(default_factory=dict[str, Any])


def register() -> None:
    """Register the schema with Hydra."""
    node = OmegaConf.structured(Config)
    # The settings of the user's own stages are unknown here.
    OmegaConf.set_struct(node.own, False)
    ConfigStore.instance().store(name="schema", node=node)
