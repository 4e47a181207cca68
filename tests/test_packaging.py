"""The built wheel, installed into an empty environment, runs the default experiment elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    environment = os.environ | {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--no-build-isolation")
    run(*build, "--out-dir", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_carries_configuration_weights_and_types_but_no_tests(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for path in (ROOT / "conf").rglob("*.yaml"):
        if "local" not in path.parts:
            assert f"pipeline/{path.relative_to(ROOT)}" in names
    assert "pipeline/miniature/weights/miniature.safetensors" in names
    assert "pipeline/miniature/weights/decoder.safetensors" in names
    assert "pipeline/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"pipeline", "artiphys-0.1.0.dist-info"}


def test_wheel_weighs_little_but_for_the_runtime_of_the_playground(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        vendored = [info for info in archive.infolist() if "/vendor/" in info.filename]
    runtime = sum(info.compress_size for info in vendored)
    assert wheel.stat().st_size - runtime < 2.4e6
    assert runtime < 2.5e6


@pytest.mark.commands
@pytest.mark.timeout(600)
def test_installed_wheel_runs_the_default_experiment_from_another_folder(
    wheel: Path, tmp_path: Path
):
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "uv", "venv", "--quiet", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    install = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python)
    # The locked versions, so that what is tested here is what is tested elsewhere.
    run(*install, "--constraint", ROOT / "requirements.lock", wheel, cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    few = ("units=0:2", "images.limit=20", "optimizer.steps=3", "figures.formats=[png]")
    printed = run(environment / "bin" / "artiphys", *few, cwd=elsewhere)
    assert "median r between ascents from zeros and top_patch:" in printed
    (folder,) = (elsewhere / "outputs" / "runs" / "main").iterdir()
    tables = {path.stem for path in (folder / "tables").glob("*.parquet")}
    assert len(tables) == 5
    assert (folder / "figures" / "correlations_zeros_top_patch.png").is_file()
    assert (folder / "site" / "index.html").is_file()
    assert "site-packages" in run(
        python, "-c", "import pipeline; print(pipeline.__file__)", cwd=elsewhere
    )
