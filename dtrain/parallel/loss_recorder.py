"""The mean over all ranks of the losses of a step, for optimizers that compare losses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.backward_pass import is_backward_running
from dtrain.autograd.gradient import observe_backward
from dtrain.backend import to_host
from dtrain.distributed.step import Microbatch, current_microbatch
from dtrain.errors import DesyncError


class LossRecorder:
    """Records with which losses this rank's backward passes begin, and averages those of a step.

    The gradients of a step are those of this mean: each microbatch has the weight of its number
    of samples. It is added in the order of the microbatches, on every rank alike.

    Parameters
    ----------
    outside : the microbatch of a backward pass that belongs to no loader's step
    """

    def __init__(self, outside: Microbatch):
        self._outside = outside
        self._is_on = False
        self._observes = False
        #: of the backward pass that runs, until one of its gradients is accumulated
        self.current: float | None = None
        self._losses: dict[int, float] = {}  # by microbatch
        self._mean: float | None = None  # of the step that is not committed yet
        self._total: float | None = None  # of the committed steps

    def start(self) -> None:
        """Take the means of the losses from now on, beginning with 0."""
        if not self._observes:
            observe_backward(self.note)
            self._observes = True
        self._is_on, self._total = True, None
        self.forget()

    def stop(self) -> float | None:
        """The sum of the means since `start`; None if no gradient was reduced."""
        self._is_on = False
        return self._total

    def note(self, outputs: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Note with which tensors a backward pass begins, and with which gradients of them."""
        if self._is_on and not is_backward_running():
            self.current = sum(map(_product, outputs, gradients))

    def record(self) -> None:
        """Count the loss of the backward pass that runs: it reaches parameters of the model."""
        assert self.current is not None
        index = (current_microbatch() or self._outside).index
        self._losses[index] = self._losses.get(index, 0.0) + self.current
        self.current = None

    def take(self) -> dict[int, float] | None:
        """The losses of this rank's microbatches; this rank's part of the vote."""
        losses, self._losses = self._losses, {}
        return losses if self._is_on else None

    def average(self, votes: Sequence[dict[int, float] | None], sizes: Sequence[int]) -> None:
        """Take the mean of the losses of all ranks.

        Raises
        ------
        DesyncError
            If some ranks want it and some do not.
        """
        wanted = [rank for rank, losses in enumerate(votes) if losses is not None]
        if wanted and len(wanted) < len(votes):
            raise DesyncError(
                f"LBFGS: the closure runs on the ranks {wanted} of {len(votes)}, and the others "
                "run a backward pass outside of a closure: call step(closure) on every rank"
            )
        by_microbatch = {index: loss for losses in votes for index, loss in (losses or {}).items()}
        if by_microbatch:
            terms = [sizes[i] * by_microbatch[i] for i in sorted(by_microbatch) if sizes[i]]
            self._mean = sum(terms) / sum(sizes)

    def commit(self) -> None:
        """Add the mean of the step, whose gradients all ranks have, to the total."""
        if self._mean is not None:
            self._total, self._mean = (self._total or 0.0) + self._mean, None

    def forget(self) -> None:
        """Forget the losses of a step that was left or is run again."""
        self.current, self._losses, self._mean = None, {}, None


def _product(output: Tensor, gradient: Tensor) -> float:
    """The loss whose gradient with respect to `output` is `gradient`."""
    one, other = np.asarray(to_host(output.array)), np.asarray(to_host(gradient.array))
    wide = np.complex128 if one.dtype.kind == "c" else np.float64
    return float(np.vdot(other.astype(wide), one.astype(wide)).real)
