"""pdb on one rank of `dtrain debug`: at breakpoint(), before a step, after an exception."""

from __future__ import annotations

import os
import pdb  # noqa: T100  the command is a debugger
import sys
from types import FrameType, TracebackType
from typing import Any, TextIO

from dtrain.autograd import is_grad_enabled
from dtrain.distributed import world
from dtrain.distributed.step import Step
from dtrain.distributed.watchdog.call_site import is_user_frame


class RankDebugger(pdb.Pdb):
    """The debugger of one rank; the other ranks run until they wait for this one.

    Parameters
    ----------
    rank : the rank to debug
    terminal : where the debugger writes
    step : the step before which it opens, as `DataLoader` counts over all epochs; None for never
    """

    def __init__(self, rank: int, terminal: TextIO, step: int | None = None):
        # Stepping out of the script's last line must not lead into the code that runs the script.
        runner = [
            "dtrain.distributed.debug.run_script",
            "dtrain.distributed.comm.threads",
            "threading",
        ]
        super().__init__(stdin=sys.__stdin__, stdout=terminal, skip=runner)
        self.prompt: str = f"(rank {rank}) "
        self.use_rawinput: bool = os.isatty(0) and terminal.isatty()
        self._rank, self._step = rank, step
        self._steps: tuple[int, int] | None = None  # the first and the last step that began
        self._opened_at_step = False

    def breakpoint_hook(self, *_: Any, **__: Any) -> None:
        """Called by `breakpoint()` on every rank: opens the debugger on its own rank."""
        if world.current_rank() == self._rank:
            sys.settrace(None)  # while pdb itself runs; the user may have come here by `next`
            self.set_trace(sys._getframe(1))

    def before_step(self, step: Step) -> None:
        """Called on every rank before its first microbatch of a step.

        A loop without gradients is an evaluation: its loader's steps do not count.
        """
        if world.current_rank() != self._rank or not is_grad_enabled():
            return
        self._steps = ((self._steps or (step.number,))[0], step.number)
        if step.number == self._step:
            self._opened_at_step = True
            self._open(_find_user_frame(sys._getframe(1)))

    def explain_missed_step(self) -> str | None:
        """Why the debugger never opened before its step; None if it did, or had no step."""
        if self._step is None or self._opened_at_step:
            return None
        made = "no step" if self._steps is None else f"steps {self._steps[0]} to {self._steps[1]}"
        return f"--step {self._step}: rank {self._rank} began {made}: the debugger never opened"

    def post_mortem(self, trace: TracebackType | None) -> None:
        """Open the debugger where an exception was raised."""
        sys.settrace(None)
        self.reset()
        self.interaction(None, trace)

    def _open(self, frame: FrameType) -> None:
        """Open at once in a calling frame; pdb itself would open at that frame's next line.

        The prompt must run inside a trace function, where Python traces nothing.
        """

        def opened(*_: Any) -> None:
            sys.settrace(self.trace_dispatch)
            self.trace_dispatch(frame, "line", None)

        sys.settrace(None)
        self.set_trace(frame)
        sys.settrace(opened)
        (lambda: None)()


def _find_user_frame(frame: FrameType) -> FrameType:
    """The nearest user frame at or above `frame`; the outermost frame if there is none."""
    while not is_user_frame(frame) and frame.f_back is not None:
        frame = frame.f_back
    return frame
