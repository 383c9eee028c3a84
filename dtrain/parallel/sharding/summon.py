"""`summon_full_params`: the sharded parameters of a module as ordinary tensors for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dtrain.autograd.bucket import GradBuffer
from dtrain.distributed import world
from dtrain.nn import Module
from dtrain.parallel.sharding.bucket_shard import BucketShard, GradPart, order_parts


@contextlib.contextmanager
def summon_full_params(
    module: Module, recurse: bool = True, writeback: bool = True, *, with_grads: bool = False
) -> Iterator[None]:
    """Context manager: the parameters of `module` are this rank's own and can be written
    (torch.distributed.fsdp.FullyShardedDataParallel.summon_full_params).

    Every rank enters and leaves it, between two steps. Without it parameters can be read, but not
    written: the ranks of a machine share them.

    Parameters
    ----------
    recurse : False: the module's own parameters alone
    writeback : at the end each rank writes its part of the parameters back; False drops changes,
        and allocates nothing
    with_grads : gather the gradients too, so that `grad` can be read; they can be changed

    Raises
    ------
    RuntimeError
        If no parameter of `module` is sharded.

    Examples
    --------
    >>> import dtrain
    >>> layer = dtrain.parallel.fully_shard(dtrain.nn.Linear(2, 1))
    >>> with summon_full_params(layer), dtrain.no_grad():
    ...     _ = layer.weight.fill_(3)
    >>> layer.weight.tolist()
    [[3.0, 3.0]]
    """
    shards = _find_shards(module, recurse)
    if not shards:
        raise RuntimeError(
            f"summon_full_params: no parameter of {type(module).__name__} is sharded: give it a "
            "module that fully_shard has taken"
        )
    comm = world.communicator()
    for shard in shards:
        shard.require_all_ranks()
    comm.barrier()
    if with_grads:
        for shard in shards:
            shard.gather_gradients(comm)
    if writeback:
        for shard in shards:
            shard.unprotect()
    try:
        yield
        comm.barrier()  # nobody reads the former values any more
        if writeback:
            order_parts(shards, comm)
            for shard in shards:
                _write_back(shard)
            shards[0].end_update([shard.bucket for shard in shards])
    finally:
        for shard in shards:
            shard.protect()
            if with_grads:
                _scatter_gradients(shard)


def _find_shards(module: Module, recurse: bool) -> list[BucketShard]:
    buckets = {param._bucket: None for param in module.parameters(recurse)}
    found = [bucket.sharding for bucket in buckets if bucket is not None]
    return [shard for shard in found if isinstance(shard, BucketShard)]


def _write_back(shard: BucketShard) -> None:
    """Write this rank's part of what the parameters hold."""
    bucket, own = shard.bucket, shard.bucket.update_range
    values = bucket.own_values()
    for param, start in zip(bucket.params, bucket.starts):
        low, high = max(start, own.start), min(start + param.numel(), own.stop)
        if low < high:
            written = param.array.reshape(-1)[low - start : high - start]
            values[low - own.start : high - own.start] = written
        param._version[0] += 1


def _scatter_gradients(shard: BucketShard) -> None:
    """Keep this rank's part of gradients that are whole."""
    bucket = shard.bucket
    if any(filled := bucket.filled()) and not isinstance(bucket.grads, GradPart):
        part = bucket.grads.flat[bucket.update_range].copy()
        grads: GradBuffer = GradPart(bucket, part)
        bucket.use_grads(grads, filled)
        shard.gradients_are_scattered = True
