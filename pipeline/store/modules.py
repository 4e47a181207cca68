"""Python modules: their files and what they import, without importing anything."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec, resolve_name
from pathlib import Path
from sysconfig import get_path

PACKAGE = "pipeline."  # prefix of this package's own modules
_LIBRARIES = sys.stdlib_module_names | {"torch", "torchvision", "numpy"}
_STANDARD = Path(get_path("stdlib")).resolve()
# Environment variables of a process or a machine.
_OF_PLACE = re.compile("RANK|WORLD_SIZE|^(SLURM|MASTER|CUDA|HOME|USER|PATH|TMP|HOST|PYTHON|OMP)")


def file_of(module: str) -> Path | None:
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


def is_installed(path: Path | None) -> bool:
    """Return whether a file belongs to an installed package or to the standard library."""
    if path is None:
        return False
    resolved = path.resolve()
    return bool({"site-packages", "dist-packages"} & set(resolved.parts)) or (
        resolved.is_relative_to(_STANDARD)
    )


def is_library(module: str) -> bool:
    """Return whether a module is PyTorch's, torchvision's, NumPy's, Python's or this package's."""
    top = module.partition(".")[0]
    return not module or top in _LIBRARIES or f"{module}.".startswith(PACKAGE)


def loaded_code() -> list[Path]:
    """Return the files of a user's modules that this process has loaded."""
    found: set[Path] = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        top = name.partition(".")[0]
        if not file or top == "__main__" or top in _LIBRARIES or f"{top}." == PACKAGE:
            continue
        path = Path(file)
        if "site-packages" not in path.parts and not is_installed(path):
            found.add(path.absolute())
    return sorted(found)


@lru_cache(1024)
def tree_of(path: Path, _stamp: tuple[int, ...]) -> ast.Module:
    """Return the parsed code of a file, which is empty if it is not Python.

    Args:
        path: the file.
        _stamp: its ``file_stamp``, by which the result is kept.
    """
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return ast.Module([], [])  # importing it will report the error


def imported_by(module: str, path: Path, tree: ast.Module) -> Iterator[str]:
    """Yield the modules that a file imports anywhere in it, and the packages that hold them."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    calls = [n for n in ast.walk(tree) if _called(n) in ("import_module", "__import__")]
    by_name = bool(calls)
    if any(isinstance(call, ast.Call) and not _is_constant(call) for call in calls):
        yield from _beside(package, path)  # any of them may be meant
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


def _is_constant(call: ast.Call) -> bool:
    """Return whether the arguments of a call are written out, and not computed."""
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return all(isinstance(value, ast.Constant | ast.Name) for value in values[1:]) and bool(
        values and isinstance(values[0], ast.Constant)
    )


def _beside(package: str, path: Path) -> Iterator[str]:
    """Yield the modules in the folder of a module, and in the packages below it."""
    if is_installed(path):
        return
    for found in sorted(path.parent.rglob("*.py") if package else path.parent.glob("*.py")):
        parts = found.relative_to(path.parent).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        yield ".".join(filter(None, (package, *parts)))


def variables_read(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the environment variables that a file reads.

    Those that tell processes or machines apart are left out, as results do not depend on them.
    """
    for node in ast.walk(tree):
        named: list[ast.expr] = []
        if isinstance(node, ast.Subscript) and _called(node.value) == "environ":
            named = [node.slice]
        elif isinstance(node, ast.Call) and _called(node) == "getenv":
            named = node.args[:1]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            named = node.args[:1] if _called(node.func.value) == "environ" else []
        for name in named:
            if isinstance(name, ast.Constant) and not _OF_PLACE.search(str(name.value)):
                yield str(name.value)


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
    return [name] if is_name and file_of(name) is not None else []
