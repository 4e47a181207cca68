"""The files of the configuration groups: which groups and options there are, and what they take.

Read as text, since importing what an option names would load torch.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pipeline.config.search_path import conf_dir
from pipeline.errors import nearest


def groups(folders: Sequence[Path] = ()) -> list[str]:
    """Return the names of the groups, ``experiment`` included.

    Args:
        folders: of a user's own configuration, besides that of the package.
    """
    found = {
        child.name for top in (conf_dir(), *folders) if top.is_dir() for child in top.iterdir()
    }
    return sorted(n for n in found if n.isidentifier() and n != "hydra" and is_group(n, folders))


def is_group(name: str, folders: Sequence[Path] = ()) -> bool:
    """Return whether there is a group with a name."""
    return name.isidentifier() and any((top / name).is_dir() for top in (conf_dir(), *folders))


def options(group: str, folders: Sequence[Path] = ()) -> list[str]:
    """Return the names of the options of a group."""
    tops = [top / group for top in (conf_dir(), *folders)]
    return sorted({file.stem for top in tops if top.is_dir() for file in top.glob("*.yaml")})


def unknown_option(
    group: str, name: str, folders: Sequence[Path] = (), known: Sequence[str] = ()
) -> str:
    """Return the message about an option that does not exist.

    Args:
        group: name of the group.
        name: what was given.
        folders: of a user's own configuration.
        known: names of the options, where Hydra has listed them.
    """
    names = list(known) or options(group, folders)
    wrong = f"'{name}' is not an option" if name else "the name of an option is missing"
    return f"{group}: {wrong}; choose from {', '.join(names)}{nearest(name, names)}"


def options_with(group: str, argument: str) -> list[str]:
    """Return the names of the options of a group whose files have an argument."""
    return [name for name in options(group) if argument in arguments(conf_dir() / group, name)]


def arguments(folder: Path, option: str) -> list[str]:
    """Return the arguments of an option: those in its file, and those that its target may take."""
    file = folder / f"{option}.yaml"
    if not file.is_file():
        return []
    written = re.findall(r"^([a-z]\w*):", file.read_text(encoding="utf-8"), re.MULTILINE)
    function = _function(file)
    if function is None:
        return written
    given = function.args
    positional = given.args[len(given.args) - len(given.defaults) :] if given.defaults else []
    named = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    keywords = [each for each, default in named if default is not None]
    return list(dict.fromkeys([*written, *(each.arg for each in [*positional, *keywords])]))


@cache
def kinds(file: Path, argument: str) -> list[set[str]]:
    """Return the names in the type of an option's argument, without importing its target."""
    function = _function(file) if file.is_file() else None
    if function is None:
        return []
    given = [*function.args.args, *function.args.kwonlyargs]
    hints = [one.annotation for one in given if one.arg == argument and one.annotation]
    return [set(re.findall(r"\w+", ast.unparse(hint))) for hint in hints]


def _function(file: Path) -> ast.FunctionDef | None:
    """Return the function that an option's file names, if it names a function."""
    target = re.search(
        r"^_target_: *([\w.]+)\.(\w+)", file.read_text(encoding="utf-8"), re.MULTILINE
    )
    return _found(*target.groups()) if target else None


@cache
def _found(module: str, name: str) -> ast.FunctionDef | None:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return None
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    return None
