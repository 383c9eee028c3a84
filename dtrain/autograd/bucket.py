"""`Bucket`: parameters whose values and gradients are views of two flat arrays.

Optimizers, and whoever reduces gradients, work on the flat arrays; users see ordinary tensors.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.backward_pass import call_after_backward, is_backward_running
from dtrain.autograd.bucket_hooks import LossMean, Sharding
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module, is_cupy, kernels, on_device_of, to_host
from dtrain.backend.host_memory import copy_to_host


class GradBuffer:
    """Memory for the gradients of a bucket: a flat array, and a view of it for each parameter.

    Parameters
    ----------
    allocate : makes the flat array, not initialized, when it is first used
    params : the bucket's
    """

    #: the element of the bucket with which `flat` begins
    start = 0
    flat: Array
    views: list[Tensor]

    def __init__(self, allocate: Callable[[], Array], params: Sequence[Tensor]):
        self._allocate, self._params = allocate, params

    # No cached_property: its lock, one for all buffers of all ranks that are threads, would be held
    # while a rank waits for the others.
    def __getattr__(self, name: str) -> Any:
        if name == "flat":
            self.flat = self._allocate()
        elif name == "views":
            self.views = self._make_views()
        else:
            raise AttributeError(name)
        return self.__dict__[name]

    def _make_views(self) -> list[Tensor]:
        ends = itertools.accumulate(param.numel() for param in self._params)
        return [
            wrap(self.flat[end - param.numel() : end].reshape(param.shape))
            for param, end in zip(self._params, ends)
        ]


class Bucket:
    """Parameters of one dtype on one device, with their values and gradients in flat arrays.

    Making a bucket moves the parameters' values, and their gradients if they have any, into its
    memory. A parameter's `grad` stays None until it gets a gradient.

    Higher layers hook in through `before_write`, `before_accumulate`, `before_read_grad`,
    `before_step`, `loss_mean`, `update_range`, `sharding` and `attachments`; a bucket by itself has
    none set.

    Parameters
    ----------
    params : of one dtype on one device
    allocate : host memory of (size, dtype) for the values, and, until it is set, the gradients
    """

    params: list[Tensor]
    starts: list[int]
    size: int
    #: the values of all parameters; without `has_all_values` those in `update_range` alone
    data: Array
    #: whether every rank has the values of all parameters
    has_all_values: bool = True
    #: whether a GPU computes with copies of values that are in host memory
    computes_on_device: bool = False
    update_range: slice

    def __init__(self, params: Sequence[Tensor], allocate: Callable[[int, Any], Array] = np.empty):
        self.params = list(params)
        sizes = [param.numel() for param in params]
        *self.starts, self.size = itertools.accumulate(sizes, initial=0)
        #: allocates host arrays of (size, dtype)
        self._allocate = allocate
        self.data = self._empty_like(params[0].array)
        self._grads = self.new_grads()
        #: gradients on a GPU, by the index of their parameters, that are not in `grads` yet
        self._unwritten: dict[int, Array] = {}
        #: the indices of gradients that a backward pass adds up in `grads`, and then accumulates
        self._lent: set[int] = set()
        #: each optimizer's state arrays over `update_range`, by name; set by the optimizer
        self.states: weakref.WeakKeyDictionary[Any, dict[str, Array]] = weakref.WeakKeyDictionary()
        #: the elements that optimizers update and hold state for
        self.update_range = slice(0, self.size)
        #: called before a backward pass writes to the gradients' memory
        self.before_write: Callable[[], None] | None = None
        #: called with the bucket before a gradient is accumulated, after `before_write`
        self.before_accumulate: Callable[[Bucket], None] | None = None
        #: called before a parameter's `grad` is read; raises where the gradients are incomplete
        self.before_read_grad: Callable[[], None] | None = None
        #: called before an optimizer reads the gradients
        self.before_step: Callable[[], None] | None = None
        #: the mean of the losses over the ranks, where the gradients are means over them
        self.loss_mean: LossMean | None = None
        #: the other ranks, if each of them has a part of this bucket alone
        self.sharding: Sharding | None = None
        #: objects that higher layers keep with the bucket, by their class
        self.attachments: dict[type, object] = {}
        self._take_values()
        for index, param in enumerate(params):
            param._bucket, param._bucket_index = self, index

    def _take_values(self) -> None:
        """Move the parameters' values and gradients here."""
        for index, param in enumerate(self.params):
            view = self.view(self.data, index)
            view[...] = param.array
            param.array = view
            if param._grad is not None:
                param._grad = self.write_grad(index, param._grad.array)

    def view(self, flat: Array, index: int) -> Array:
        """What a flat array, (size,), holds for a parameter, in the parameter's shape."""
        param, start = self.params[index], self.starts[index]
        return flat[start : start + param.numel()].reshape(param.shape)

    def take_part(self, part: Array) -> None:
        """Have the values in `update_range` here alone."""
        self.data, self.has_all_values = part, False

    def own_values(self) -> Array:
        """The values in `update_range`."""
        return self.data[self.update_range] if self.has_all_values else self.data

    @property
    def grads(self) -> GradBuffer:
        """The buffer of the gradients; those that wait in arrays of a GPU are written to it."""
        if self._unwritten:
            self.write_waiting_grads()
        return self._grads

    @grads.setter
    def grads(self, grads: GradBuffer) -> None:
        if self._unwritten:
            self.write_waiting_grads()
        self._grads = grads

    def use_memory(self, allocate: Callable[[int, Any], Array]) -> None:
        """Move to host memory from `allocate(size, dtype)`, now and for later buffers."""
        self._allocate = allocate
        self.data = self._empty_like(self.data)
        self.grads = self.new_grads()
        self._take_values()

    def _empty_like(self, array: Array, dtype: Any = None) -> Array:
        """Memory for the bucket on the device of `array`, of its dtype or another."""
        dtype = array.dtype if dtype is None else dtype
        if isinstance(array, np.ndarray):
            return self._allocate(self.size, dtype)
        with on_device_of(array):
            return array_module(array).empty(self.size, dtype)

    def new_grads(self, dtype: Any = None) -> GradBuffer:
        """Another buffer for gradients of this bucket, not initialized; of its dtype if None."""
        return GradBuffer(lambda: self._empty_like(self.data, dtype), self.params)

    def use_grad_memory(self, allocate: Callable[[int, Any], Array]) -> None:
        """Have the gradients, from now on, in host memory from `allocate(size, dtype)`."""
        self._allocate = allocate
        self.grads = self.new_grads()

    def use_grads(self, grads: GradBuffer, filled: Iterable[bool]) -> None:
        """Make the parameters' gradients those of `grads`; where not `filled`, None."""
        self.grads = grads
        for index, (param, there) in enumerate(zip(self.params, filled)):
            param._grad = grads.views[index] if there else None

    def filled(self) -> list[bool]:
        """Which parameters have a gradient."""
        return [param._grad is not None for param in self.params]

    def write_values(self, param: Tensor, values: Array) -> None:
        """Replace the values of a parameter; refuses one that is sharded."""
        if self.sharding is not None and not self.sharding.is_writable(param):
            raise RuntimeError(
                "data: the parameter is sharded by fully_shard: write to it inside "
                "`with summon_full_params(module)`, on every rank"
            )
        param.array[...] = values

    def write_grad(self, index: int, grad: Array) -> Tensor:
        """Replace a parameter's gradient; returns the view that holds it."""
        view = self.grads.views[index]
        view.array[...] = grad
        return view

    def memory_for_grads(self) -> Sequence[Array | None] | None:
        """For each parameter the host memory into which a backward pass may write its first
        gradient, which `take_grad` then accumulates; None where it is lent, or on a GPU."""
        grads = self._writable_grads()
        if grads is None or not self._lent:
            return None if grads is None else [view.array for view in grads.views]
        return [None if i in self._lent else view.array for i, view in enumerate(grads.views)]

    def _writable_grads(self) -> GradBuffer | None:
        """The buffer of the current microbatch's gradients, if these are made in host memory."""
        if type(self.data) is not np.ndarray or self.computes_on_device:
            return None
        if self.before_write is not None:
            self.before_write()
        return self._grads if self._grads.flat.dtype == self.data.dtype else None

    def take_grad(self, index: int) -> None:
        """Accumulate a gradient that was written to its array from `memory_for_grads`."""
        if self.before_accumulate is not None:
            self.before_accumulate(self)
        self.params[index]._grad = self._grads.views[index]

    def lend_memory(self, index: int) -> Array | None:
        """Host memory to add up the gradient of a parameter that has none, until the backward pass
        calls `accumulate` with it; None if it is lent, or on a GPU."""
        if index in self._lent or (grads := self._writable_grads()) is None:
            return None
        self._lent.add(index)
        return grads.views[index].array

    def take_memory_back(self, index: int) -> None:
        """End a loan, if the backward pass has ended before it accumulated the gradient."""
        if index in self._lent:
            self._lent.discard(index)
            param, view = self.params[index], self._grads.views[index]
            if param._grad is not None:  # from an inner pass
                view.array[...] = param._grad.array
                param._grad = view

    def accumulate(self, index: int, grad: Array) -> None:
        """Add to a parameter's gradient."""
        if self.before_write is not None:
            self.before_write()
        if self.before_accumulate is not None:
            self.before_accumulate(self)
        param, view = self.params[index], self._grads.views[index]
        if grad is view.array:  # from `lend_memory`
            self._lent.discard(index)
            if param._grad is not None:  # from an inner pass, as of a segment that is recomputed
                grad += param._grad.array
        elif param._grad is not None:
            if self._unwritten:
                self.write_waiting_grads()
            param._grad.array += self._move_here(grad)
            return
        elif index in self._lent:
            param._grad = wrap(self._move_here(grad).copy())
            return
        elif not (is_cupy(grad) and grad.flags.c_contiguous and is_backward_running()):
            view.array[...] = self._move_here(grad)
        else:
            self._unwritten[index] = grad
            call_after_backward(self.write_waiting_grads)
        param._grad = view

    def _move_here(self, grad: Array) -> Array:
        """A gradient in the kind of memory where the bucket is."""
        return to_host(grad) if self.computes_on_device else grad

    def make_grads_readable(self) -> None:
        """Write the gradients that wait, and refuse to show incomplete ones."""
        if self._unwritten:
            self.write_waiting_grads()
        if self.before_read_grad is not None:
            self.before_read_grad()

    def write_waiting_grads(self) -> None:
        """Write the gradients that a backward pass left on a GPU to the bucket, at once.

        It is called at the end of the backward pass, and before anybody reads a gradient.
        """
        waiting, self._unwritten = self._unwritten, {}
        if waiting and self.computes_on_device:
            views = self._grads.views
            copy_to_host((grad, views[index].array) for index, grad in waiting.items())
        elif waiting:
            with on_device_of(self.data):
                starts = [self.starts[index] for index in waiting]
                kernels.write_parts(self._grads.flat, list(waiting.values()), starts)

    def fill_missing(self) -> None:
        """Write zeros where a parameter has no gradient; its `grad` stays None."""
        for param, view in zip(self.params, self.grads.views):
            if param._grad is None:
                view.array[...] = 0


def make_buckets(
    params: Iterable[Tensor], bucket_bytes: int = 25 << 20, first_bytes: int | None = None
) -> list[Bucket]:
    """The buckets of `params`, in their order; parameters that are in no bucket get new ones.

    A new bucket holds consecutive parameters of one dtype and device, about `bucket_bytes` of
    them, or `first_bytes` in the first. Where buckets begin and end changes no bits of any result.
    """
    limit = bucket_bytes if first_bytes is None else min(first_bytes, bucket_bytes)
    buckets: list[Bucket] = []
    fresh: list[Tensor] = []

    def close() -> None:
        if fresh:
            buckets.append(Bucket(fresh))
            fresh.clear()

    for param in params:
        if param._bucket is not None:
            if param._bucket not in buckets:
                buckets.append(param._bucket)
            continue
        if fresh and (
            (param.dtype, param.device) != (fresh[0].dtype, fresh[0].device)
            or sum(p.array.nbytes for p in fresh) + param.array.nbytes > limit
        ):
            close()
            limit = bucket_bytes
        fresh.append(param)
    close()
    return buckets
