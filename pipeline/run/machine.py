"""The hardware that a job would use on this machine."""

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
        runner: runner of one of the processes.
        processes: number of processes.
    """

    runner: Runner
    processes: int

    @property
    def device(self) -> torch.device:
        """The device that a process uses."""
        return self.runner.device

    @property
    def threads(self) -> int:
        """Number of CPU threads of a process."""
        return self.runner.workers.threads

    @property
    def workers(self) -> int:
        """Number of batches that a process computes at a time: one per thread on a CPU."""
        return self.threads if self.device.type == "cpu" else 1

    def __str__(self) -> str:
        cuda = self.device.type == "cuda"
        name = torch.cuda.get_device_name(self.device) if cuda else self.device.type
        several = f"{self.processes} processes of " if self.processes > 1 else ""
        return f"{name}, {several}{self.threads} thread{'s' if self.threads > 1 else ''}"


def this_machine(processes: Processes) -> Machine:
    """Return the hardware that a job would use on this machine.

    Raises:
        ConfigError: the device does not exist, or there are too few of them.
    """
    runner = processes.here()
    there = 1 if runner.device.type == "cpu" else torch.accelerator.device_count()
    wanted = there if processes.devices == "auto" else int(processes.devices)
    if runner.device.type != "cpu" and wanted > there:
        raise ConfigError(
            f"runner.devices: {wanted} are requested, but this machine has {there} of"
            f" '{runner.device.type}'; use auto or at most {there}"
        )
    return Machine(runner, wanted)
