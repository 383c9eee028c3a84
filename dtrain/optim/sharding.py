"""Optimizers of parameters that `fully_shard` has spread over the ranks.

Each rank updates, and has the state of, one part of every bucket. What it needs of the other ranks
it asks of the bucket's `Sharding`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket
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


def end_update(optimizer: Optimizer) -> None:
    """Have the parameters complete of which every rank has updated its part."""
    buckets = _sharded_buckets(optimizer)
    if buckets:
        assert buckets[0].sharding is not None
        buckets[0].sharding.end_update(buckets)


def agree(optimizer: Optimizer, found: bool) -> bool:
    """Whether any rank has found something in its part of the gradients."""
    for bucket in _sharded_buckets(optimizer):
        assert bucket.sharding is not None
        return bucket.sharding.agree(found)
    return found


def whole_state(optimizer: Optimizer) -> Callable[[Bucket, Group], State]:
    """A function that returns the state arrays over whole buckets, each gathered once."""
    gathered: dict[Bucket, State] = {}

    def get_flat(bucket: Bucket, group: Group) -> State:
        own = optimizer._flat_state(bucket, group)
        if bucket.sharding is None:
            return own
        whole = gathered.setdefault(bucket, {})
        for name in optimizer._slots(group):
            if name not in whole:
                whole[name] = bucket.sharding.gather(own[name])
        return whole

    return get_flat


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
