"""The state of a run: a `RunContext` for each rank, and one `ProcessContext` for the process.

Under MPI a process is one rank. Under `dtrain debug` and `run_ranks` the ranks are threads, with a
RunContext each. Everything else that outlives a call is a cache, or an object that the user holds.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dtrain import env

if TYPE_CHECKING:
    from dtrain.distributed.comm.communicator import Communicator
    from dtrain.distributed.process_group import ProcessGroup
    from dtrain.distributed.step import Microbatch, Step, StepReduction
    from dtrain.distributed.trace.timeline import Row


@dataclass
class RunContext:
    """The state of one rank, which its own thread alone reads and writes."""

    #: the ranks of this run; None until something needs them
    communicator: Communicator | None = None
    #: the group of all ranks (torch.distributed.group.WORLD), once something has asked for it
    world_group: ProcessGroup | None = None
    #: the backend's name that `init_process_group` was given; None before it
    backend: str | None = None
    #: whose loop body runs now: random draws and statistics belong to it
    microbatch: Microbatch | None = None
    #: what is reduced at the end of each step
    step_reductions: list[weakref.ref[StepReduction]] = field(default_factory=list)
    #: whether a DataLoader has given this rank its part of a step
    has_sharded_steps: bool = False
    #: the number of steps of each optimizer that were looked at for gradients that are not reduced
    optimizer_steps: weakref.WeakKeyDictionary[object, int] = field(
        default_factory=weakref.WeakKeyDictionary
    )
    #: whether this rank runs a transaction, which may be rolled back
    in_transaction: bool = False
    #: whether all ranks know that the job is to stop
    stop_agreed: bool = False
    #: whether all ranks exit so that `dtrain run` replaces the failed ones
    respawn_agreed: bool = False


@dataclass
class Replay:
    """The checkpoint that `dtrain debug --replay` gives a script, whichever it asks for."""

    checkpoint: Path
    loaded_by: set[int] = field(default_factory=set)  #: ranks that have loaded it


@dataclass
class ProcessContext:
    """The state that all ranks of this process share."""

    #: whether the script asks `stop_requested`; one that never does ends at the first signal
    handles_stop_signals: bool = False
    #: whether a signal asked this process to stop; the other processes may not know yet
    stop_signal_received: bool = False
    #: the handlers that `install_signal_handlers` has replaced, by signal number
    replaced_handlers: dict[int, Any] = field(default_factory=dict)
    #: set once this process aborts the job: it then waits for no other rank
    job_is_aborting: threading.Event = field(default_factory=threading.Event)
    #: told to `dtrain run`: that this rank joins the others ("joining"), or has done so ("joined")
    report_start: Callable[[Literal["joining", "joined"]], None] = lambda _: None
    #: long work of this process for which other ranks wait, and when it began
    activity: tuple[str, float] | None = None
    #: what `dtrain debug --replay` resumes from
    replay: Replay | None = None
    #: called on every rank before its first microbatch of a step, by `dtrain debug`
    before_step: Callable[[Step], None] | None = None
    #: the recorded spans of each thread, if a timeline is wanted
    timeline: list[Row] = field(default_factory=list)
    #: whether the user was told that BLAS is limited to fewer threads
    blas_limit_announced: bool = False


class _ThreadLocal(threading.local):
    def __init__(self) -> None:
        self.context = RunContext()


_local = _ThreadLocal()

#: the state of this process
process: ProcessContext = ProcessContext()


def _leave_world_after_fork() -> None:
    """In a process that a rank forked: it is no rank, and may not use the rank's MPI."""
    if env.RANK_PROCESS.is_set():
        _local.context = RunContext()
        process.timeline.clear()


os.register_at_fork(after_in_child=_leave_world_after_fork)


def run_context() -> RunContext:
    """The state of the rank that this thread is."""
    return _local.context
