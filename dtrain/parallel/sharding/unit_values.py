"""A unit whose values the ranks have in parts: it gathers them before it runs, and frees them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from dtrain.autograd import Tensor, is_grad_enabled
from dtrain.autograd.backward_pass import is_backward_running
from dtrain.autograd.graph import nodes_since, now
from dtrain.autograd.recompute import repeated
from dtrain.backend.nested import find_nested
from dtrain.nn import Module
from dtrain.parallel.sharding.bucket_shard import BucketShard
from dtrain.parallel.sharding.gathered_values import GatheredValues
from dtrain.parallel.sharding.saved_values import SavedValues, take_saved


class GatherOrder:
    """The order in which the units of a model run, by which the next one's values are gathered
    while one computes: in a forward pass that of the last one, then the other way round."""

    def __init__(self) -> None:
        self._last: UnitValues | None = None
        self._following: dict[UnitValues, UnitValues] = {}
        #: of the unit that has run last
        self._saved: weakref.ref[SavedValues] | None = None

    def begin(self, unit: UnitValues) -> None:
        """Note that a unit runs; begin to gather the next one's values."""
        if is_backward_running():  # it is run again, out of order
            return
        if self._last is not None:
            self._following[self._last] = unit
        self._last = unit
        following = self._following.get(unit)
        if following is not None:
            following.prefetch()

    def end_forward(self) -> None:
        """Note that the outermost unit has run."""
        self._last = None

    def add(self, saved: SavedValues) -> None:
        """Note what the backward pass needs before what it needed before this."""
        saved.next = self._saved
        self._saved = weakref.ref(saved)


class UnitValues:
    """The hooks of a unit that has its values while it runs, and again in the backward pass.

    Parameters
    ----------
    params : the parameters of the unit's modules, except those of units inside; another unit may
        have sharded some, which are used here, too
    reshard : whether values are freed between forward and backward pass; None: unless the unit is
        the outermost one, whose values the backward pass needs first
    """

    def __init__(self, params: Sequence[Tensor], reshard: bool | None):
        buckets = dict.fromkeys(param._bucket for param in params)
        self._values: list[GatheredValues] = [
            bucket.sharding.values
            for bucket in buckets
            if bucket is not None
            and isinstance(bucket.sharding, BucketShard)
            and bucket.sharding.values is not None
        ]
        self._reshard = reshard
        self.order: GatherOrder = GatherOrder()
        #: whether another unit has this one inside
        self.is_inner: bool = False
        #: of the calls that have not ended: where their nodes begin, and what keeps the values
        self._calls: list[tuple[int, AbstractContextManager[None]]] = []

    def prefetch(self) -> None:
        """Begin to gather the values."""
        for values in self._values:
            values.prefetch()

    def __getstate__(self) -> dict[str, Any]:
        """For `copy` and `pickle`: the parameters of a copy have their values."""
        empty: dict[str, Any] = {"_values": [], "_calls": [], "_reshard": None}
        return {"order": GatherOrder(), "is_inner": False, **empty}

    def register(self, module: Module) -> None:
        """Register the hooks, where some values have to be gathered."""
        if self._values:
            module.register_forward_pre_hook(self._before_forward)
            module.register_forward_hook(self._after_forward, always_call=True)

    def _before_forward(self, module: Module, args: Any) -> None:
        if not self._values:  # a copy's
            return
        keeping = repeated(self._keep)
        keeping.__enter__()
        self._calls.append((now(), keeping))
        self.order.begin(self)

    @contextmanager
    def _keep(self) -> Iterator[None]:
        for values in self._values:
            values.hold()
        try:
            yield
        finally:
            for values in self._values:
                values.release()

    def _after_forward(self, module: Module, args: Any, output: Any) -> None:
        if not self._calls:
            return
        start, keeping = self._calls.pop()
        if not self.is_inner:
            self.order.end_forward()
        reshard = self.is_inner if self._reshard is None else self._reshard
        if reshard and is_grad_enabled() and not is_backward_running():
            tensors = find_nested((output,), Tensor)
            edges = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
            for saved in take_saved(nodes_since(start, edges), self._values):
                self.order.add(saved)
        keeping.__exit__(None, None, None)
