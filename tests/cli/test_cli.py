"""The command line as a user meets it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def artiphys(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *arguments, "tracking=none"]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def test_help_lists_groups_and_keys_and_imports_nothing_heavy(tmp_path: Path):
    code = (
        "import sys; sys.argv = ['artiphys', '--help']\n"
        "from pipeline.cli import main\n"
        "main()\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'wandb', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "init: constant, image, mean_patch, noise, parameters, result, top_patch" in done.stdout
    assert "usage: python -m pipeline" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_override_is_one_sentence_and_leaves_nothing(tmp_path: Path):
    done = artiphys("-m", "seed=1,2", "optimizer.lrr=1", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: optimizer.lrr: there is no such argument; the chosen option takes steps, lr,"
        " normalize; nearest: lr\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.commands
def test_a_reader_who_has_read_enough_is_no_error(tmp_path: Path):
    command = f"{sys.executable} -m pipeline --help | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("artiphys: what does every unit")
    assert (done.returncode in (0, 1), done.stderr) == (True, "")


@pytest.mark.commands
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_output_is_told_once_and_keeps_no_result_back(tmp_path: Path):
    command = [sys.executable, "-m", "pipeline", "tracking=none", "layers=[conv1]"]
    command += ["stages=[top_patches]", "images.limit=3"]
    told = "standard output cannot be written (No space left on device)"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
        helped = subprocess.run(
            [*command, "--help"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        0,
        f"warning: {told}; the log in the run folder has every line\n",
    )
    assert len(list((tmp_path / "outputs" / "runs" / "main").glob("*/tables/*.parquet"))) == 1
    assert (helped.returncode, helped.stderr) == (1, f"error: {told}\n")


@pytest.mark.commands
def test_bad_layer_is_one_sentence_and_leaves_nothing(tmp_path: Path):
    done = artiphys("layers=[conv9]", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: layers: 'conv9' is not in miniature, which has conv1 (features.0) to conv5"
        " (features.10); nearest: conv5\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.commands
def test_in_a_multirun_the_other_jobs_go_on(tmp_path: Path):
    done = artiphys(
        "-m",
        "layers=conv9,conv1",
        "stages=[top_patches]",
        "images.limit=3",
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "layers: 'conv9' is not in miniature" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "outputs" / "runs" / "main").glob("*/tables/*.parquet"))) == 1
