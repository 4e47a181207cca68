"""Make docs/vocabulary.md: what each choice of feature visualization does, on the same few units.

    python docs/vocabulary.py [GROUP ...]    # or: make vocabulary

There is one small run of the embedded network behind every picture, in this process. Results are
kept in outputs/vocabulary, so that only what has changed is computed again. With names of groups,
only their pictures are drawn.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float
from PIL import Image

if TYPE_CHECKING:
    from pipeline.run.active_run import ActiveRun

DOCS = Path(__file__).parent
FOLDER = "vocabulary"
OUT = DOCS.parent / "outputs" / FOLDER
EXPERIMENT = "experiment=vocabulary"
GAP = 4  # pixels between images
COLORS = 128  # of a picture's palette: more are hardly told apart, and take more room
EARLIER = "{earlier}"  # in overrides: the folder of an earlier result

Shown = Literal["images", "starts", "seen"]


@dataclass(frozen=True)
class Strip:
    """One picture, a row of images.

    Attributes:
        label: what is said above it.
        runs: overrides of the runs whose images are lined up.
        shown: the images as they were climbed, their starts, or what the network sees of them
            through the transforms at one step.
    """

    label: str
    runs: tuple[str, ...]
    shown: Shown = "images"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        group: configuration group.
        option: name of the option, after a dash with what is special about the row.
        text: what it does, in one line.
        runs: overrides of the runs whose images are its picture.
        above: names of the pictures it is compared with, which stand above it.
        label: what is said above its picture.
        shows: what else is shown of its runs: above it their starts, below what the network sees.
    """

    group: str
    option: str
    text: str
    runs: tuple[str, ...]
    above: tuple[str, ...] = ()
    label: str = "with"
    shows: Shown = "images"

    @property
    def name(self) -> str:
        """The name of its picture."""
        return f"{self.group}-{self.option}"

    @property
    def strips(self) -> dict[str, Strip]:
        """Its pictures by name, from above, without those that it shares with others."""
        single = not self.above and self.shows == "images"
        own = {self.name: Strip("" if single else self.label, self.runs)}
        if self.shows == "starts":
            return {f"{self.name}-start": Strip("start", self.runs, "starts"), **own}
        if self.shows == "seen":
            return {**own, f"{self.name}-seen": Strip("seen at one step", self.runs, "seen")}
        return own


NOISY = "init=[noise] objective=[channel_sum]"
FIELD = "objective=[unit_response] optimizer.lr=0.5"
SPECTRUM = "parameterization=[fourier,decorrelated,sigmoid] init=[parameters]"
DREAM = "layers=[conv2,conv3,conv4,conv5] units=all init=[image]"
COPIES = f"units=[21] init.copies=4 {SPECTRUM}"
LAYERS = f"layers=[conv1,conv2,conv3,conv4] units=all {SPECTRUM}"
CLASSES = "layers=[output] units=[5,22,51,18]"
RAW = "optimizer.normalize=null"
FAR = "optimizer.lr=4"
SILENT = f"layers=[features.11] units=[0,4,6,7] {FIELD}"
PHOTOGRAPH = "init=[image]"


def vectors(objective: str) -> tuple[str, ...]:
    """Return runs for two units, for their sum and for their difference."""
    chosen = ("{6:1}", "{21:1}", "{6:1,21:1}", "{6:1,21:-1}")
    return tuple(
        f"objective=[{objective}] objective.{objective}.vector={vector} units=all {SPECTRUM}"
        for vector in chosen
    )


# Pictures with which several rows are compared, by name.
COMPARED = {
    "plain": Strip("without", ("",)),
    "plain-noise": Strip("without", (NOISY,)),
    "plain-copies": Strip("without", (COPIES,)),
    "plain-photograph": Strip("without", (f"{PHOTOGRAPH} objective=[channel_sum]",)),
    "plain-silent": Strip("without", (SILENT,)),
    "photograph": Strip("start", (f"{DREAM} objective=[layer_mean]",), "starts"),
}

