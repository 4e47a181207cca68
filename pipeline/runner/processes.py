"""Starting the processes of a run, through Lightning Fabric.

One process runs where it is. Several on one machine are started here. Under ``srun`` or
``torchrun`` every process has been started already and finds the others.
"""

# Lightning and torch do not mark what they export.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import re
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning_fabric.strategies import DDPStrategy
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from pipeline.errors import ArtiphysError, ConfigError, first_line
from pipeline.runner.outside import processes_outside
from pipeline.runner.ranks import RankError, Ranks
from pipeline.runner.runner import Runner
from pipeline.runner.stopping import STOPPED, Stopped, listen

# It tells of every process that joins.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

PATIENCE = timedelta(minutes=10)  # for all processes to have been started
# Lightning would take them for those of a launcher that has started other processes.
_LEFT_OVER = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK")
FAREWELL = 30.0  # seconds that stopped processes have to end by themselves


@dataclass(frozen=True)
class Processes:
    """How many processes work on a run, and on what.

    Attributes:
        accelerator: ``auto`` (what the machine has), ``cpu``, ``cuda`` or ``mps``.
        devices: processes on this machine, each on its own device; ``auto`` for one on every GPU.
        threads: CPU threads of each; its share of the cores by default.

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

    def launch(self, work: Callable[..., int], *arguments: Any) -> int:
        """Call ``work(runner, *arguments)`` in every process and return what the leader returns.

        Args:
            work: a function of a module, which other processes can import.
            arguments: plain data.

        Raises:
            ConfigError: the device is not there, or Slurm's tasks cannot be used.
            RankError: a process has failed; what it said itself is on its standard error.
        """
        outside = processes_outside()
        if outside == 1:
            for name in _LEFT_OVER:
                os.environ.pop(name, None)
        fabric = self._fabric(outside > 1)
        if outside == 1 and fabric.world_size > 1:
            return _supervised(fabric, self.threads, work, arguments)
        try:
            fabric.launch()
        except RuntimeError as error:
            raise ConfigError(f"runner: the processes do not find each other ({error})") from error
        return _work(fabric, self.threads, work, arguments)

    def here(self) -> Runner:
        """Return the runner of this one process alone.

        Raises:
            ConfigError: the device is not there.
        """
        fabric = Processes(self.accelerator, 1, self.threads)._fabric(False)
        return Runner(Ranks(fabric), fabric.device, self.threads or torch.get_num_threads())

    def _fabric(self, outside: bool) -> Fabric:
        """Return Fabric for the processes that there are, or are to be."""
        devices: int | str = self.devices
        nodes = 1
        environment: ClusterEnvironment = LightningEnvironment()
        if outside:
            environment, devices, nodes = _environment_outside()
        elif devices == "auto" and self.accelerator == "cpu":
            devices = 1
        # Only item numbers and sentences pass between processes: gloo does, on any device.
        strategy: Any = DDPStrategy(
            start_method="popen" if outside else "spawn",
            process_group_backend="gloo",
            cluster_environment=environment,
            timeout=PATIENCE,
        )
        alone = not outside and devices == 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of GPUs or an srun that are not used
                fabric = Fabric(
                    accelerator=self.accelerator,
                    devices=devices,
                    num_nodes=nodes,
                    strategy="auto" if alone else strategy,
                    plugins=[environment] if alone else None,
                )
            if alone:
                torch.zeros(1, device=fabric.device).item()
        except Exception as error:  # Lightning raises many kinds for a device that is not there
            reason = first_line(error, 160)
            raise ConfigError(
                f"runner.accelerator: '{self.accelerator}' cannot be used for {devices} process"
                f"{'' if devices == 1 else 'es'} ({reason}); use auto or cpu, and no more devices"
                " than there are"
            ) from error
        return fabric


def fabric(
    accelerator: str = "auto", devices: int | str = 1, threads: int | None = None
) -> Processes:
    """Return the processes that a run is to have (see ``Processes``)."""
    return Processes(accelerator, devices, threads)


def _environment_outside() -> tuple[ClusterEnvironment, int, int]:
    """Return Lightning's view of srun or torchrun, processes on each machine, and machines."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return TorchElasticEnvironment(), local, int(os.environ["WORLD_SIZE"]) // local
    tasks, nodes = processes_outside(), int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))
    if tasks % nodes:
        raise ConfigError(
            f"runner: Slurm started {tasks} tasks on {nodes} nodes; start as many on each, with"
            " --ntasks-per-node"
        )
    # As --ntasks alone leaves it unset, which Lightning refuses.
    os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(tasks // nodes))
    return SLURMEnvironment(auto_requeue=False), tasks // nodes, nodes


def _work(fabric: Fabric, threads: int | None, work: Callable[..., int], arguments: Any) -> int:
    """Do the work of one process."""
    ranks = Ranks(fabric)
    own = int(os.environ.get("SLURM_CPUS_PER_TASK", "0")) if ranks.size > 1 else 0
    runner = Runner(ranks, fabric.device, threads or own or torch.get_num_threads())
    try:
        code = work(runner, *arguments)
        ranks.leave()
    except BaseException as error:
        ranks.fail(error)
        raise
    return code


def _started(
    fabric: Fabric, threads: int | None, work: Callable[..., int], packed: bytes, parent: int
) -> int:
    """Do the work of a process that was started here, by ``parent``."""
    listen()
    if os.getppid() != parent:  # killed while this process was still loading
        raise SystemExit(STOPPED)
    try:
        return _work(fabric, threads, work, pickle.loads(packed))
    except (Stopped, KeyboardInterrupt):
        raise SystemExit(STOPPED) from None


def _supervised(
    fabric: Fabric, threads: int | None, work: Callable[..., int], arguments: Any
) -> int:
    """Start processes on this machine and wait for them."""
    try:
        # Packed, as Fabric would take plain data apart to look for modules in it.
        packed = pickle.dumps(arguments)
        return fabric.launch(cast("Any", _started), threads, work, packed, os.getpid())
    except ProcessRaisedException as error:
        raise _raised(str(error)) from None
    except ProcessExitedException as error:
        if error.exit_code == STOPPED or error.signal_name in ("SIGTERM", "SIGUSR1"):
            raise Stopped("SIGTERM") from None
        ended = (
            f"was killed ({error.signal_name}), perhaps for want of memory"
            if error.signal_name
            else f"has ended with exit code {error.exit_code}"
        )
        raise RankError(
            f"runner: process {error.error_index} of {fabric.world_size} {ended}; finished work is"
            " kept"
        ) from None
    except BaseException:
        _stop_children()
        raise


def _raised(text: str) -> ArtiphysError:
    """Return what a process raised, of which its traceback alone arrives here."""
    found = re.search(r"^pipeline\.[\w.]+Error: (.*)", text, re.MULTILINE | re.DOTALL)
    if found:
        return ArtiphysError(found[1].strip())
    return RankError(f"runner: a process has failed; finished work is kept:\n{text.strip()}")


def _stop_children() -> None:
    """Have the processes of this run end, each as it would by itself when it is told to stop."""
    children = multiprocessing.active_children()
    for child in children:
        with suppress(OSError, TypeError):
            os.kill(child.pid or 0, signal.SIGTERM)
    for child in children:
        child.join(FAREWELL)
