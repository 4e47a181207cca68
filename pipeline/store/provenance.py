"""Provenance: which code, which versions, which machine, when."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.store.secrets import without_queries

PACKAGES = ("artiphys", "torch", "torchvision", "pytorch-lightning", "numpy", "hydra-core", "wandb")


def provenance() -> dict[str, Any]:
    """Return versions, git state, machine and time, as plain data."""
    return {
        "versions": _versions(),
        "git": _git(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "command": without_queries(sys.argv),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def code_version() -> dict[str, Any]:
    """Return the version of the code, a digest of its files, and its commit if there is one.

    The digest distinguishes edits in an editable installation that have the same version.
    """
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return {"version": _versions()["artiphys"], "digest": digest.hexdigest(), "git": _git()}


@cache
def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def _git() -> dict[str, str | bool] | None:
    """Return commit and dirty state of the checkout that contains the code, if it is in one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        return None
    try:
        commit = _run_git(root, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_run_git(root, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _run_git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