# In the order of the table. A text is one sentence fragment; %-signs and pipes would break it.
ROWS = (
    Row(
        "objective",
        "unit_response",
        "one unit at one place; the image is its receptive field",
        (FIELD,),
    ),
    Row("objective", "channel_mean", "the mean of a unit's map: its texture", ("",)),
    Row(
        "objective",
        "channel_sum",
        "the sum of a unit's map: the same direction, longer gradients (here not normalized)",
        (f"objective=[channel_sum] {RAW} optimizer.lr=0.1",),
    ),
    Row(
        "objective",
        "constant_minus_channel",
        "C minus the map, minimized: the same images as channel_sum",
        (f"objective=[constant_minus_channel] {RAW} optimizer.lr=0.1",),
    ),
    Row(
        "objective",
        "layer_mean",
        "the mean of a whole layer; conv2, conv3, conv4, conv5",
        (f"{DREAM} objective=[layer_mean]",),
        ("photograph",),
    ),
    Row(
        "objective",
        "layer_sum",
        "the sum of a whole layer: the same direction",
        (f"{DREAM} objective=[layer_sum]",),
        ("photograph",),
    ),
    Row(
        "objective",
        "layer_mean_square",
        "the mean of squares: what is there grows, DeepDream's way",
        (f"{DREAM} objective=[layer_mean_square]",),
        ("photograph",),
    ),
    Row(
        "objective",
        "layer_sum_square",
        "the sum of squares, the original DeepDream: the same direction",
        (f"{DREAM} objective=[layer_sum_square]",),
        ("photograph",),
    ),
    Row(
        "objective",
        "layer_half_sum_square",
        "half the sum of squares: responses are their own gradient; the same direction",
        (f"{DREAM} objective=[layer_half_sum_square]",),
        ("photograph",),
    ),
    Row(
        "objective",
        "class_logit",
        "the output for a class: red grating, blue bar, green arc, yellow grating",
        (f"{CLASSES} objective=[class_logit]",),
    ),
    Row(
        "objective",
        "class_probability",
        "after the softmax: also what speaks against other classes",
        (f"{CLASSES} objective=[class_probability]",),
    ),
    Row(
        "objective",
        "direction",
        "a weighted sum of units: 6, 21, 6 + 21, 6 - 21",
        vectors("direction"),
    ),
    Row(
        "objective",
        "cosine_direction",
        "the angle to such a sum: other units are to be silent",
        vectors("cosine_direction"),
        ("objective-direction",),
    ),
    Row(
        "objective",
        "diversity",
        "four images of one unit that are to differ; beside another objective",
        (f"{COPIES} objective=[channel_mean,diversity]",),
        ("plain-copies",),
    ),
    Row(
        "objective",
        "alignment",
        "four images of one unit, each kept similar to the next",
        (f"{COPIES} objective=[channel_mean,alignment]",),
        ("plain-copies",),
    ),
    Row(
        "objective",
        "inversion",
        "what conv1, conv2, conv3, conv4 still know of a photograph",
        (f"{LAYERS} objective=[inversion] optimizer.lr=[3,0.05] optimizer.steps=150",),
        ("photograph",),
    ),
    Row(
        "objective",
        "caricature",
        "the same, exaggerated",
        (f"{LAYERS} objective=[caricature]",),
        ("photograph",),
    ),
    Row(
        "objective",
        "accentuation",
        "the unit in a photograph, whose other responses stay; beside another objective",
        (f"{PHOTOGRAPH} objective=[channel_mean,accentuation] objective.accentuation.weight=1.5",),
        ("plain-photograph",),
    ),
    *(
        Row("init", option, text, (runs,), shows="starts")
        for option, text, runs in (
            ("zeros", "the mean color", FIELD),
            (
                "constant",
                "one color",
                f"{FIELD} init=[constant] init.constant.value=[0.8,0.5,0.3]",
            ),
            ("noise", "normal noise", f"{FIELD} init=[noise]"),
            (
                "uniform",
                "uniform noise of pixels",
                f"{FIELD} init=[uniform] init.uniform.low=0.2 init.uniform.high=0.8",
            ),
            (
                "parameters",
                "random parameters of the parameterization",
                f"objective=[unit_response] {SPECTRUM} init.parameters.std=0.3",
            ),
            (
                "top_patch",
                "the patch of the image set that drives the unit most",
                f"{FIELD} init=[top_patch]",
            ),
            ("mean_patch", "the mean of the ten best patches", f"{FIELD} init=[mean_patch]"),
            ("image", "a picture, the same for every unit", f"{FIELD} {PHOTOGRAPH}"),
            (
                "result",
                "images of an earlier result: here those from zeros, climbed further",
                f"{FIELD} init=[result] init.result.path={EARLIER}",
            ),
        )
    ),
    Row("parameterization", "pixel", "network input itself", ("",)),
    Row(
        "parameterization",
        "low_resolution",
        "a smaller image, enlarged for the network",
        ("parameterization=[low_resolution] optimizer.lr=0.5",),
        ("parameterization-pixel",),
    ),
    Row(
        "parameterization",
        "fourier",
        "Fourier coefficients: low frequencies grow as fast as high ones",
        ("parameterization=[fourier] optimizer.lr=0.3",),
        ("parameterization-pixel",),
    ),
    Row(
        "parameterization",
        "maco",
        "phases alone, at the magnitudes of photographs; with decorrelated and sigmoid",
        (
            "parameterization=[maco,decorrelated,sigmoid] init=[parameters]"
            " optimizer.lr=8 optimizer.steps=100",
        ),
        ("parameterization-pixel",),
    ),
    Row(
        "parameterization",
        "cppn",
        "weights of a network that draws the image; with sigmoid",
        (
            "parameterization=[cppn,sigmoid] init=[parameters] optimizer=adam"
            f" {RAW} optimizer.lr=0.003 optimizer.steps=100",
        ),
        ("parameterization-pixel",),
    ),
    Row(
        "parameterization",
        "decorrelated",
        "colors of photographs: brightness moves more easily than hue",
        ("parameterization=[decorrelated]",),
        ("parameterization-pixel",),
    ),
    *(
        Row(
            "parameterization",
            option,
            text,
            (f"{FAR} parameterization=[{option}]",),
            above,
        )
        for option, text, above in (
            ("unbounded", "pixels beyond black and white, clipped for display", ()),
            ("clamp", "pixels cut off at black and white", ("parameterization-unbounded",)),
            (
                "sigmoid",
                "pixels by a sigmoid, never quite black or white",
                ("parameterization-unbounded",),
            ),
            ("tanh", "pixels by a tanh, which is steeper", ("parameterization-unbounded",)),
        )
    ),
    Row(
        "parameterization",
        "fourier,decorrelated,sigmoid",
        "all together: the usual way",
        (SPECTRUM,),
        ("parameterization-pixel",),
    ),
    Row("optimizer", "sgd", "image += lr * gradient", (f"{RAW} optimizer.lr=5",)),
    Row(
        "optimizer",
        "momentum",
        "gradients add up over the steps; the same lr",
        (f"optimizer=momentum {RAW} optimizer.lr=5",),
        ("optimizer-sgd",),
    ),
    Row(
        "optimizer",
        "adam",
        "every pixel moves by about lr, also where gradients are small",
        (f"optimizer=adam {RAW} optimizer.lr=0.02",),
        ("optimizer-sgd",),
    ),
    Row(
        "optimizer",
        "named",
        "any other of torch.optim, here RMSprop",
        (f"optimizer=named optimizer.name=RMSprop {RAW} optimizer.lr=0.005",),
        ("optimizer-sgd",),
    ),
    *(
        Row(
            "optimizer",
            f"normalize={kind}",
            text,
            (f"optimizer.normalize={kind} optimizer.lr=0.3",),
        )
        for kind, text in (
            ("norm", "a step is lr long; here and in the following, lr is 0.3"),
            ("max", "the largest change of a pixel is lr"),
            ("mean", "the mean change of a pixel is lr"),
            ("std", "the standard deviation of a step is lr"),
            ("standardize", "likewise, after its mean is subtracted"),
        )
    ),
    Row(
        "optimizer",
        "lr=[start,end]",
        "a learning rate that falls or rises, here from 3 to 0.1",
        ("optimizer.lr=[3,0.1]",),
        ("plain",),
    ),
    *(
        Row(
            "regularizer",
            option,
            text,
            (f"{NOISY} regularizer=[{option}] regularizer.{option}.weight={weight}",),
            ("plain-noise",),
        )
        for option, text, weight in (
            ("total_variation", "penalizes differences between neighboring pixels", 0.05),
            ("l1", "pixels are to be the mean color, most of them exactly", 0.15),
            ("l2", "the image is to be short: colors are paler", 10.0),
            ("l_infinity", "the most extreme pixel is to be less so", 30.0),
            ("blur", "what a small blur takes away is penalized", 0.5),
            ("high_frequency", "energy above a spatial frequency is penalized", 0.3),
        )
    ),
    Row(
        "regularizer",
        "distance_to_start",
        "the image is to stay near its start",
        (
            f"{PHOTOGRAPH} objective=[channel_sum] regularizer=[distance_to_start]"
            " regularizer.distance_to_start.weight=8",
        ),
        ("plain-photograph",),
    ),
    Row(
        "smoothing",
        "blur",
        "the image is blurred after every step",
        (f"{NOISY} smoothing=[blur] smoothing.blur.sigma=0.45",),
        ("plain-noise",),
    ),
    Row(
        "smoothing",
        "cascade",
        "gradients are blurred, by three Gaussians",
        ("smoothing=[cascade]",),
        ("plain",),
    ),
    Row("constraint", "none", "values are not bounded; clipped for display", (FAR,)),
    *(
        Row("constraint", option, text, (f"{FAR} constraint={settings}",), ("constraint-none",))
        for option, text, settings in (
            ("range", "pixels between black and white: what the display clips above", "range"),
            (
                "clip",
                "values between bounds, here -0.8 and 0.8",
                "clip constraint.lowest=-0.8 constraint.highest=0.8",
            ),
            (
                "norm",
                "one L2 norm, here 40; default: that of the best natural patch",
                "norm constraint.value=40",
            ),
            ("contrast", "one RMS contrast, here 0.2", "contrast constraint.value=0.2"),
            ("mean", "one mean, here 1: a lighter image", "mean constraint.value=1"),
            ("ball", "within a distance, here 30 in the L2 norm", "ball constraint.radius=30"),
            (
                "ball, p=1",
                "within a distance in the L1 norm: few pixels remain",
                "ball constraint.p=1 constraint.radius=1000",
            ),
        )
    ),
    Row(
        "constraint",
        "ball, center=start",
        "within a distance of the start",
        (f"{PHOTOGRAPH} constraint=ball constraint.center=start constraint.radius=25",),
        ("plain-photograph",),
    ),
    *(
        Row("transform", option, text, (f"transform={settings}",), ("plain",), shows="seen")
        for option, text, settings in (
            ("pad", "a border of zeros", "[pad]"),
            ("jitter", "a random part, a little smaller: edges count less", "[jitter]"),
            ("roll", "shifted around the edges: the texture is the same everywhere", "[roll]"),
            ("crop", "a random square; here 48 of 72 pixels", "[crop] transform.crop.size=48"),
            ("flip", "mirrored or not", "[flip]"),
            (
                "scale",
                "magnified by random factors, here 0.6 to 1.6",
                "[scale] transform.scale.lowest=0.6 transform.scale.highest=1.6",
            ),
            (
                "rotate",
                "rotated by random angles, here up to 45 degrees",
                "[rotate] transform.rotate.degrees=45",
            ),
            ("noise", "noise is added", "[noise] transform.noise.std=1"),
            (
                "resize",
                "resampled, here to 1.5 times the size: patterns are finer",
                "[resize] transform.resize.size=108",
            ),
            (
                "boxes",
                "square parts, ever smaller, made as large as the image; here one in a step",
                "[boxes] transform.boxes.pixels=72 transform.boxes.count=1",
            ),
            (
                "pixels",
                "what follows is applied before the normalization: a border of zeros is black",
                "[pixels,pad]",
            ),
            ("standard", "pad, jitter, scale, rotate, jitter: the usual stack", "standard"),
        )
    ),
    Row("gradient", "plain", "the gradient as it is", ("layers=[conv5]",)),
    Row(
        "gradient",
        "guided",
        "only what raises active numbers passes ReLU",
        ("layers=[conv5] gradient=guided",),
        ("gradient-plain",),
    ),
    Row(
        "gradient",
        "smooth_pooling",
        "max pooling shares the gradient out over its window",
        ("layers=[conv5] gradient=smooth_pooling",),
        ("gradient-plain",),
    ),
    Row(
        "gradient",
        "redirected_relu",
        "for 16 steps ReLU passes gradients to inactive inputs: the middle two units become active",
        (f"{SILENT} gradient=redirected_relu",),
        ("plain-silent",),
    ),
)


