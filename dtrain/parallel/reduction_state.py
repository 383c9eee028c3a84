"""The order of calls in a bucket's reduction, as a state machine that refuses any other order."""

from __future__ import annotations

import enum


class ReductionState(enum.Enum):
    """Where the gradients of a bucket are in a step."""

    #: outside a step: the bucket has the mean of the last step, or nothing yet
    IDLE = "idle"
    #: a step runs, but no gradient has come; pre-existing gradients are still in the bucket
    BEGUN = "begun"
    #: pre-existing gradients are set aside; microbatches add to the partial sums
    ACCUMULATING = "accumulating"
    #: the partial sums of this rank are complete
    CLOSED = "closed"
    #: the ranks exchange partial sums, which are no longer this rank's alone
    REDUCING = "reducing"
    #: the mean over all ranks is here, but not yet in the bucket
    REDUCED = "reduced"


_S = ReductionState
#: for each action the state in which it is allowed, and the state after it
_TRANSITIONS: dict[str, tuple[ReductionState, ReductionState]] = {
    "begin": (_S.IDLE, _S.BEGUN),
    "set_aside": (_S.BEGUN, _S.ACCUMULATING),
    "push": (_S.ACCUMULATING, _S.ACCUMULATING),
    "close": (_S.ACCUMULATING, _S.CLOSED),
    "reduce": (_S.CLOSED, _S.REDUCING),
    "reduced": (_S.REDUCING, _S.REDUCED),
    "commit": (_S.REDUCED, _S.IDLE),
}


class ReductionStateMachine:
    """Advances the state of one bucket's reduction by actions.

    =============  ============  ============  ==================================================
    action         from          to            the bucket reducer
    =============  ============  ============  ==================================================
    ``begin``      idle          begun         learns the step's microbatches
    ``set_aside``  begun         accumulating  moves pre-existing gradients out of the bucket
    ``push``       accumulating  accumulating  adds one microbatch's gradients
    ``close``      accumulating  closed        adds zeros for the microbatches without gradients
    ``reduce``     closed        reducing      starts the exchange with the other ranks
    ``reduced``    reducing      reduced       has the mean
    ``commit``     reduced       idle          puts the mean into the bucket
    ``roll_back``  any           idle          restores the bucket as it was before the step
    =============  ============  ============  ==================================================

    An exchange that raised stays in ``reducing``: it can only be rolled back. A step in which no
    rank got a gradient is rolled back from ``begun``.

    >>> machine = ReductionStateMachine()
    >>> machine.advance("begin")
    >>> machine.advance("push")
    Traceback (most recent call last):
    RuntimeError: reduction of a bucket: push is allowed when accumulating, the bucket is begun
    """

    state: ReductionState

    def __init__(self) -> None:
        self.state: ReductionState = ReductionState.IDLE

    def advance(self, action: str) -> None:
        """Go on to the state after `action`.

        Raises
        ------
        RuntimeError
            If the action is not allowed in this state, which then stays.
        """
        allowed, after = _TRANSITIONS[action]
        if self.state is not allowed:
            raise RuntimeError(
                f"reduction of a bucket: {action} is allowed when {allowed.value}, the bucket is "
                f"{self.state.value}"
            )
        self.state = after

    def roll_back(self) -> bool:
        """Go back to idle from any state; returns whether pre-existing gradients are set aside."""
        is_set_aside = self.state not in (ReductionState.IDLE, ReductionState.BEGUN)
        self.state = ReductionState.IDLE
        return is_set_aside
