"""`ZeroRedundancyOptimizer`: each rank has the optimizer's state of its part of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket, make_buckets
from dtrain.backend import Array, array_module, on_device_of
from dtrain.distributed import world
from dtrain.distributed.reduce import equal_bounds
from dtrain.optim.optimizer import Optimizer


class ZeroRedundancyOptimizer(Optimizer):
    """An optimizer whose state is spread over the ranks (torch.distributed.optim's; ZeRO-1 of
    Rajbhandari et al. 2020).

    Of each bucket of DataParallel's gradients a rank gets the sum over its own part alone
    (reduce-scatter), updates that part, and the parts of all ranks are gathered. The bits are
    those of `optimizer_class` on one rank. Rules that see whole parameters (LARS, LAMB, Muon)
    have parts that end between parameters.

    After a step's backward pass `param.grad` is not to be had: `gather_grads()` makes the
    gradients whole on every rank, as ``clip_grad_norm_`` needs them.

    Parameters
    ----------
    params : all parameters of the model, or groups of them
    optimizer_class : such as ``dtrain.optim.AdamW``
    defaults : its options

    >>> import dtrain
    >>> model = dtrain.DataParallel(dtrain.nn.Linear(2, 1))
    >>> optimizer = ZeroRedundancyOptimizer(model.parameters(), dtrain.optim.AdamW, lr=0.1)
    >>> model(dtrain.ones(1, 2)).sum().backward()
    >>> optimizer.step()
    """

    def __init__(self, params: Iterable[Any], optimizer_class: type[Optimizer], **defaults: Any):
        if world.communicator().elastic:
            raise ValueError(
                "ZeroRedundancyOptimizer: the state of a rank that is lost is gone with it: run "
                "without --elastic, with --max-restarts, and go on from checkpoints"
            )
        #: the optimizer of this rank's part
        self.optim = optimizer_class(params, **defaults)
        self._comm = world.communicator()
        self._consolidated: dict[str, Any] | None = None
        self._shard()

    def _buckets(self) -> list[Bucket]:
        return make_buckets(self._params())

    def _params(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]

    def _shard(self) -> None:
        """Give each rank its part of the buckets that have none yet."""
        own = {id(param) for param in self._params()}
        for bucket in self._buckets():
            if bucket.bounds is not None:
                continue
            if not all(id(param) in own for param in bucket.params):
                raise ValueError(
                    "ZeroRedundancyOptimizer: expected all parameters of the model, got some: "
                    "freeze the others (requires_grad_(False)) before DataParallel takes the model"
                )
            bounds = equal_bounds(bucket.size, self._comm.size)
            if self.optim._by_parameter:
                borders = np.array([*bucket.starts, bucket.size])
                bounds = [int(borders[np.abs(borders - bound).argmin()]) for bound in bounds]
            bucket.bounds = bounds
            bucket.own = slice(*bounds[self._comm.rank : self._comm.rank + 2])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        self._shard()
        self._consolidated = None
        result = self.optim.step(closure)
        for bucket in self._buckets():
            assert bucket.bounds is not None
            self._comm.all_gather_slices(bucket.data, bucket.bounds)
        return result

    def gather_grads(self) -> None:
        """Make the gradients whole on every rank; to be called by all of them."""
        for bucket in self._buckets():
            if bucket.scattered and bucket.bounds is not None:
                self._comm.all_gather_slices(bucket.grads.flat, bucket.bounds)
                bucket.scattered = False

    # --- what the optimizer within has ---

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        return self.optim.param_groups

    @property
    def defaults(self) -> dict[str, Any]:  # type: ignore[override]
        return self.optim.defaults

    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        raise _spread()

    def add_param_group(self, group: dict[str, Any]) -> None:
        self.optim.add_param_group(group)
        self._shard()

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gather the state on the rank `to`, for `state_dict()`; to be called by every rank."""
        gathered: dict[Bucket, dict[str, Array]] = {}
        for bucket, own in self.optim._flat.items():
            gathered[bucket] = {}
            for name in own:
                whole = self._gather(bucket, own[name])
                if self._comm.rank == to:
                    gathered[bucket][name] = whole
        if self._comm.rank == to:
            state = self.optim._state(lambda bucket, _: gathered[bucket])
            self._consolidated = self.optim._state_dict(state)

    def _gather(self, bucket: Bucket, own: Array) -> Array:
        assert bucket.bounds is not None
        with on_device_of(own):
            whole = array_module(own).empty(bucket.size, own.dtype)
        whole[bucket.own] = own
        self._comm.all_gather_slices(whole, bucket.bounds)
        return whole

    def state_dict(self) -> dict[str, Any]:
        """The state of all ranks, as `optimizer_class` has it.

        Raises
        ------
        RuntimeError
            If it was not gathered here by `consolidate_state_dict` since the last step.
        """
        if self._consolidated is None:
            raise _spread()
        return self._consolidated

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take this rank's part of a whole state, of `optimizer_class` or of one like this."""
        self._consolidated = None
        self.optim.load_state_dict(state_dict)

    def __repr__(self) -> str:
        return f"ZeroRedundancyOptimizer of {self.optim!r}"


def _spread() -> RuntimeError:
    return RuntimeError(
        "ZeroRedundancyOptimizer: the state is spread over the ranks: call "
        "consolidate_state_dict() on every rank, then state_dict() on rank 0"
    )
