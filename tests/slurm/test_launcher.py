"""``hydra/launcher=slurm``: its values, where they come from, and a real launch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf.errors import InterpolationResolutionError, InterpolationValidationError

from pipeline.config.schema import register
from pipeline.config.search_path import conf_dir
from tests.slurm.conftest import Run

YAML = conf_dir() / "hydra" / "launcher" / "slurm.yaml"
AS_IT_IS = (Path(__file__).parents[2] / "slurm" / "environment").read_text(encoding="utf-8")
EVERY_LINE = AS_IT_IS.replace("\n#export", "\nexport")
PREFIX = "ARTIPHYS_SLURM_"


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def launcher(*overrides: str) -> Any:
    register()
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        whole = compose("config", ["hydra/launcher=slurm", *overrides], return_hydra_config=True)
    return whole.hydra.launcher


def test_by_default_one_process_which_is_requeued():
    chosen = launcher()
    assert chosen["_target_"].endswith(".SlurmLauncher")
    assert (chosen.partition, chosen.account, chosen.gpus_per_node) == (None, None, None)
    assert (chosen.nodes, chosen.tasks_per_node) == (1, 1)
    assert chosen.additional_parameters == {"requeue": True}
    assert chosen.max_num_timeout > 10


def test_values_come_from_the_environment_in_their_types(monkeypatch: pytest.MonkeyPatch):
    given = {"PARTITION": "0123", "GPUS": "4", "CPUS": "8", "MEMORY_GB": "64", "MINUTES": "30"}
    for name, value in given.items():
        monkeypatch.setenv(PREFIX + name, value)
    chosen = launcher()
    assert chosen.partition == "0123"  # a name, though it looks like a number
    numbers = (chosen.gpus_per_node, chosen.cpus_per_task, chosen.mem_gb, chosen.timeout_min)
    assert numbers == (4, 8, 64, 30)
    assert chosen.tasks_per_node == 4  # a process for each GPU


def test_the_command_line_beats_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PREFIX + "PARTITION", "gpu")
    assert launcher("hydra.launcher.partition=short").partition == "short"


@pytest.mark.parametrize("value", ["four", "4.5", ""])
def test_what_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setenv(PREFIX + "GPUS", value)
    with pytest.raises((InterpolationValidationError, InterpolationResolutionError)):
        _ = launcher().gpus_per_node


def test_the_environment_file_names_just_what_the_launcher_reads():
    read = set(re.findall(rf"oc\.env:({PREFIX}\w+)", YAML.read_text(encoding="utf-8")))
    assert set(re.findall(rf"^#?export ({PREFIX}\w+)=", AS_IT_IS, re.MULTILINE)) == read


def sourced(tmp_path: Path, text: str, command: str) -> str:
    (tmp_path / "environment").write_text(text)
    script = f'. "{tmp_path}/environment" && {command}'
    return subprocess.run(
        ["sh", "-uec", script], capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.parametrize("text", [AS_IT_IS, EVERY_LINE])
def test_the_environment_file_composes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    for line in sourced(tmp_path, text, "env").splitlines():
        if line.startswith(PREFIX):
            monkeypatch.setenv(*line.split("=", 1))
    chosen = launcher()
    assert (chosen.gpus_per_node, chosen.tasks_per_node) == (1, 1)
    assert chosen.partition == ("gpu" if text == EVERY_LINE else None)


def test_sbatch_gets_what_is_set_and_nothing_else(tmp_path: Path):
    text = "\n".join([f"export {PREFIX}{pair}" for pair in ("PARTITION=gpu", "GPUS=2")])
    functions = AS_IT_IS.split("# sbatch with")[1]
    tell = "sbatch() { printf '%s\\n' \"$@\"; }; artiphys_sbatch job.sbatch layers=[conv1]"
    given = sourced(tmp_path, f"{text}\n#{functions}", tell).split()
    options = ["--partition=gpu", "--gpus-per-node=2", "--ntasks-per-node=2"]
    assert given == [*options, "job.sbatch", "layers=[conv1]"]


TOY = """
import json, os, subprocess, sys, time
from pathlib import Path
import hydra

@hydra.main(version_base="1.3", config_path=None)
def main(config):
    names = ("SLURM_RESTART_COUNT", "SLURM_NTASKS", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    told = {name: os.environ.get(name) for name in names}
    if config.x == 1 and not told["SLURM_RESTART_COUNT"]:
        if os.environ["SLURM_PROCID"] != "0":
            time.sleep(100)
        job = "{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}".format(**os.environ)
        subprocess.run(["scancel", "--signal=USR2", job], check=True)  # as at the time limit
        time.sleep(100)
    path = Path(f"{config.x}-{os.environ['SLURM_PROCID']}.json")
    path.write_text(json.dumps(told))

main()
"""


@pytest.mark.slurm
def test_a_sweep_of_two_is_launched_and_one_is_requeued_at_its_time_limit(
    slurm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(PREFIX + "GPUS", "2")
    monkeypatch.setenv(PREFIX + "MINUTES", "5")  # so short that submitit takes any signal for it
    (tmp_path / "toy.py").write_text(TOY)
    search = f"hydra.searchpath=[file://{conf_dir()}]"
    folder = f"hydra.sweep.dir={tmp_path}/sweep"
    command = (sys.executable, "toy.py", "-m", "hydra/launcher=slurm", search, folder, "+x=0,1")
    slurm(*command, "hydra.launcher.mem_gb=1", cwd=tmp_path)
    told = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("?-?.json")}
    assert sorted(told) == ["0-0", "0-1", "1-0", "1-1"]
    restarts = {name: values.pop("SLURM_RESTART_COUNT") for name, values in told.items()}
    assert restarts == {"0-0": None, "0-1": None, "1-0": "1", "1-1": "1"}
    for values in told.values():
        assert values == {
            "SLURM_NTASKS": "2",
            "CUDA_VISIBLE_DEVICES": "0,1",
            "OMP_NUM_THREADS": "4",
        }
