"""How a rank waits for messages from other machines."""

from __future__ import annotations

import time
from typing import Any

_SHORTEST_NAP_S, _LONGEST_NAP_S = 20e-6, 200e-6


class CollectiveRunner:
    """Makes mpi4py's calls, and sleeps until they are done.

    MPI's own blocking calls look for messages without end, and take half of a core from the
    backward pass that runs meanwhile. Asked now and then, MPI moves messages as fast as they come.

    Parameters
    ----------
    asleep : False waits in MPI's blocking calls: of a lost rank they alone tell for sure
    """

    def __init__(self, asleep: bool):
        self._asleep = asleep

    def run(self, call: str, comm: Any, *buffers: Any) -> None:
        """Make a collective call, by the name that MPI has for it, and wait until it is done."""
        if not self._asleep:
            getattr(comm, call)(*buffers)
            return
        request, nap_s = getattr(comm, f"I{call.lower()}")(*buffers), _SHORTEST_NAP_S
        while not request.Test():
            time.sleep(nap_s)
            nap_s = min(2 * nap_s, _LONGEST_NAP_S)
