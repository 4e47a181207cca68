"""How many processes, on what: what can be asked for, and what is refused."""

from __future__ import annotations

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.runner.launching import _raised
from pipeline.runner.outside import leads_outside, processes_outside
from pipeline.runner.processes import Processes
from pipeline.runner.runner import Runner


def where(runner: Runner, word: str) -> int:
    assert word == "words"
    assert (runner.ranks.rank, runner.ranks.size) == (0, 1)
    return runner.workers.threads


def test_one_process_works_where_it_is():
    before = torch.get_num_threads()
    assert Processes("cpu", threads=3).launch(where, "words") == 3
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"threads": 0}, "runner.threads: 0 is not null or a number from 1"),
        ({"devices": 0}, "runner.devices: 0 is neither auto nor a number from 1"),
        ({"devices": "all"}, "runner.devices: all is neither auto nor a number from 1"),
    ],
)
def test_numbers_must_be_positive(asked, message):
    with pytest.raises(ConfigError) as caught:
        Processes("cpu", **asked)
    assert str(caught.value) == message


@pytest.mark.parametrize("devices", [1, 3])
def test_a_device_that_is_not_there_is_refused_in_one_sentence(devices):
    with pytest.raises(ConfigError) as caught:
        Processes("tpu9", devices).launch(where, "words")
    many = "process" if devices == 1 else "processes"
    assert str(caught.value).startswith(
        f"runner.accelerator: 'tpu9' cannot be used for {devices} {many} ("
    )
    assert str(caught.value).endswith("use auto or cpu, and no more devices than there are")


def test_one_process_computes_where_lightning_would():
    from pipeline.runner.launching import chosen

    for accelerator in ("auto", "cpu"):
        expected = chosen(accelerator, 1, False).device
        assert Processes(accelerator).here().device == expected


@pytest.mark.skipif(torch.cuda.device_count() > 0, reason="there is a GPU")
def test_what_lightning_says_of_a_gpu_that_is_not_there_is_told():
    with pytest.raises(ConfigError) as caught:
        Processes("cuda").here()
    assert str(caught.value).startswith(
        "runner.accelerator: 'cuda' cannot be used for 1 process (`CUDAAccelerator` can not run on"
    )


@pytest.mark.parametrize(
    ("variables", "processes", "leads"),
    [
        ({}, 1, True),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, 1, True),  # a batch script
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}, 4, True),
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}, 4, False),
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "1"}, 2, False),
        ({"WORLD_SIZE": "2", "RANK": "1"}, 1, True),  # left over from something else
    ],
)
def test_processes_that_were_started_for_the_run_are_known(
    monkeypatch: pytest.MonkeyPatch, variables, processes, leads
):
    for name in ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "TORCHELASTIC_RUN_ID", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert processes_outside() == processes
    assert leads_outside() == leads


def test_a_sentence_is_found_in_the_traceback_of_a_process():
    text = "Traceback ...\n  File x\npipeline.errors.ImageError: images: 'a' is gone\n"
    assert str(_raised(text)) == "images: 'a' is gone"
    whole = str(_raised("Traceback ...\nZeroDivisionError: by hand\n"))
    assert whole.endswith("finished work is kept:\nTraceback ...\nZeroDivisionError: by hand")
