"""`ZeroRedundancyOptimizer`: each rank has the optimizer's state of its part of the parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket, make_buckets
from dtrain.backend import Array, array_module, on_device_of
from dtrain.distributed import world
from dtrain.distributed.comm.tree_reduce import equal_bounds
from dtrain.distributed.elastic.transaction import run_transaction
from dtrain.optim.optimizer import Optimizer


class _Resharded(NamedTuple):
    """What is dealt to the ranks that are left."""

    shards: list[int]  # which shard each rank has
    states: list[tuple[Bucket, str, Array]]  # of this rank's


class ZeroRedundancyOptimizer(Optimizer):
    """An optimizer whose state is spread over the ranks (torch.distributed.optim's; ZeRO-1 of
    Rajbhandari et al. 2020).

    Of each bucket of DataParallel's gradients a rank gets the sum over its own part alone
    (reduce-scatter), updates that part, and the parts of all ranks are gathered. The bits are
    those of `optimizer_class` on one rank. Rules that see whole parameters (LARS, LAMB, Muon)
    have parts that end between parameters.

    After a step's backward pass `param.grad` is not to be had: `gather_grads()` makes the
    gradients whole on every rank, as ``clip_grad_norm_`` needs them.

    Where ranks may be lost (``dtrain run --elastic``) two neighbours have each part, and both
    update it. At the step after a loss the ranks that are left deal the parts anew. If both
    ranks of a part are lost before, the job needs a checkpoint (``--max-restarts``).

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
        #: the optimizer of this rank's part
        self.optim = optimizer_class(params, **defaults)
        self._comm = world.communicator()
        self._consolidated: dict[str, Any] | None = None
        #: which shard each rank has, and where in each bucket the shards begin
        self._shards, self._borders = self._dealt(), dict[Bucket, list[int]]()
        self._shard = self._shards[self._comm.rank]
        self._shard_buckets()

    def _dealt(self) -> list[int]:
        """The shard of each of the ranks that there are."""
        copies = 2 if self._comm.elastic else 1
        last = max(self._comm.size // copies, 1) - 1
        return [min(rank // copies, last) for rank in range(self._comm.size)]

    def _buckets(self) -> list[Bucket]:
        return make_buckets(self._params())

    def _params(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]

    def _shard_buckets(self) -> None:
        """Give each rank its shard of the buckets that have none yet."""
        own = {id(param) for param in self._params()}
        for bucket in self._buckets():
            if bucket in self._borders:
                continue
            if not all(id(param) in own for param in bucket.params):
                raise ValueError(
                    "ZeroRedundancyOptimizer: expected all parameters of the model, got some: "
                    "freeze the others (requires_grad_(False)) before DataParallel takes the model"
                )
            borders = self._borders[bucket] = self._cut(bucket, self._shards)
            bucket.own = slice(*borders[self._shard : self._shard + 2])
            bucket.is_sharded = self._shards[-1] > 0
            if not self._comm.elastic:  # there both ranks of a shard need its gradients
                bucket.bounds = borders
                bucket.before_read_grad = functools.partial(_require_whole_grads, bucket)

    def _cut(self, bucket: Bucket, shards: Sequence[int]) -> list[int]:
        borders = equal_bounds(bucket.size, shards[-1] + 1)
        if not self.optim._by_parameter:
            return borders
        starts = np.array([*bucket.starts, bucket.size])
        return [int(starts[np.abs(starts - border).argmin()]) for border in borders]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        self._shard_buckets()
        self._consolidated = None
        results: list[Any] = []
        resharded: list[_Resharded] = []

        def work() -> None:
            if not results:
                results.append(self.optim.step(closure))
            holders = self._holders()
            for bucket in self._buckets():
                self._comm.all_gather_slices(bucket.data, self._bounds(bucket, holders))
            if self._has_lost():
                resharded.append(self._resharded(holders))

        while not run_transaction(work, resharded.clear):
            pass
        for anew in resharded:
            self._take(anew)
        return results[0]

    def _has_lost(self) -> bool:
        """Whether ranks were lost since the shards were dealt."""
        return self._comm.size != len(self._shards)

    def _holders(self) -> list[int]:
        """Which shard each rank has, in ascending order."""
        if not self._has_lost():
            return self._shards
        holders = self._comm.allgather(self._shard, "the shards of an optimizer")
        if len(set(holders)) <= self._shards[-1]:
            raise RuntimeError(
                "ZeroRedundancyOptimizer: all ranks that had some shard of the optimizer's state "
                "were lost: go on from a checkpoint, as dtrain run --max-restarts does"
            )
        return holders

    def _bounds(self, bucket: Bucket, holders: Sequence[int]) -> list[int]:
        """Where the slice of each rank begins: the first that has a shard brings it."""
        borders = self._borders[bucket]
        pairs = zip([-1, *holders], holders)
        return [borders[shard + (shard == before)] for before, shard in pairs] + [bucket.size]

    def _whole_states(self, holders: Sequence[int]) -> Iterator[tuple[Bucket, str, Array]]:
        """The optimizer's arrays over whole buckets, one after another."""
        for bucket, flat in self.optim._flat.items():
            for name, own in flat.items():
                with on_device_of(own):
                    whole = array_module(own).empty(bucket.size, own.dtype)
                whole[bucket.own] = own
                self._comm.all_gather_slices(whole, self._bounds(bucket, holders))
                yield bucket, name, whole

    def _resharded(self, holders: Sequence[int]) -> _Resharded:
        shards = self._dealt()
        shard = shards[self._comm.rank]
        states = []
        for bucket, name, whole in self._whole_states(holders):
            start, stop = self._cut(bucket, shards)[shard : shard + 2]
            states.append((bucket, name, whole[start:stop].copy()))
        return _Resharded(shards, states)

    def _take(self, anew: _Resharded) -> None:
        self._shards, self._shard = anew.shards, anew.shards[self._comm.rank]
        self._borders.clear()
        self._shard_buckets()
        for bucket, name, state in anew.states:
            self.optim._flat[bucket][name] = state

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
        self._shard_buckets()

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gather the state on the rank `to`, for `state_dict()`; to be called by every rank."""
        gathered: dict[Bucket, dict[str, Array]] = {}

        def work() -> None:
            for bucket, name, whole in self._whole_states(self._holders()):
                if self._comm.rank == to:
                    gathered.setdefault(bucket, {})[name] = whole

        while not run_transaction(work, gathered.clear):
            pass
        if self._comm.rank == to:
            state = self.optim._collect_state(lambda bucket, _: gathered[bucket])
            self._consolidated = self.optim._build_state_dict(state)

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


def _require_whole_grads(bucket: Bucket) -> None:
    if bucket.scattered:
        raise RuntimeError(
            "grad: the gradients are sharded over the ranks, this rank has its part: call "
            "optimizer.gather_grads() on every rank to have the whole gradient"
        )
