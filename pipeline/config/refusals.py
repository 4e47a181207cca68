"""Why Hydra refuses a command, in one sentence: what, where, what is allowed, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

from hydra.errors import MissingConfigException
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from pipeline.config.option_files import (
    arguments,
    groups,
    is_group,
    options,
    options_with,
    unknown_option,
)
from pipeline.config.schema import Config
from pipeline.config.search_path import conf_dir
from pipeline.errors import first_line, listed, nearest

WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    type(None): "null",
}
PACKAGE = "# @package _global_"


def refusal(error: BaseException, given: Sequence[str] = ()) -> str:
    """Return the message about an error of Hydra, OmegaConf or YAML while they compose.

    Args:
        error: what they raised.
        given: the arguments of the command.
    """
    folders = own_folders(given)
    if isinstance(error, MarkedYAMLError):
        return _bad_yaml(error)
    if isinstance(error, UnicodeDecodeError):
        return _bad_encoding(folders)
    if isinstance(error, OSError) and error.filename:
        key = "hydra.run.dir" if any("hydra.run.dir" in each for each in given) else "out"
        reason = str(error.strerror).lower()
        return f"{key}: '{error.filename}' cannot be made ({reason}); choose another folder"
    text, cause = str(error), _cause(error)
    file = re.match(r"In '([^']*)': ", text)
    where = f" (in {_file(file[1], folders)})" if file and not file[1].endswith("config") else ""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing(str(error.missing_cfg_file), error.options or (), folders) + where
    if cause is not None and (cause.full_key or "nterpolation" in text):
        return _about_key(cause, text, folders) + where
    return (
        _in_words(text, folders) or first_line(error).removeprefix(file[0] if file else "")
    ) + where


def own_folders(given: Sequence[str]) -> list[Path]:
    """Return the folders of the user's own configuration that a command names."""
    found = [given[n + 1] for n, flag in enumerate(given[:-1]) if flag in ("--config-dir", "-cd")]
    found += [
        each.partition("=")[2] for each in given if each.startswith(("--config-dir=", "-cd="))
    ]
    return [Path(folder) for folder in found]


def _cause(error: BaseException) -> OmegaConfBaseException | None:
    for each in (error, error.__cause__, error.__context__):
        if isinstance(each, OmegaConfBaseException):
            return each
    return None