def all_strips() -> dict[str, Strip]:
    """Return every picture by name, each once."""
    return {name: strip for each in ROWS for name, strip in each.strips.items()} | COMPARED


# From runs to pictures.


@cache
def finished(overrides: str) -> ActiveRun:
    """Return the finished session of one small run."""
    from hydra import compose, initialize_config_dir

    from pipeline.cli.run import run_anew
    from pipeline.config.build import typed
    from pipeline.config.search_path import conf_dir

    if EARLIER in overrides:
        session = finished(FIELD)
        place = session.results["ascent"]["conv3/zeros"]
        overrides = overrides.replace(EARLIER, str(OUT / place["folder"]))
    fixed = [EXPERIMENT, f"out={OUT}", "runner.accelerator=cpu"]
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        config = typed(compose(config_name="config", overrides=[*fixed, *overrides.split()]))
    return run_anew(config)


def images_of(strip: Strip) -> list[Float[np.ndarray, "height width 3"]]:
    """Return the images of a picture in their own colors: pixels, clipped to 0..1."""
    from pipeline.figures.scaling import to_pixels
    from pipeline.store.runs import open_run

    shown: list[np.ndarray] = []
    for overrides in strip.runs:
        session = finished(overrides)
        preprocessing = session.parts.network.preprocessing
        run = open_run(session.paths.folder)
        for name in run.record["results"]["ascent"]:
            found = run.images(*name.split("/"))
            raw = found.start if strip.shown == "starts" else found.image
            if strip.shown == "seen":
                raw = seen(session, raw)
            shown += [to_pixels(image, preprocessing.mean, preprocessing.std) for image in raw]
    return shown


