"""Overrides as people type them: paths and names reach Hydra unchanged, as text.

Hydra's grammar takes ``2024`` for a number and rejects accents, ``=``, ``~`` and brackets outside
quotes. Values that are certainly meant as text are quoted here; others are rejected with advice on
what to type.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from pipeline.config.option_files import is_group, kinds, options, unknown_option
from pipeline.config.schema import Config
from pipeline.config.search_path import conf_dir
from pipeline.errors import ConfigError
from pipeline.store.identity import KEYS

_OVERRIDE = re.compile(r"([+~]{0,2}[\w.@/:-]+)=(.*)", re.DOTALL)
_MULTIRUN = re.compile(r"-[a-z]*m[a-z]*|--multirun|hydra\.mode=.*")
_ARGUMENT = re.compile(r"\w[\w.]*\.arguments\.\w")  # as in model.arguments.width=8
_FLAGS_WITH_VALUE = {
    "--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p",
    "--cfg", "-c", "--info", "-i", "--experimental-rerun",
}  # fmt: skip
_OPENING = ("[", "{", "'", '"')
SINGLE = {name for name, key in KEYS.items() if key.options == "one"}
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
    _refuse_split(arguments)
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


def _refuse_split(arguments: Sequence[str]) -> None:
    """Reject a list that the shell has split at its spaces, and spaces around an equals sign."""
    for place, argument in enumerate(arguments):
        key, equals, text = argument.partition("=")
        following = [*arguments[place + 1 :]]
        if equals and not key.startswith("-") and _open(text):
            length = next(
                (n for n in range(len(following)) if not _open(text, following[: n + 1])), -1
            )
            if length >= 0 and not any("=" in part for part in following[: length + 1]):
                whole = " ".join([text, *following[: length + 1]])
                tight, quotes = whole.replace(" ", ""), shlex.quote(f"{key}={whole}")
                raise ConfigError(
                    f"{key}: the shell splits {whole} at its spaces; write it without spaces,"
                    f" {key}={tight}, or in quotes, {quotes}"
                )
        if argument.startswith("="):
            before = arguments[place - 1] if place else "KEY"
            after = text or (following[0] if following else "VALUE")
            raise ConfigError(
                f"'{argument}': there is no key before the equals sign; write {before}={after},"
                " without spaces around it"
            )


def _open(text: str, more: Sequence[str] = ()) -> bool:
    """Return whether a value has more opening than closing brackets, and no quotes."""
    whole = "".join([text, *more])
    opened = sum(map(whole.count, "[{"))
    return opened > sum(map(whole.count, "]}")) and not set("\"'") & set(whole)


def _readable(argument: str, several: bool) -> str:
    if not argument.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in argument):
        raise ConfigError(
            f"{argument!r} is not UTF-8; rename the file, or give a link to it with another name"
        )
    found = _OVERRIDE.fullmatch(argument)
    if "=" not in argument and argument[:1].isalnum():
        raise ConfigError(f"'{argument}' is not KEY=VALUE, such as {argument}=VALUE")
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
    _check_choice(key.lstrip("+"), text, override)
    if override.is_sweep_override():
        if not several and "," in text:
            raise ConfigError(
                f"{key}: '{text}' can be several values; as one text give {_shown(key, text)}, as a"
                f" list {key}=[{text}], and to run each, -m before it"
            )
        return argument
    found = _text_kinds(key.lstrip("+")) if _is_plain(override) else []
    return _as_text(key, text, found) if found else argument


def _check_choice(key: str, text: str, override: Override) -> None:
    """Reject what cannot be a choice of options in a group."""
    if not is_group(key) or override.is_sweep_override():
        return
    chosen: Any = override.value()
    if isinstance(chosen, list) and key in SINGLE:
        names = ",".join(map(str, chosen)) or options(key)[0]
        remedy = f"; to run each, give -m {key}={names}" if len(chosen) > 1 else ""
        raise ConfigError(
            f"{key}: {text} is a list; choose one option, as in {key}="
            f"{names.partition(',')[0]}{remedy}"
        )
    if chosen is None and key == "experiment":
        raise ConfigError("experiment: null chooses none; leave it out")
    if not isinstance(chosen, list | str):
        raise ConfigError(unknown_option(key, text))


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
    if text.endswith(",") and text[:1] not in _OPENING:
        return f"{key}: {text} ends with a comma; give {key}={text.rstrip(',')}, or another value"
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
    found = [kind for file in _option_files(group, names[1:-1]) for kind in kinds(file, names[-1])]
    text = all({"str", "Path"} & kind and not _NUMBERS & kind for kind in found)
    return found if text else []


def _option_files(group: str, chosen: Sequence[str]) -> Iterator[Path]:
    """Yield the files of the options that a key may belong to: one, or all of its group."""
    folder = conf_dir() / group
    if group.isidentifier() and folder.is_dir():
        yield from [folder / f"{chosen[0]}.yaml"] if chosen else sorted(folder.glob("*.yaml"))