def _bad_yaml(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"'{mark.name}', line {mark.line + 1}" if mark is not None else "a file of settings"
    problem = error.problem or error.context or "it is not YAML"
    if "\\t" in problem:
        problem = "lines are indented with a tab; use spaces"
    elif problem.startswith("found duplicate key"):
        problem = f"the key '{problem.rpartition(' ')[2]}' is there twice; leave one out"
    else:
        problem += "; correct the YAML there"
    return f"{place}: {problem}"


def _bad_encoding(folders: Sequence[Path]) -> str:
    for folder in folders:
        for file in sorted(folder.rglob("*.yaml")):
            try:
                file.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                line = file.read_bytes()[: error.start].count(b"\n") + 1
                return f"'{file}', line {line}: the file is not UTF-8; save it as such"
    return "a file of settings is not UTF-8; save it as such"


def _file(name: str, folders: Sequence[Path]) -> Path | str:
    """Return the file of an option, such as ``experiment/mine``."""
    found = [top / f"{name}.yaml" for top in folders if (top / f"{name}.yaml").is_file()]
    return found[0] if found else f"{name}.yaml"


def _missing(name: str, known: Sequence[str], folders: Sequence[Path]) -> str:
    group, slash, option = name.rpartition("/")
    if not slash:
        return (
            f"--config-name: there is no '{name}.yaml' among the settings of artiphys; leave it"
            " out, and put your own settings into an experiment"
        )
    return unknown_option(group, option, folders, known)


def _in_words(text: str, folders: Sequence[Path]) -> str | None:
    """Return what some messages without a key mean."""
    if found := re.search(r"Could not override '/?([^'@]+)(@?)", text):
        name = found[1]
        if found[2]:
            return f"{name}: a package, after @, cannot be chosen here; give {name}=OPTION"
        return f"/{name}: there is no such group in the defaults{nearest(name, groups(folders))}"
    if found := re.search(r"Could not delete from config. '([^']+)' does not exist", text):
        near = nearest(found[1], [each.name for each in fields(Config)])
        return f"~{found[1]}: there is no '{found[1]}' to leave out{near}"
    if found := re.search(r"Multiple values for ([^.]+)\.", text):
        return f"{found[1]}: one is chosen already; leave out the + to replace it"
    if found := re.search(r"Could not append to config. An item is already at '([^']+)'", text):
        return f"{found[1]}: there is such a key already; leave out the + to set it"
    if found := re.search(r"no viable alternative at input '(.*)'", text):
        return f"'{found[1]}' cannot be read; give KEY=VALUE, with the value in quotes"
    return None


def _about_key(cause: OmegaConfBaseException, text: str, folders: Sequence[Path]) -> str:
    key, said = str(cause.full_key or ""), first_line(cause)
    if "nterpolation" in said:
        return interpolation_fault(key, said)
    if said.startswith("Key "):
        node = getattr(cause, "parent_node", None)
        present = [str(each) for each in node] if isinstance(node, Mapping) else []
        return unknown_key(key, _wanted(key, text), present, folders)
    return _wrong_type(key, said, text)


def _wanted(key: str, text: str) -> str:
    """Return the key as it was given, which may be longer than where the search for it ended."""
    found = re.search(r"'\+*([^'=]+)'", text) if text.startswith("Could not") else None
    return found[1] if found else key


def interpolation_fault(key: str, said: str) -> str:
    """Return the message about a value such as ``${model.name}`` that leads nowhere."""
    name = said.partition("'")[2].partition("'")[0]
    start = f"{key}: " if key else ""
    said = re.sub(r'^\w+ raised while resolving interpolation: "?(.*?)"?$', r"\1", said)
    if said.startswith("Interpolation key") and name:
        return (
            f"{start}${{{name}}} refers to a key that does not exist; refer to one, as in"
            " ${seed}, or write the value itself"
        )
    return f"{start}{said[:1].lower()}{said[1:]}; write the value itself"


def unknown_key(
    key: str, wanted: str, present: Sequence[str] = (), folders: Sequence[Path] = ()
) -> str:
    """Return the message about a key that does not exist.

    Args:
        key: the shortest part of it that does not exist, such as ``init.noise``.
        wanted: all of it, such as ``init.noise.std``.
        present: the keys that stand where it was looked for.
        folders: of the user's own configuration.
    """
    first, *rest = key.split(".")
    hint = get_type_hints(Config).get(first)
    if first == "experiment":
        return f"the first line of the file of an experiment must be '{PACKAGE}'"
    if hint is None and first != "hydra":
        return f"{wanted}: there is no such key{nearest(first, list(get_type_hints(Config)))}"
    if is_dataclass(hint) or first == "hydra":
        names = [f.name for f in fields(hint)] if is_dataclass(hint) else [*present]
        at, _, name = key.rpartition(".")
        near = nearest(name, names)
        return f"{wanted}: {at} has no such setting; it has {', '.join(names)}{near}"
    if len(rest) == 1 and present and "_target_" not in present:
        return _not_chosen(first, rest[0], wanted, present, folders)
    return _no_argument(first, key, wanted, [n for n in present if not n.startswith("_")])


def _not_chosen(
    group: str, name: str, wanted: str, present: Sequence[str], folders: Sequence[Path]
) -> str:
    chosen = [each for each in present if each != "copies"]
    if name not in options(group, folders):
        known = [*options(group, folders), *(["copies"] if group == "init" else [])]
        return f"{wanted}: {group} has no option '{name}'{nearest(name, known)}"
    return (
        f"{wanted}: '{name}' is not chosen, as {group}=[{','.join(chosen)}]; choose it, as in"
        f" {group}=[{','.join([*chosen, name])}]"
    )


def _no_argument(group: str, key: str, wanted: str, present: Sequence[str]) -> str:
    rest = key.split(".")[1:]
    name = rest[-1]
    option = rest[0] if len(rest) > 1 else ""
    known = arguments(conf_dir() / group, option) if option else [*present]
    if name in known:  # the file leaves it to the target
        return (
            f"{wanted}: the file of {option} does not list it; put a + before it, +{wanted}=VALUE"
        )
    others = [] if option or not is_group(group) else options_with(group, name)
    elsewhere = f"; it is an argument of {listed(others, 3)}" if others else ""
    what, names = option or "the chosen option", listed(known, 40) or "none"
    near = nearest(name, known) or elsewhere
    return f"{wanted}: there is no such argument; {what} takes {names}{near}"


def _wrong_type(key: str, said: str, text: str) -> str:
    given = "null" if "is not Optional" in said else _given(said, text)
    hint = _hint(key)
    kind = get_origin(hint) or hint
    if given is None:
        return f"{key}: {said}"
    if list in (kind, *map(get_origin, get_args(hint))):
        plain = given and given != "null" and not set("[]{}") & set(given)
        return (
            f"{key}: {given or 'nothing'} is not a list; give {key}=[{given if plain else 'a,b'}]"
        )
    if is_dataclass(kind):
        name = fields(cast("Any", kind))[0].name
        return f"{key}: {given} cannot stand for its settings; set one, as in {key}.{name}=VALUE"
    allowed = in_words(hint)
    if not allowed:
        return f"{key}: {given} cannot stand for its settings; set one, as in {key}.NAME=VALUE"
    if given in ("", "null"):
        return f"{key}: it cannot be {'null' if given else 'empty'}; give {allowed}"
    return f"{key}: '{given}' is not {allowed}"


def in_words(hint: Any) -> str:
    """Return what a type allows, in words; empty if it has none.

    >>> in_words(int | None)
    'a whole number or null'
    """
    kinds = get_args(hint) or (hint,)
    if get_origin(hint) is list or not all(each in WORDS for each in kinds):
        return ""
    return " or ".join(WORDS[each] for each in kinds)


def _given(said: str, text: str) -> str | None:
    """Return the value that a message is about."""
    if found := re.match(r"Error merging override \+*[^=]+=(.*)", text, re.DOTALL):
        return found[1]
    if found := re.search(r"Value '(.*)' of type", said):
        return found[1]
    found = re.search(r"value: (.*)", said)
    return found[1] if found else None


def _hint(key: str) -> Any:
    """Return the type of a key of the schema."""
    hint: Any = Config
    for name in key.split("."):
        hint = get_type_hints(hint).get(name.partition("[")[0]) if isinstance(hint, type) else None
    return hint