def seen(
    session: ActiveRun, images: Float[np.ndarray, "batch 3 height width"]
) -> Float[np.ndarray, "batch 3 rows columns"]:
    """Return what the network sees of images at one step."""
    import torch

    from pipeline.synthesis.treatment import Treatment

    treatment = Treatment(
        transforms=list(session.parts.transforms.values()),
        seeds=range(len(images)),
        fits=False,
        preprocessing=session.parts.network.preprocessing,
    )
    return treatment.shown(torch.from_numpy(images), treatment.generators()).images.numpy()


def draw(strip: Strip, path: Path) -> None:
    """Write a picture: images side by side, one pixel for each of theirs."""
    images = images_of(strip)
    height = max(image.shape[0] for image in images)
    gap = np.ones((height, GAP, 3))
    parts: list[np.ndarray] = []
    for image in images:
        below = np.ones((height - len(image), image.shape[1], 3))
        parts += [np.concatenate([image, below]), gap]
    pixels = np.rint(np.concatenate(parts[:-1], 1) * 255).astype(np.uint8)
    palette = Image.fromarray(pixels).quantize(COLORS, dither=Image.Dither.NONE)
    path.parent.mkdir(exist_ok=True)
    palette.save(path, optimize=True)


# From rows to the page.

HEAD = """# The vocabulary: what each choice does

One small picture for every component, made by `make vocabulary` on the embedded network: units 6,
12, 21 and 42 of its third layer where nothing else is said, on images of 72 x 72 pixels. All runs
share `experiment=vocabulary`: the mean of a unit's map, 60 steps of equal length from zeros. The
command beside each picture says what is added to that, and makes it again.

**All images are in their own colors, on one scale**: network input is turned back into pixels, and
what would be darker than black or lighter than white is clipped. Nothing is stretched: an image
that is pale has moved little. Pictures have palettes of 128 colors.
"""
COLUMNS = "| group | option | what it does | picture | command |\n|---|---|---|---|---|"


