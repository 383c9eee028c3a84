"""A unit whose values the ranks have in parts: it gathers them before it runs, and frees them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from dtrain.autograd import Tensor, is_grad_enabled
from dtrain.autograd.graph import nodes_since, now
from dtrain.backend.nested import find_nested
from dtrain.nn import Module
from dtrain.parallel.sharding.bucket_shard import BucketShard
from dtrain.parallel.sharding.device_values import DeviceValues
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
        if self._last is not None:
            self._following[self._last] = unit
        self._last = unit
        following = self._following.get(unit)
        if following is not None:
            for values in following.in_parts():
                values.prefetch()

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
    shards : of the parameters that the unit has sharded
    reshard : whether values are freed between forward and backward pass; None: unless the unit is
        the outermost one, whose values the backward pass needs first
    """

    def __init__(self, shards: Sequence[BucketShard], reshard: bool | None):
        self._shards, self._reshard = shards, reshard
        self.order: GatherOrder = GatherOrder()
        #: whether another unit has this one inside
        self.is_inner: bool = False
        self._starts: list[int] = []  # of the calls that have not ended

    def in_parts(self) -> list[DeviceValues]:
        """The values of those buckets that are in parts."""
        return [shard.values for shard in self._shards if shard.values is not None]

    def __getstate__(self) -> dict[str, Any]:
        """For `copy` and `pickle`: the parameters of a copy have their values."""
        return {"_shards": (), "_reshard": None, "order": GatherOrder(), "is_inner": False,
                "_starts": []}  # fmt: skip

    def register(self, module: Module) -> None:
        """Register the hooks, where some bucket is in parts."""
        if self.in_parts():
            module.register_forward_pre_hook(self._before_forward)
            module.register_forward_hook(self._after_forward, always_call=True)

    def _before_forward(self, module: Module, args: Any) -> None:
        for values in self.in_parts():
            values.hold()
        self._starts.append(now())
        self.order.begin(self)

    def _after_forward(self, module: Module, args: Any, output: Any) -> None:
        start = self._starts.pop()
        if not self.is_inner:
            self.order.end_forward()
        reshard = self.is_inner if self._reshard is None else self._reshard
        if reshard and is_grad_enabled():
            tensors = find_nested((output,), Tensor)
            edges = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
            for saved in take_saved(nodes_since(start, edges), self.in_parts()):
                self.order.add(saved)
        for values in self.in_parts():
            values.release()
