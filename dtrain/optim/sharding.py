"""Optimizers of parameters that `fully_shard` has spread over the ranks.

Each rank updates, and has the state of, one part of every bucket. What it needs of the other ranks
it asks of the bucket's `Sharding`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket
from dtrain.autograd.tensor import wrap
from dtrain.backend import Array
from dtrain.optim.types import Group, State

if TYPE_CHECKING:
    from dtrain.optim.optimizer import Optimizer


def take_shards(optimizer: Optimizer, buckets: Sequence[Bucket]) -> None:
    """Prepare an optimizer to update parts of buckets; refuses one that cannot."""
    for bucket in buckets:
        if bucket.sharding is None:
            continue
        if not optimizer._by_parameter and not optimizer._has_flat_state:
            raise NotImplementedError(
                f"{type(optimizer).__name__} needs all parameters and gradients on every rank, "
                "but fully_shard has sharded them: use DataParallel, or another optimizer"
            )
        if optimizer._by_parameter:
            bucket.sharding.cut_between_parameters()


def _sharded_buckets(optimizer: Optimizer) -> list[Bucket]:
    params = (param for group in optimizer.param_groups for param in group["params"])
    buckets = {param._bucket: None for param in params if param._bucket is not None}
    return [bucket for bucket in buckets if bucket.sharding is not None]


def is_sharded(optimizer: Optimizer) -> bool:
    """Whether all ranks have to ask for the optimizer's state together."""
    return bool(_sharded_buckets(optimizer))


def end_update(buckets: Iterable[Bucket]) -> None:
    """Have the parameters complete of which every rank has updated its part."""
    sharded = [bucket for bucket in buckets if bucket.sharding is not None]
    if sharded:
        assert sharded[0].sharding is not None
        sharded[0].sharding.end_update(sharded)


def agree(optimizer: Optimizer, found: bool) -> bool:
    """Whether any rank has found something in its part of the gradients."""
    for bucket in _sharded_buckets(optimizer):
        assert bucket.sharding is not None
        return bucket.sharding.agree(found)
    return found


def whole_state(optimizer: Optimizer) -> Callable[[Bucket, Group], State]:
    """A function that returns the state arrays over whole buckets, each gathered once."""

    def gather(bucket: Bucket, own: Array) -> Array:
        assert bucket.sharding is not None
        return bucket.sharding.gather(own)

    return _flat_state_by(optimizer, gather)


def _flat_state_by(
    optimizer: Optimizer, complete: Callable[[Bucket, Array], Any]
) -> Callable[[Bucket, Group], Any]:
    """A function that returns the state arrays over whole buckets: of sharded ones what
    `complete(bucket, own)` makes of this rank's part, once for each array."""
    made: dict[Bucket, dict[str, Any]] = {}

    def get_flat(bucket: Bucket, group: Group) -> dict[str, Any]:
        own = optimizer._flat_state(bucket, group)
        if bucket.sharding is None:
            return own
        whole = made.setdefault(bucket, {})
        for name in optimizer._state_names(group, bucket.data.dtype):
            if name not in whole:
                whole[name] = complete(bucket, own[name])
        return whole

    return get_flat


def state_part(optimizer: Optimizer) -> tuple[dict[str, Any], dict[int, int | None]]:
    """The `state_dict` of a sharded optimizer, of which each rank has some tensors alone.

    Returns
    -------
    state : the whole state_dict; tensors that another rank alone has are of their shape and dtype,
        but have no values
    owners : the rank that has the values of an array, None if all have them, by the array's id
    """
    states = optimizer._collect_state(_flat_state_by(optimizer, _KnownHere))
    owners: dict[int, int | None] = {}
    for param, values in states.items():
        bucket = param._bucket
        if bucket is not None and bucket.sharding is not None:
            rank = bucket.sharding.owner(param._bucket_index)
            tensors = (value for value in values.values() if isinstance(value, Tensor))
            owners |= {id(tensor.array): rank for tensor in tensors}
    return optimizer._build_state_dict(states), owners


def parameters_part(state: dict[str, Any]) -> tuple[dict[str, Any], dict[int, int | None]]:
    """A module's `state_dict` with its own tensors, as `state_part` gives an optimizer's."""
    known: dict[Bucket, _KnownHere] = {}
    owners: dict[int, int | None] = {}

    def detach(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        bucket, index = value._bucket, value._bucket_index
        if bucket is None or bucket.sharding is None:
            return value.detach()
        if bucket.has_all_values:  # as every rank has them
            out = value.detach()
            owners[id(out.array)] = None
            return out
        if bucket not in known:
            known[bucket] = _KnownHere(bucket, bucket.own_values())
        start = bucket.starts[index]
        here = wrap(known[bucket][start : start + value.numel()].reshape(value.shape))
        owners[id(here.array)] = bucket.sharding.owner(index)
        return here

    return {name: detach(value) for name, value in state.items()}, owners


class _KnownHere:
    """A state array over a whole bucket, without the values that another rank alone has."""

    def __init__(self, bucket: Bucket, own: Array):
        assert bucket.sharding is not None
        self._own, self._range = own, bucket.update_range
        self._cut = {
            (bucket.starts[index], len(whole)): whole
            for index, whole in bucket.sharding.gather_cut(own).items()
        }

    def __getitem__(self, part: slice) -> Array:
        """A parameter's slice."""
        first, length = self._range.start, part.stop - part.start
        if (part.start, length) in self._cut:
            return self._cut[part.start, length]
        if first <= part.start and part.stop <= self._range.stop:
            return self._own[part.start - first : part.stop - first]
        return np.broadcast_to(np.zeros((), self._own.dtype), (length,))  # one element of memory


def gather_by_parameter(optimizer: Optimizer, own: dict[Tensor, State]) -> dict[Tensor, State]:
    """What the ranks keep for the sharded parameters, each for those in its own part."""
    whole: dict[Tensor, State] = {}
    for bucket in _sharded_buckets(optimizer):
        assert bucket.sharding is not None
        part = bucket.update_range
        kept = {
            index: own[param]
            for index, (param, start) in enumerate(zip(bucket.params, bucket.starts))
            if param in own and part.start <= start < part.stop
        }
        for index, state in bucket.sharding.gather_objects(kept).items():
            whole[bucket.params[index]] = state
    return whole
