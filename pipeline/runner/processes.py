"""The processes of a run: a single one works in place; several are started by Lightning Fabric.

Fabric takes longer to load than torch, so it is loaded only for several processes, or for devices
that only it supports.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import ConfigError
from pipeline.runner.outside import processes_outside
from pipeline.runner.ranks import Ranks
from pipeline.runner.runner import Runner, work_as

# Lightning would read these as a launcher's and expect other processes.
_LEFT_OVER = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK")


@dataclass(frozen=True)
class Processes:
    """The number of processes of a run, and their devices.

    Attributes:
        accelerator: ``auto`` (what the machine has), ``cpu``, ``cuda`` or ``mps``.
        devices: processes on this machine, each on its own device; ``auto`` for one on every GPU.
        threads: CPU threads of each process; by default, its share of the cores.

    Raises:
        ConfigError: a number is not positive.
    """

    accelerator: str = "auto"
    devices: int | str = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"runner.threads: {self.threads} is not null or a number from 1")
        if self.devices != "auto" and (isinstance(self.devices, str) or self.devices < 1):
            raise ConfigError(f"runner.devices: {self.devices} is neither auto nor a number from 1")

    def launch(self, work: Callable[..., int], *arguments: Any, place: Path = Path()) -> int:
        """Call ``work(runner, *arguments)`` in every process and return what the leader returns.

        Args:
            work: a function of a module, which other processes can import.
            arguments: plain data.
            place: a folder that all processes see, where those of a launcher find each other.

        Raises:
            ConfigError: the device is not there, or Slurm's tasks cannot be used.
            RankError: a process has failed; what it said itself is on its standard error.
        """
        outside = processes_outside() > 1
        if not outside:
            for name in _LEFT_OVER:
                os.environ.pop(name, None)
        devices = 1 if (self.accelerator, self.devices) == ("cpu", "auto") else self.devices
        device = None if outside or devices != 1 else _own_device(self.accelerator)
        if device is not None:
            return work_as(Ranks(), device, self.threads, work, arguments)
        from pipeline.runner.launching import chosen, launch  # slow to load

        fabric = chosen(self.accelerator, devices, outside)
        return launch(fabric, self.threads, work, arguments, place)

    def here(self) -> Runner:
        """Return the runner for this process alone.

        Raises:
            ConfigError: the device does not exist.
        """
        device = _own_device(self.accelerator)
        if device is None:
            from pipeline.runner.launching import chosen  # slow to load

            device = chosen(self.accelerator, 1, False).device
        return Runner(Ranks(), device, self.threads or torch.get_num_threads())


def fabric(
    accelerator: str = "auto", devices: int | str = 1, threads: int | None = None
) -> Processes:
    """Return the configured processes of a run (see ``Processes``)."""
    return Processes(accelerator, devices, threads)


def _own_device(accelerator: str) -> torch.device | None:
    """Return the device of a single process, as Lightning would choose it.

    ``None`` if Lightning itself must decide: for other devices, or to explain why one cannot be
    used.
    """
    if accelerator == "auto" and not (find_spec("torch_xla") or torch.backends.mps.is_available()):
        accelerator = "cuda" if torch.cuda.device_count() else "cpu"
    if accelerator == "cpu":
        return torch.device("cpu")
    if accelerator == "cuda" and torch.cuda.device_count():
        try:
            return torch.zeros(1, device="cuda:0").device
        except RuntimeError:  # Lightning tries again, and reports the error
            return None
    return None
