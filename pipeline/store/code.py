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
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec, resolve_name
from pathlib import Path
from sysconfig import get_path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.store.files import file_stamp

PACKAGE = "pipeline."  # prefix of this package's own targets
_STANDARD = Path(get_path("stdlib")).resolve()


def is_own(target: str) -> bool:
    """Return whether a target is a user's own, and not this package's."""
    return not target.startswith(PACKAGE)


def own_targets(settings: Any) -> list[str]:
    """Return all targets in a configuration that do not belong to this package.

    An option of this package may use a user's class or function, which it calls ``target``.
    """
    found: list[str] = []
    if isinstance(settings, Mapping):
        used = settings.get("target") if "_target_" in settings else None
        for target in (settings.get("_target_"), used):
            if isinstance(target, str) and is_own(target):
                found.append(target)
        for value in settings.values():
            found += own_targets(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            found += own_targets(value)
    return found


def code_digest(targets: list[str]) -> str:
    """Return the digest of the code behind dotted names, as in ``_target_``.

    Files are identified by their contents, and installed packages that they import by version.

    Raises:
        ConfigError: the code cannot be found, so edits to it would go unnoticed.
    """
    digest = hashlib.sha256()
    for module in sorted({_module_of(target) for target in targets}):
        files, packages = _reached(module)
        for path in files:
            digest.update(_digest(path))
        for package in packages:
            digest.update(f"{package} {_version(package)}".encode())
    return digest.hexdigest()


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
    return target.removeprefix(f"{_module_of(target)}.")


def _module_of(target: str) -> str:
    """Return the module of a dotted name."""
    name = target
    while name := name.rpartition(".")[0]:
        if _file(name) is not None:
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
        path = _file(top) if top != home and _is_installed(_file(top)) else _file(name)
        if path is None:
            continue
        if top != home and _is_installed(path):
            packages.add(top)
            continue
        files[name] = path
        if path.suffix == ".py":
            tree = _tree(path, file_stamp(path))
            if not _is_installed(path):
                files |= {str(named): named for named in _named_files(tree, path.parent)}
            near = set(_imports(name, path, tree)) - seen
            seen |= near
            waiting += near
    return [files[name] for name in sorted(files)], sorted(packages)


@lru_cache(1024)
def _tree(path: Path, _stamp: tuple[int, ...]) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return ast.Module([], [])  # importing it will report the error


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


def _imports(module: str, path: Path, tree: ast.Module) -> Iterator[str]:
    """Yield the modules that a file imports anywhere in it, and the packages that hold them."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    by_name = any(_called(node) in ("import_module", "__import__") for node in ast.walk(tree))
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            written = "." * node.level + (node.module or "")
            base = resolve_name(written, package) if node.level else written
            # A name imported from a package may be a module.
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif by_name and isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = _imported_by_name(node.value, package)
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def _called(node: ast.AST) -> str:
    """Return the last part of the called name, if the node is a call."""
    function = node.func if isinstance(node, ast.Call) else node
    return str(getattr(function, "attr", getattr(function, "id", "")))


def _imported_by_name(text: str, package: str) -> list[str]:
    """Return the module named by a call such as ``import_module("own.values")``."""
    name = text
    if text.startswith(".") and package:
        with suppress(ImportError):
            name = resolve_name(text, package)
    is_name = all(part.isidentifier() for part in name.split("."))
    return [name] if is_name and _file(name) is not None else []


def _file(module: str) -> Path | None:
    """Return the file of a module outside the standard library and this package, if it has one."""
    top, *inner = module.split(".")
    if top in sys.stdlib_module_names or f"{top}." == PACKAGE:
        return None
    try:
        spec = find_spec(top)  # for inner modules it would import their packages
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    path = Path(spec.origin) if spec.has_location and spec.origin else None
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    for part in inner:
        path, places = _inner(places, part)
    return path


def _inner(places: list[Path], name: str) -> tuple[Path | None, list[Path]]:
    """Return the file of a module inside a package, and the folder of its submodules."""
    for place in places:
        if (path := place / name / "__init__.py").is_file():
            return path, [place / name]
        for suffix in (".py", *EXTENSION_SUFFIXES):
            if (path := place / f"{name}{suffix}").is_file():
                return path, []
    return None, [place / name for place in places if (place / name).is_dir()]


def _is_installed(path: Path | None) -> bool:
    """Return whether a file belongs to an installed package or to the standard library."""
    if path is None:
        return False
    resolved = path.resolve()
    return bool({"site-packages", "dist-packages"} & set(resolved.parts)) or (
        resolved.is_relative_to(_STANDARD)
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # its distribution has another name
        return " ".join(version(name) for name in _distributions().get(package, []))


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()
