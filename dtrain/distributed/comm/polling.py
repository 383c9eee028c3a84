"""How a rank waits for the others, by polling."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dtrain.distributed.watchdog.collective_log import CollectiveLog

_SHORTEST_NAP_S, _LONGEST_NAP_S = 20e-6, 200e-6


def poll(is_done: Callable[[], bool], check: Callable[[], object] | None = None) -> None:
    """Wait for a condition with short sleeps, which leave the core to other threads.

    check : called before each sleep; it may raise
    """
    nap_s = _SHORTEST_NAP_S
    while not is_done():
        if check is not None:
            check()
        time.sleep(nap_s)
        nap_s = min(2 * nap_s, _LONGEST_NAP_S)


class CollectiveRunner:
    """Makes mpi4py's collective calls, and sleeps between polls until they are complete.

    MPI's own blocking calls poll without pause, and take half of a core from the backward pass that
    runs meanwhile. Polled every 20 to 200 us, MPI moves messages equally fast.

    Parameters
    ----------
    asleep : False waits in MPI's blocking calls, which alone report a failed rank reliably
    log : the communicator's; the watchdog sees there whether messages come through
    """

    def __init__(self, asleep: bool, log: CollectiveLog):
        self._asleep, self._log = asleep, log

    def run(self, call: str, comm: Any, *buffers: Any, received_bytes: int = 0) -> None:
        """Make the collective call of that MPI name, and wait until it is complete."""
        if self._asleep:
            self._sleep_through(call, comm, *buffers)
        else:
            getattr(comm, call)(*buffers)
        self._log.received_bytes += received_bytes

    def _sleep_through(self, call: str, comm: Any, *buffers: Any) -> None:
        poll(getattr(comm, f"I{call.lower()}")(*buffers).Test)
