"""What a rank knows of its job: its name, how often it was restarted, whether it is to stop.

`dtrain run` tells the ranks by environment variables and signals; `python script.py` and
`dtrain debug` have the signals alone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

from dtrain import env
from dtrain.distributed import world
from dtrain.distributed.context import process, run_context
from dtrain.distributed.elastic.transaction import recoverable
from dtrain.distributed.launcher_variables import launched_world_size

#: The exit status of a script that stopped on request, with a checkpoint to go on from:
#: EX_TEMPFAIL of sysexits.h, "try again". Not 143, which is also that of a killed script.
STOPPED = 75
#: The exit status of a script that exits so that `dtrain run` replaces its failed ranks.
RESPAWN = 76

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def job_name() -> str | None:
    """The name of the job, the same after each restart; None without a launcher.

    It is ``DTRAIN_JOB`` if that is set, as in a batch script that may be queued again; otherwise
    `dtrain run` draws one.

    Examples
    --------
    >>> from dtrain import distributed
    >>> print(distributed.job_name())
    None
    """
    return env.JOB.read()


def restart_count() -> int:
    """How often `dtrain run` has restarted this job (torchrun's TORCHELASTIC_RESTART_COUNT).

    Examples
    --------
    >>> from dtrain import distributed
    >>> distributed.restart_count()
    0
    """
    return env.RESTART_COUNT.read()


def stop_requested() -> bool:
    """Whether any rank was asked to stop by SIGTERM, SIGINT or SIGUSR1.

    Every rank calls it once a step: it gathers a flag from all ranks, and returns the same on all
    of them. A script then writes a checkpoint and exits with ``STOPPED``. From the first call on
    these signals do not end the program at once; a second one does.

    Returns
    -------
    bool, the same on all ranks; once True, it stays True

    Examples
    --------
    >>> for step in loader.steps():  # doctest: +SKIP
    ...     train(step)
    ...     if distributed.stop_requested():
    ...         save_checkpoint("runs", step, model=model)
    ...         sys.exit(distributed.STOPPED)
    """
    if not process.handles_stop_signals:
        process.handles_stop_signals = True
        if threading.current_thread() is threading.main_thread():
            install_signal_handlers()
    context = run_context()
    if not context.stop_agreed:
        context.stop_agreed = _any_rank(process.stop_signal_received, "a signal to stop")
    return context.stop_agreed


@recoverable
def _any_rank(value: bool, what: str) -> bool:
    return any(world.communicator().allgather(value, what))


def exit_for_respawn(checkpoint_written: bool) -> None:
    """End the script if ranks failed and are to be replaced, and a rank wrote a checkpoint.

    For ``dtrain run --elastic --respawn``. Between transactions all survivors know of the same
    failures.
    """
    launched = launched_world_size() or 1
    context = run_context()
    if not env.RESPAWN.read() or context.stop_agreed or context.in_transaction:
        return
    if world.world_size() < launched and _any_rank(checkpoint_written, "a written checkpoint"):
        context.respawn_agreed = True
        sys.exit(RESPAWN)


def is_collective_exit(status: object) -> bool:
    """Whether all ranks exit with this status, so that none needs to be aborted."""
    context = run_context()
    return (status == STOPPED and context.stop_agreed) or (
        status == RESPAWN and context.respawn_agreed
    )


def install_signal_handlers() -> None:
    """Note signals that would end the program, unless the script has handlers of its own."""
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            process.replaced_handlers[number] = handler
            signal.signal(number, _handle_signal)


def restore_signal_handlers() -> None:
    """Undo `install_signal_handlers`."""
    while process.replaced_handlers:
        signal.signal(*process.replaced_handlers.popitem())


def _handle_signal(number: int, frame: FrameType | None) -> None:
    restore_signal_handlers()
    if not process.handles_stop_signals:
        os.kill(os.getpid(), number)
        return
    process.stop_signal_received = True
    if launched_world_size() is None:  # `dtrain run` prints it for all ranks
        name = signal.Signals(number).name
        print(
            f"dtrain: {name}: stops after this step; a second signal ends it at once",
            file=sys.stderr,
        )
