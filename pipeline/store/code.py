"""A user's own code, identified by the contents of its files, without importing anything.

The package's own computations are covered by the version of its results. A user may edit a function
without raising a version, so the digest of its code is part of what determines its results: the
file of the function, every file of the user that it imports, directly or not, and every file named
by a constant in one of these. Other data files are included if they are given as arguments.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.store.files import file_stamp
from pipeline.store.modules import (
    PACKAGE,
    file_of,
    imported_by,
    is_installed,
    tree_of,
    variables_read,
)

# Keys of an option that hold dotted names: its own, and that of a user's class that it calls.
TARGETS = ("_target_", "target")


def is_own(target: str) -> bool:
    """Return whether a target is a user's own, and not this package's."""
    return not target.startswith(PACKAGE)


def own_targets(settings: Any) -> list[str]:
    """Return all targets in a configuration that do not belong to this package.

    An option of this package may use a user's class or function, which it calls ``target``. Other
    text that is the dotted name of something in a user's module counts as well, such as
    ``mine.score`` in the arguments of ``hydra.utils.get_method``.
    """
    found: list[str] = []
    if isinstance(settings, Mapping):
        names = TARGETS if "_target_" in settings else ()
        for name in names:
            target = settings.get(name)
            if isinstance(target, str) and is_own(target):
                found.append(target)
        for name, value in settings.items():
            if not (name in names and isinstance(value, str)):
                found += own_targets(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            found += own_targets(value)
    elif isinstance(settings, str):
        found += _own_names(settings)
    return found


def _own_names(text: str) -> list[str]:
    """Return the text if it is a dotted name in a user's module; of a module, that of its name."""
    parts = text.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts) or Path(text).exists():
        return []
    found = {n: file_of(".".join(parts[:n])) for n in range(1, len(parts) + 1)}
    files = [file for file in found.values() if file is not None]
    if not files or is_installed(files[0]):
        return []
    return [text, *([f"{text}.__name__"] if found[len(parts)] else [])]


def code_digest(targets: list[str]) -> str:
    """Return the digest of the code behind dotted names, as in ``_target_``.

    Files are identified by their contents, and installed packages that they import by version.
    The values of environment variables that the files read count too.

    Raises:
        ConfigError: the code cannot be found, so edits to it would go unnoticed.
    """
    digest = hashlib.sha256()
    for module in sorted({module_of(target) for target in targets}):
        files, packages = _reached(module)
        for path in files:
            digest.update(_digest(path))
        for package in packages:
            digest.update(f"{package} {_version(package)}".encode())
        for name in sorted({name for path in files for name in _variables(path)}):
            digest.update(f"{name}={os.environ.get(name)}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _variables(path: Path) -> set[str]:
    return set(variables_read(tree_of(path, file_stamp(path)))) if path.suffix == ".py" else set()


def argument_digests(settings: Any) -> dict[str, str]:
    """Return the SHA-256 of every file named in the settings of a user's own target, by that name.

    For a folder, it covers the names and contents of all files in it.
    """
    found: dict[str, str] = {}
    if isinstance(settings, Mapping):
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for value in settings:
            found |= argument_digests(value)
    elif isinstance(settings, str) and settings:
        with suppress(OSError, RuntimeError, ValueError):  # text that is not a path names no file
            path = Path(settings).expanduser()
            if path.is_file():
                found[settings] = _digest(path).hex()
            elif path.is_dir():
                found[settings] = _folder_digest(path)
    return found


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(os.fsencode(path.relative_to(folder)) + b"\n" + _digest(path))
    return digest.hexdigest()


def _digest(path: Path) -> bytes:
    return _digest_of(path, file_stamp(path))


@lru_cache(4096)
def _digest_of(path: Path, _stamp: tuple[int, ...]) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def qualified_name(target: str) -> str:
    """Return the name of a target in its module: ``noise``, or ``Drawn.noise`` of a class.

    This package's own targets are at the top level of their modules.
    """
    if not is_own(target):
        return target.rpartition(".")[2]
    return target.removeprefix(f"{module_of(target)}.")


def module_of(target: str) -> str:
    """Return the module of a dotted name.

    Raises:
        ConfigError: it has no file.
    """
    name = target
    while name := name.rpartition(".")[0]:
        if file_of(name) is not None:
            return name
    raise ConfigError(
        f"_target_: the code of '{target}' cannot be found, so that its results could not be told"
        " from those of other code; put it into a module that has a file"
    )


def _reached(module: str) -> tuple[list[Path], list[str]]:
    """Return the files of a module and of all user modules that it imports.

    Also returns the installed packages that these import. The module's own package counts as the
    user's even if it is installed.
    """
    home = module.partition(".")[0]
    files: dict[str, Path] = {}
    packages: set[str] = set()
    seen, waiting = {module}, [module]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        path = file_of(top) if top != home and is_installed(file_of(top)) else file_of(name)
        if path is None:
            continue
        if top != home and is_installed(path):
            packages.add(top)
            continue
        files[name] = path
        if path.suffix == ".py":
            tree = tree_of(path, file_stamp(path))
            if not is_installed(path):
                files |= {str(named): named for named in _named_files(tree, path.parent)}
            near = set(imported_by(name, path, tree)) - seen
            seen |= near
            waiting += near
    return [files[name] for name in sorted(files)], sorted(packages)


def _named_files(tree: ast.Module, folder: Path) -> Iterator[Path]:
    """Yield the files that a module names by constants, from its own folder or the working one."""
    for text in set(_texts(tree)):
        for path in (os.path.join(folder, text), text):  # noqa: PTH118 - there are many
            with suppress(ValueError):  # not a path
                if os.path.isfile(path):  # noqa: PTH113
                    yield Path(path).absolute()


def _texts(tree: ast.Module) -> Iterator[str]:
    """Yield the constants of a module that are text, and those that it joins to a path."""
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Constant):
            parts = [node]
        elif isinstance(node, ast.Call):  # os.path.join(HERE, "data", "values.npy")
            parts = node.args
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):  # HERE / "data" / ...
            parts = [node.right, *parts]
            node = node.left
        constants = [part.value for part in parts if isinstance(part, ast.Constant)]
        texts = [value for value in constants if isinstance(value, str)]
        if texts:
            yield "/".join(texts)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # its distribution has another name
        return " ".join(version(name) for name in _distributions().get(package, []))


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()
