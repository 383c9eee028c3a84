"""``DTRAIN_DEBUG=detail``: names the first NaN or infinity in a loss or a gradient of a step.

Each rank looks at its own losses and gradients, microbatch by microbatch. With the vote at the end
of the step it tells what it has found; rank 0 warns of the first, in the order of the microbatches.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket
from dtrain.autograd.gradient import observe_backward
from dtrain.backend import Array, to_host
from dtrain.distributed.step import Microbatch, Step, current_microbatch
from dtrain.parallel.bucket_layout import BucketLayout

#: the index of a microbatch, and what was found there, in words
Finding = tuple[int, str]

_SHOWN = 8  # sample indices in a message


class NonFiniteCheck:
    """Looks for NaN and infinity in the losses and gradients of one rank.

    Parameters
    ----------
    layout : the buckets of the model, and the names of its parameters
    rank : this rank
    outside : the microbatch of a backward pass that belongs to no loader's step
    """

    def __init__(self, layout: BucketLayout, rank: int, outside: Microbatch):
        self._layout, self._rank, self._outside = layout, rank, outside
        self._found: Finding | None = None
        self._was_finite = True  # in the last step, on all ranks
        observe_backward(self.check_losses)

    def check_losses(self, losses: Sequence[Tensor], _: Sequence[Tensor]) -> None:
        """Look at the tensors that a backward pass begins with."""
        microbatch = current_microbatch() or self._outside
        for loss in losses:
            self._check("the loss", loss.array, microbatch)

    def check_gradients(self, bucket: Bucket, microbatch: Microbatch) -> None:
        """Look at the gradients of a microbatch, those of the last layers first."""
        names = {id(p): name for name, p in zip(self._layout.names, self._layout.params)}
        bucket.write_waiting_grads()
        for param in bucket.params:
            if param._grad is not None:
                name = names.get(id(param), "a parameter")
                self._check(f"the gradient of {name}", param._grad.array, microbatch)

    def _check(self, what: str, values: Array, microbatch: Microbatch) -> None:
        if self._found is not None or values.dtype.kind not in "fcV":
            return
        with np.errstate(all="ignore"):
            host = np.asarray(to_host(values))
            wrong = ~np.isfinite(host)
            if not wrong.any():
                return
            first = tuple(int(i) for i in np.argwhere(wrong)[0])
            kind = "NaN" if np.isnan(host[first]) else "infinity"
        where = f" at {list(first)}, one of {wrong.sum()}" if host.ndim else ""
        of = "" if microbatch.samples is None else f", samples {_list(microbatch.samples.names)}"
        self._found = (
            microbatch.index,
            f"{what} is {kind}{where} on rank {self._rank}, in microbatch {microbatch.index}{of}",
        )

    def take_finding(self) -> Finding | None:
        """What was found since the last call; this rank's part of the vote."""
        found, self._found = self._found, None
        return found

    def report(self, findings: Sequence[Finding | None], step: Step) -> None:
        """Have rank 0 warn of the first finding of all ranks, unless the step before had one."""
        found = [finding for finding in findings if finding is not None]
        if found and self._was_finite and self._rank == 0:
            number = f"step {step.number}: " if step.number >= 0 else ""
            warnings.warn(f"DTRAIN_DEBUG=detail: {number}{min(found)[1]}", RuntimeWarning, 2)
        self._was_finite = not found


def _list(samples: Sequence[object]) -> str:
    shown = [str(sample) for sample in samples[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(samples) > _SHOWN else "")
