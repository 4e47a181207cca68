"""What a job would run on here."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pipeline.errors import ConfigError
from pipeline.runner.processes import Processes
from pipeline.runner.runner import Runner


@dataclass(frozen=True)
class Machine:
    """The processes of a job on this machine.

    Attributes:
        runner: of one of them.
        processes: how many there are.
    """

    runner: Runner
    processes: int

    @property
    def device(self) -> torch.device:
        """What a process computes on."""
        return self.runner.device

    @property
    def threads(self) -> int:
        """CPU threads of a process."""
        return self.runner.workers.threads

    @property
    def workers(self) -> int:
        """How many batches a process computes at a time: one on every thread of a CPU."""
        return self.threads if self.device.type == "cpu" else 1

    def __str__(self) -> str:
        cuda = self.device.type == "cuda"
        name = torch.cuda.get_device_name(self.device) if cuda else self.device.type
        several = f"{self.processes} processes of " if self.processes > 1 else ""
        return f"{name}, {several}{self.threads} thread{'s' if self.threads > 1 else ''}"


def this_machine(processes: Processes) -> Machine:
    """Return what a job would run on here.

    Raises:
        ConfigError: the device is not there, or not as many devices.
    """
    runner = processes.here()
    there = 1 if runner.device.type == "cpu" else torch.accelerator.device_count()
    wanted = there if processes.devices == "auto" else int(processes.devices)
    if runner.device.type != "cpu" and wanted > there:
        raise ConfigError(
            f"runner.devices: {wanted} are asked for, and this machine has {there} of"
            f" '{runner.device.type}'; use auto or at most {there}"
        )
    return Machine(runner, wanted)
