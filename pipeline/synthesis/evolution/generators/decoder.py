"""The embedded deep generator, which needs no download."""

from __future__ import annotations

from dataclasses import replace

from pipeline.synthesis.evolution.generators.fitting import check_fit
from pipeline.synthesis.evolution.generators.generator import BuiltGenerator, Generator
from pipeline.synthesis.evolution.generators.module import module
from pipeline.synthesis.evolution.generators.networks import check_colors, weights_named
from pipeline.synthesis.parameterizations import Setting

KEY = "generator.decoder"
# By name, as this room knows no embedded networks.
TARGET = "pipeline.miniature.decoder.trained_decoder"
CODE_SHAPE = (48, 3, 3)


def decoder(weights: str = "default", fit: str = "crop") -> Generator:
    """Generate pictures by the embedded decoder, trained on the project's own drawings.

    It inverts features of the embedded network, in the manner of DeePSiM (Dosovitskiy & Brox 2016).
    Pictures are 96 x 96 pixels and of low contrast. A gene is a standardized feature, and no less
    than that of a feature of 0.

    Args:
        weights: ``default`` (shipped with the package), or the path of a file that
            ``stages=[train] training.network=decoder`` has written.
        fit: ``crop`` shows the middle of pictures, ``resize`` the whole (``fitting``).

    Raises:
        NetworkError: the weights cannot be read or do not fit.
    """
    check_fit(KEY, fit)
    arguments = {"weights": weights}
    with weights_named(KEY):
        made = module(
            TARGET,
            CODE_SHAPE,
            arguments,
            low="code_low",
            high="code_high",
            encode="encode",
            fit=fit,
        )

    def build(setting: Setting) -> BuiltGenerator:
        check_colors(KEY, setting)
        return made.build(setting)

    return replace(made, build=build)
