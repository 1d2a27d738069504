"""Several processes of one training on this machine, started and watched by torch's elastic agent, and started again where one is lost.

A lost process is worth another start; a mistake is not, and would be made again: so the agent itself starts nothing twice, and what is done
next is decided here, by how the processes ended. Not here: what the processes do (`nnspec.training.ranks` and whoever asks it).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from nnspec.training.errors import TrainingError
from nnspec.training.ranks import LOST, RESTARTS

#: Seconds that processes have to keep a checkpoint after a signal, before they are killed.
_TO_SAVE = 30


def launch(arguments: Sequence[str], processes: int, restarts: int, told: Callable[[str], None]) -> int:
    """Run `python -m nnspec ARGUMENTS` in so many processes; returns the exit code that stands for all.

    0 where all ended well, else that of the first one that failed; 128 + n after signal n. Where a process is killed or lost, all are
    started again, up to `restarts` times, with the number of starts in their environment.
    """
    _hush()
    around = dict(os.environ)
    try:
        return _until_done(arguments, processes, restarts, told)
    finally:
        os.environ.clear()
        os.environ.update(around)


def _until_done(arguments: Sequence[str], processes: int, restarts: int, told: Callable[[str], None]) -> int:
    identity, code = uuid.uuid4().hex, 0
    for start in range(restarts + 1):
        code, reason = _once(arguments, processes, identity, start)
        if not reason:
            return code
        if start < restarts:
            told(f"{reason}; starting all again ({start + 1} of {restarts})")
        else:
            told(f"{reason}; {'no restart is left' if restarts else 'with --max-restarts N all would be started again'}")
    return code


def check_alone(environment: Mapping[str, str] = os.environ) -> None:
    """Raises TrainingError where this process is one of several already."""
    if environment.get("WORLD_SIZE") and environment.get("RANK"):
        raise TrainingError(
            f"this is already rank {environment['RANK']} of {environment['WORLD_SIZE']} processes (WORLD_SIZE is set): start it without --nproc"
        )


def _once(arguments: Sequence[str], processes: int, identity: str, start: int) -> tuple[int, str]:
    """One start: the exit code, and why another start may help ("" where it cannot)."""
    os.environ[RESTARTS] = str(start)
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // processes, 1)))
    with TemporaryDirectory() as logs:
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=processes, run_id=identity, rdzv_backend="c10d", rdzv_endpoint="localhost:0",
            max_restarts=0, local_addr="localhost", shutdown_timeout=_TO_SAVE, logs_specs=DefaultLogsSpecs(log_dir=logs),
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-m", "nnspec", *arguments)
        except SignalException as error:
            return 128 + int(error.sigval), ""
        except ChildFailedError as error:
            return _verdict(error.failures)
    return 0, ""


def _verdict(failures: Mapping[int, Any]) -> tuple[int, str]:
    """The exit code of the process that failed for a reason of its own, and why another start may help.

    Where one fails, the agent ends the others by SIGTERM, and they lose the connection: neither is a reason.
    """
    codes = {rank: int(failure.exitcode) for rank, failure in sorted(failures.items())}
    killed = [rank for rank, code in codes.items() if code < 0 and code != -signal.SIGTERM]
    failed = [rank for rank, code in codes.items() if code > 0 and code != LOST]
    ended = [*killed, *(rank for rank, code in codes.items() if code == -signal.SIGTERM)]
    if failed and not killed:
        return codes[failed[0]], ""
    if not ended:
        return LOST, "a process was lost"
    return 128 - codes[ended[0]], f"rank {ended[0]} was ended by signal {-codes[ended[0]]}"


def _hush() -> None:
    """The agent tells in its log what is told here in a sentence."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
