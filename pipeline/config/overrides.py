"""Overrides as people type them: paths and names reach Hydra unchanged, as text.

Hydra's grammar takes ``2024`` for a number and rejects accents, ``=``, ``~`` and brackets outside
quotes. Values that are certainly meant as text are quoted here; others are rejected with advice on
what to type.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from pipeline.config.schema import Config
from pipeline.config.search_path import conf_dir
from pipeline.errors import ConfigError

_OVERRIDE = re.compile(r"([+~]{0,2}[\w.@/:-]+)=(.*)", re.DOTALL)
_MULTIRUN = re.compile(r"-[a-z]*m[a-z]*|--multirun|hydra\.mode=.*")
_ARGUMENT = re.compile(r"\w[\w.]*\.arguments\.\w")  # as in model.arguments.width=8
_FLAGS_WITH_VALUE = {
    "--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p",
    "--cfg", "-c", "--info", "-i", "--experimental-rerun",
}  # fmt: skip
_OPENING = ("[", "{", "'", '"')
_NUMBERS = {"int", "float", "bool", "Any", "object"}


def readable(arguments: Sequence[str], several: bool | None = None) -> list[str]:
    """Return command line arguments, with quotes added to text that Hydra would misread.

    Args:
        arguments: overrides and flags.
        several: whether lists of values are swept; by default, whether there is a flag for it.

    Raises:
        ConfigError: Hydra cannot read an override; the message says what to type.
    """
    if several is None:
        several = any(_MULTIRUN.fullmatch(argument) for argument in arguments)
    before = ["", *arguments]
    return [
        argument if flag in _FLAGS_WITH_VALUE else _opened(_readable(argument, several))
        for flag, argument in zip(before, arguments, strict=False)
    ]


def _opened(argument: str) -> str:
    """Return an override that may name any argument of a user's own class or function.

    Hydra only takes keys that the YAML file has, unless a plus says that the key may be new.
    """
    return f"++{argument}" if _ARGUMENT.match(argument) else argument


def quoted(text: str) -> str:
    """Return a text in quotes, so that Hydra's grammar reads it literally."""
    mark = "'" if '"' in text else '"'
    # A backslash is literal unless a quote follows it.
    escaped = re.sub(rf"(\\*)({mark}|$)", lambda m: m[1] * 2 + (m[2] and "\\" + m[2]), text)
    # Backslashes before what would be an interpolation are doubled, too.
    escaped = re.sub(r"(\\*)\$\{", lambda m: m[1] * 2 + "\\${", escaped)
    return mark + escaped + mark


def _readable(argument: str, several: bool) -> str:
    if not argument.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in argument):
        raise ConfigError(
            f"{argument!r} is not UTF-8; rename the file, or give a link to it with another name"
        )
    found = _OVERRIDE.fullmatch(argument)
    if found is None or argument.startswith(("hydra.", "hydra/", "-")):
        return argument
    key, text = found[1], found[2]
    if text.startswith("~") and not set("\"'[]{},") & set(text):
        text = str(Path(text).expanduser())
        return f"{key}={quoted(text)}"
    override = _parsed(f"{key}={text}")
    if override is None:
        swept = several and "," in text
        if swept or text[:1] in _OPENING or not _text_kinds(key.lstrip("+")):
            raise ConfigError(_unreadable(key, text))
        return f"{key}={quoted(text)}"
    if override.is_sweep_override():
        if not several and "," in text:
            raise ConfigError(
                f"{key}: '{text}' can be several values; as one text give {_shown(key, text)}, as a"
                f" list {key}=[{text}], and to run each, -m before it"
            )
        return argument
    kinds = _text_kinds(key.lstrip("+")) if _is_plain(override) else []
    return _as_text(key, text, kinds) if kinds else argument


def _is_plain(override: Override) -> bool:
    """Return whether Hydra reads a value as a number, a boolean or null."""
    value: Any = override.value()
    return isinstance(value, int | float | None)


def _as_text(key: str, text: str, kinds: Sequence[set[str]]) -> str:
    if text != "null":
        return f"{key}={quoted(text)}"
    if any("None" in kind for kind in kinds):
        return f"{key}=null"
    raise ConfigError(f"{key}: it cannot be null; give some text")


def _parsed(argument: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None


def _shown(key: str, text: str) -> str:
    """Return a shell argument that passes a text."""
    return shlex.quote(f"{key}={quoted(text)}")


def _unreadable(key: str, text: str) -> str:
    inner = text[1:-1]
    if text.startswith("[") and text.endswith("]") and not set("\"'[]{}") & set(inner):
        items = [item if _parsed(f"{key}={item}") else quoted(item) for item in inner.split(",")]
        remedy = shlex.quote(f"{key}=[{','.join(items)}]")
    elif text[:1] in _OPENING:
        remedy = f"closed brackets and quotes, as in {_shown(key, 'a b')} or '{key}=[\"a b\",c]'"
    else:
        remedy = _shown(key, text)
    return (
        f"{key}: {text} cannot be read, because it has characters with a special meaning "
        f"outside quotes; give {remedy}"
    )


def _text_kinds(key: str) -> list[set[str]]:
    """Return the types of a key of the schema or an option, if it takes text and no number."""
    hint: Any = Config
    group, *_ = names = key.split(".")
    for name in names:
        hint = get_type_hints(hint).get(name) if isinstance(hint, type) else None
    if hint is str or hint == str | None:
        return [{"str"} if hint is str else {"str", "None"}]
    if len(names) == 1:
        return []
    kinds = [kind for file in _option_files(group, names[1:-1]) for kind in _kinds(file, names[-1])]
    text = all({"str", "Path"} & kind and not _NUMBERS & kind for kind in kinds)
    return kinds if text else []


def _option_files(group: str, chosen: Sequence[str]) -> Iterator[Path]:
    """Yield the files of the options that a key may belong to: one, or all of its group."""
    folder = conf_dir() / group
    if group.isidentifier() and folder.is_dir():
        yield from [folder / f"{chosen[0]}.yaml"] if chosen else sorted(folder.glob("*.yaml"))


@cache
def _kinds(file: Path, argument: str) -> list[set[str]]:
    """Return the names in the type of an option's argument, without importing its target."""
    if not file.is_file():
        return []
    target = re.search(
        r"^_target_: *([\w.]+)\.(\w+)", file.read_text(encoding="utf-8"), re.MULTILINE
    )
    module, name = target.groups() if target else ("", "")
    spec = find_spec(module) if module else None
    if spec is None or spec.origin is None:
        return []
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            given = [*node.args.args, *node.args.kwonlyargs]
            hints = [one.annotation for one in given if one.arg == argument and one.annotation]
            return [set(re.findall(r"\w+", ast.unparse(hint))) for hint in hints]
    return []
