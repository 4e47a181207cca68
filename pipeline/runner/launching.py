"""Several processes for a run, started here or by a launcher, through Lightning Fabric.

Several on one machine are started here. Under ``srun`` or ``torchrun`` every process has been
started already and finds the others.
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
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
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
from pipeline.runner.outside import launch_id, machines_outside, processes_outside
from pipeline.runner.ranks import RankError, Ranks
from pipeline.runner.rendezvous import Board, FarBoard, Host, OwnBoard, meet
from pipeline.runner.runner import work_as
from pipeline.runner.stopping import STOPPED, Stopped, listen

# It logs every process that joins.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

PATIENCE = 600.0  # seconds for all processes to start
FAREWELL = 30.0  # seconds for stopped processes to end by themselves


def launch(
    fabric: Fabric, threads: int | None, work: Callable[..., int], arguments: Any, place: Path
) -> int:
    """Call ``work(runner, *arguments)`` in every process and return what the leader returns.

    Args:
        fabric: as ``chosen`` returns it.
        threads: CPU threads of each process, or its share of the cores.
        work: a function of a module, which other processes can import.
        arguments: plain data.
        place: a folder visible to all processes, where those of a launcher find each other.

    Raises:
        ConfigError: the processes cannot meet.
        RankError: a process has failed; its own message is on its standard error.
    """
    outside = processes_outside() > 1
    if not outside and fabric.world_size > 1:
        return _supervised(fabric, threads, work, arguments)
    fabric.launch()
    return _work(fabric, _met(fabric, place) if outside else None, threads, work, arguments)


def chosen(accelerator: str, devices: int | str, outside: bool) -> Fabric:
    """Return Fabric for the existing or requested processes.

    Args:
        accelerator: and ``devices``, as in ``Processes``.
        devices: number of processes to start here.
        outside: whether a launcher has started them.

    Raises:
        ConfigError: the device does not exist, or Slurm's tasks cannot be used.
    """
    nodes = 1
    environment: ClusterEnvironment = LightningEnvironment()
    if outside:
        environment, devices, nodes = _environment_outside()
    start = "popen" if outside else "spawn"
    strategy: Any = _Unconnected(start_method=start, cluster_environment=environment)
    alone = not outside and devices == 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about unused GPUs or srun
            fabric = Fabric(
                accelerator=accelerator,
                devices=devices,
                num_nodes=nodes,
                strategy="auto" if alone else strategy,
                plugins=[environment] if alone else None,
            )
        if alone:
            torch.zeros(1, device=fabric.device).item()
    except Exception as error:  # Lightning raises various errors for missing devices
        reason = first_line(error, 160)
        raise ConfigError(
            f"runner.accelerator: '{accelerator}' cannot be used for {devices} process"
            f"{'' if devices == 1 else 'es'} ({reason}); use auto or cpu, and no more devices"
            " than there are"
        ) from error
    return fabric


class _Unconnected(DDPStrategy):
    """Processes with numbers and devices, but no process group of torch's.

    A process group would listen on all interfaces and trust any connection. The processes of a run
    only exchange item numbers and sentences, over their own board.
    """

    def _setup_distributed(self) -> None:
        self._set_world_ranks()


def _environment_outside() -> tuple[ClusterEnvironment, int, int]:
    """Return Lightning's view of srun or torchrun, processes on each machine, and machines."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return TorchElasticEnvironment(), int(os.environ["LOCAL_WORLD_SIZE"]), machines_outside()
    tasks, nodes = processes_outside(), machines_outside()
    if tasks % nodes:
        raise ConfigError(
            f"runner: Slurm started {tasks} tasks on {nodes} nodes; start as many on each, with"
            " --ntasks-per-node"
        )
    # With --ntasks alone it is unset, which Lightning rejects.
    os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(tasks // nodes))
    return SLURMEnvironment(auto_requeue=False), tasks // nodes, nodes


def _met(fabric: Fabric, place: Path) -> Board:
    """Return the board of processes that a launcher has started."""
    environment = cast("DDPStrategy", fabric.strategy).cluster_environment
    name = None
    if environment is not None and machines_outside() > 1:
        name = environment.main_address
    file = place / f".meeting-{launch_id()}"
    return meet(fabric.global_rank, fabric.world_size, file, name, PATIENCE)


def _work(
    fabric: Fabric,
    board: Board | None,
    threads: int | None,
    work: Callable[..., int],
    arguments: Any,
) -> int:
    """Do the work of one process."""
    ranks = Ranks(fabric.global_rank, fabric.world_size, board)
    own = int(os.environ.get("SLURM_CPUS_PER_TASK", "0")) if ranks.size > 1 else 0
    return work_as(ranks, fabric.device, threads or own or None, work, arguments)


def _started(
    fabric: Fabric, threads: int | None, work: Callable[..., int], packed: bytes, parent: int
) -> int:
    """Do the work of a process that was started here, by ``parent``."""
    listen()
    if os.getppid() != parent:  # killed while this process was still loading
        raise SystemExit(STOPPED)
    try:
        invitation, arguments = pickle.loads(packed)
        return _work(fabric, FarBoard(invitation), threads, work, arguments)
    except (Stopped, KeyboardInterrupt):
        raise SystemExit(STOPPED) from None


def _supervised(
    fabric: Fabric, threads: int | None, work: Callable[..., int], arguments: Any
) -> int:
    """Start processes on this machine and wait for them."""
    host = _host()
    try:
        # Packed, as Fabric would search plain data for modules.
        packed = pickle.dumps((host.invitation, arguments))
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
    finally:
        host.close()


def _host() -> Host:
    try:
        return Host(OwnBoard())
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(
            f"runner: the processes cannot meet in '{tempfile.gettempdir()}' ({reason}); set TMPDIR"
            " to another folder with a short name"
        ) from error


def _raised(text: str) -> ArtiphysError:
    """Return the error of a process, from its traceback."""
    found = re.search(r"^pipeline\.[\w.]+Error: (.*)", text, re.MULTILINE | re.DOTALL)
    if found:
        return ArtiphysError(found[1].strip())
    return RankError(f"runner: a process has failed; finished work is kept:\n{text.strip()}")


def _stop_children() -> None:
    """Stop the processes of this run, each as if it had received a stop signal itself."""
    children = multiprocessing.active_children()
    for child in children:
        with suppress(OSError, TypeError):
            os.kill(child.pid or 0, signal.SIGTERM)
    for child in children:
        child.join(FAREWELL)