def page() -> str:
    """Return the Markdown of the whole table, group by group."""
    groups = dict.fromkeys(each.group for each in ROWS)
    parts = [HEAD, "Groups: " + ", ".join(f"[{group}](#{group})" for group in groups) + "."]
    for group in groups:
        rows = "\n".join(line(each) for each in ROWS if each.group == group)
        parts.append(f"## {group}\n\n{COLUMNS}\n{rows}")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def line(each: Row) -> str:
    """Return a row of the table."""
    command = f"artiphys {EXPERIMENT} {each.runs[0].replace(EARLIER, 'FOLDER')}".strip()
    cells = [each.group, f"`{each.option}`", each.text, pictures(each), f"`{command}`"]
    return f"| {' | '.join(cells)} |"


def pictures(each: Row) -> str:
    """Return the pictures of a row, one below the other, with what is said above each."""
    options = {other.name: other.option for other in ROWS}
    named = {name: all_strips()[name] for name in each.above} | each.strips
    labels = [strip.label or (options[name] if each.above else "") for name, strip in named.items()]
    return "<br>".join(
        f"{label}{'<br>' if label else ''}{image(name)}"
        for label, name in zip(labels, named, strict=True)
    )


def image(name: str) -> str:
    """Return the reference to a picture, in its own size."""
    path = DOCS / FOLDER / file_name(name)
    with Image.open(path) as picture:
        return f'<img src="{FOLDER}/{path.name}" width="{picture.width}" alt="{name}">'


def file_name(name: str) -> str:
    """Return the file of a picture: its name without signs that trouble links."""
    plain = name.replace(", ", "-").replace(",", "-").replace("=", "_")
    return "".join(sign for sign in plain if sign.isalnum() or sign in "-_") + ".png"


def main(groups: Sequence[str]) -> None:
    """Draw all pictures, or those of some groups, and write the page."""
    from pipeline.cli import share_cores

    share_cores()
    from pipeline.cli.run import log_to_console
    from pipeline.config.schema import register

    register()
    log_to_console()
    logging.getLogger("pipeline").setLevel(logging.WARNING)
    strips = {n: s for e in ROWS if not groups or e.group in groups for n, s in e.strips.items()}
    for name, strip in (strips | COMPARED).items():
        draw(strip, DOCS / FOLDER / file_name(name))
        logging.getLogger("pipeline").warning("%s", name)
    (DOCS / "vocabulary.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
