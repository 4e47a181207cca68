"""Hydra's flags, checked before Hydra reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.config.refusals import own_folders
from pipeline.errors import ConfigError, nearest

WITH_VALUE = (
    "--cfg", "-c", "--info", "-i", "--package", "-p", "--config-path", "-cp", "--config-name",
    "-cn", "--config-dir", "-cd", "--experimental-rerun",
)  # fmt: skip
ALONE = (
    "--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m",
    "--shell-completion", "-sc",
)  # fmt: skip
CHOICES = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
LONG = {"-c": "--cfg", "-i": "--info"}


def check_flags(arguments: Sequence[str]) -> None:
    """Check flags, their values and the folders that they name.

    Raises:
        ConfigError: there is no such flag, or its value is not allowed.
    """
    given = iter(arguments)
    flags: set[str] = set()
    for argument in given:
        if not argument.startswith("-"):
            continue
        flag, equals, value = argument.partition("=")
        flags.add(flag)
        if flag in WITH_VALUE:
            _check_value(LONG.get(flag, flag), value if equals else next(given, ""))
        elif flag not in ALONE:
            known = [each for each in (*ALONE, *WITH_VALUE) if each.startswith("--")]
            raise ConfigError(f"'{flag}' is not a flag; see artiphys --help{nearest(flag, known)}")
    if "--resolve" in flags and not flags & {"--cfg", "-c", "--help", "-h"}:
        raise ConfigError("--resolve: it goes with --cfg; give --cfg job --resolve")
    for folder in own_folders(arguments):
        if not Path(folder).is_dir():
            raise ConfigError(f"--config-dir: there is no folder '{folder}'; give the path of one")


def _check_value(flag: str, value: str) -> None:
    choices = CHOICES.get(flag, ())
    if not value or (choices and value not in choices):
        what = f"'{value}' is not one of" if value else "it needs a value"
        allowed = f" {', '.join(choices)}" if choices else ""
        raise ConfigError(f"{flag}: {what}{allowed}{nearest(value, choices)}")
