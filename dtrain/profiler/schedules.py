"""`schedule`: which steps a profiler skips, warms up in and records."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class ProfilerAction(Enum):
    """What a profiler does during a step (torch.profiler.ProfilerAction)."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def schedule(
    *,
    wait: int,
    warmup: int,
    active: int,
    repeat: int = 0,
    skip_first: int = 0,
    skip_first_wait: int = 0,
) -> Callable[[int], ProfilerAction]:
    """The action at each step: cycles of waiting, warming up and recording.

    Mirrors torch.profiler.schedule.

    Parameters
    ----------
    wait, warmup, active : the steps of a cycle; the last active one ends by
        `on_trace_ready`
    repeat : the number of cycles; 0: without end
    skip_first : steps before the first cycle
    skip_first_wait : if not 0, the first cycle does not wait

    >>> act = schedule(wait=1, warmup=1, active=1, repeat=1)
    >>> [act(step).name for step in range(4)]
    ['NONE', 'WARMUP', 'RECORD_AND_SAVE', 'NONE']
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active < 1:
        raise ValueError(
            "schedule: expected wait, warmup, repeat and skip_first of at least 0 and active of "
            f"at least 1, got {wait}, {warmup}, {repeat}, {skip_first} and {active}"
        )

    def act(step: int) -> ProfilerAction:
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait:
            step += wait
        cycle, place = divmod(step, wait + warmup + active)
        if (repeat and cycle >= repeat) or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        last = place == wait + warmup + active - 1
        return ProfilerAction.RECORD_AND_SAVE if last else ProfilerAction.RECORD

    return act
