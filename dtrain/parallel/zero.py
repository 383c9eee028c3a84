"""`ZeroRedundancyOptimizer`: each rank holds the optimizer's state of one shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket, make_buckets
from dtrain.backend import Array, array_module, on_device_of
from dtrain.distributed import world
from dtrain.distributed.comm.tree_reduce import equal_bounds
from dtrain.distributed.elastic.transaction import recoverable, run_transaction
from dtrain.distributed.process_group import Group, group as groups
from dtrain.optim.optimizer import Optimizer
from dtrain.parallel.shard import Shard, find_shard


class _Resharding(NamedTuple):
    """New shards for the survivors of a failed rank."""

    assignment: list[int]  # the shard index of each rank
    states: list[tuple[Bucket, str, Array]]  # this rank's state arrays, by bucket and name


class ZeroRedundancyOptimizer(Optimizer):
    """An optimizer whose state is sharded over the ranks (torch.distributed.optim's; ZeRO stage 1
    of Rajbhandari et al. 2020).

    Each bucket of DataParallel's gradients is cut into one shard a rank. A rank gets the mean
    gradients of its shard alone (reduce-scatter) and updates that shard; then the parameters are
    gathered from all ranks. The bits are those of `optimizer_class` on one rank. The shards of
    rules that need whole parameters (LARS, LAMB, Muon, SparseAdam) end between parameters.
    Adafactor and LBFGS cannot be sharded.

    After a step's backward pass `param.grad` raises: call `gather_grads()` on every rank to have
    the whole gradients, as ``clip_grad_norm_`` needs them. Those of `DistributedDataParallel` stay
    whole.

    Under ``dtrain run --elastic`` two neighbouring ranks hold each shard, and both update it. At
    the step after a failure the survivors cut new shards. If both ranks of a shard failed before
    that, the job restarts from a checkpoint (``--max-restarts``).

    Parameters
    ----------
    params : all parameters of the model, or groups of them; DataParallel has the model already
    optimizer_class : an optimizer's class, such as ``dtrain.optim.AdamW``
    process_group : None or `group.WORLD`: all ranks
    parameters_as_bucket_view : without effect: parameters are views of buckets
    overlap_with_ddp : refused
    defaults : options of `optimizer_class`, such as ``lr``

    Raises
    ------
    ValueError
        If an option cannot be had, or `params` are some of the parameters that DataParallel
        reduces, but not all of them.

    >>> import dtrain
    >>> model = dtrain.DataParallel(dtrain.nn.Linear(2, 1))
    >>> optimizer = ZeroRedundancyOptimizer(model.parameters(), dtrain.optim.AdamW, lr=0.1)
    >>> model(dtrain.ones(1, 2)).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        optimizer_class: type[Optimizer],
        process_group: Group = None,
        parameters_as_bucket_view: bool = False,
        overlap_with_ddp: bool = False,
        **defaults: Any,
    ):
        if process_group is not None and process_group is not groups.WORLD:
            raise ValueError(
                "ZeroRedundancyOptimizer: the state is sharded over all ranks: omit process_group"
            )
        if overlap_with_ddp:
            raise ValueError(
                "ZeroRedundancyOptimizer: overlap_with_ddp is not supported: omit it, and call "
                "step() after backward()"
            )
        if not optimizer_class._has_flat_state:
            raise ValueError(
                f"ZeroRedundancyOptimizer: the state of {optimizer_class.__name__} cannot be "
                f"sharded: use optim.{optimizer_class.__name__} itself, or shard another optimizer"
            )
        #: the optimizer of this rank's shard
        self.optim: Optimizer = optimizer_class(params, **defaults)
        self._comm = world.communicator()
        self._consolidated: dict[str, Any] | None = None
        #: the shard index of each rank, and of this one
        self._assignment = self._assign_shards()
        self._shard_index = self._assignment[self._comm.rank]
        self._shards: dict[Bucket, Shard] = {}
        self._shard_buckets()

    def _assign_shards(self) -> list[int]:
        """The shard index of each of the current ranks."""
        copies = 2 if self._comm.elastic else 1
        last = max(self._comm.size // copies, 1) - 1
        return [min(rank // copies, last) for rank in range(self._comm.size)]

    def _buckets(self) -> list[Bucket]:
        return make_buckets(self._params())

    def _params(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]

    def _shard_buckets(self) -> None:
        """Cut the buckets that are not cut yet."""
        own = {id(param) for param in self._params()}
        for bucket in self._buckets():
            if bucket in self._shards:
                continue
            if not all(id(param) in own for param in bucket.params):
                raise ValueError(
                    "ZeroRedundancyOptimizer: expected all parameters of the model, got some: "
                    "freeze the others (requires_grad_(False)) before DataParallel takes the model"
                )
            self._shards[bucket] = Shard(
                bucket,
                self._cut(bucket, self._assignment),
                self._shard_index,
                # Under --elastic both ranks of a shard need its gradients.
                scatters_gradients=not self._comm.elastic,
            )

    def _cut(self, bucket: Bucket, assignment: Sequence[int]) -> list[int]:
        """The borders of the shards of a bucket."""
        borders = equal_bounds(bucket.size, assignment[-1] + 1)
        if not self.optim._by_parameter:
            return borders
        starts = np.array([*bucket.starts, bucket.size])
        return [int(starts[np.abs(starts - border).argmin()]) for border in borders]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update this rank's shard, and gather the parameters of all; every rank calls it.

        Raises
        ------
        RuntimeError
            If all ranks that held some shard have failed.
        """
        self._shard_buckets()
        self._consolidated = None
        results: list[Any] = []
        reshardings: list[_Resharding] = []

        def work() -> None:
            if not results:
                results.append(self.optim.step(closure))
            holders = self._holders()
            for bucket in self._buckets():
                self._comm.all_gather_slices(bucket.data, self._slice_bounds(bucket, holders))
            if self._has_failed_ranks():
                reshardings.append(self._prepare_resharding(holders))

        while not run_transaction(work, reshardings.clear):
            pass
        for resharding in reshardings:
            self._apply_resharding(resharding)
        return results[0]

    def _agree_on_found_inf(self, found: bool) -> bool:
        """Whether some gradient is not finite in the shard of any rank; every rank calls it."""
        return any(recoverable(self._comm.allgather)(found, "whether gradients are finite"))

    def _has_failed_ranks(self) -> bool:
        """Whether ranks have failed since the shards were assigned."""
        return self._comm.size != len(self._assignment)

    def _holders(self) -> list[int]:
        """The shard index that each current rank holds, in ascending order."""
        if not self._has_failed_ranks():
            return self._assignment
        holders = self._comm.allgather(self._shard_index, "the shards of an optimizer")
        if len(set(holders)) <= self._assignment[-1]:
            raise RuntimeError(
                "ZeroRedundancyOptimizer: all ranks that held some shard of the optimizer's state "
                "have failed: go on from a checkpoint, as dtrain run --max-restarts does"
            )
        return holders

    def _slice_bounds(self, bucket: Bucket, holders: Sequence[int]) -> list[int]:
        """Where each rank's slice of a bucket begins: the first holder of a shard sends it."""
        borders = self._shards[bucket].borders
        pairs = zip([-1, *holders], holders)
        return [borders[shard + (shard == before)] for before, shard in pairs] + [bucket.size]

    def _gather_states(self, holders: Sequence[int]) -> Iterator[tuple[Bucket, str, Array]]:
        """The optimizer's state arrays over whole buckets, one after another, on every rank."""
        for bucket, flat in self.optim._flat.items():
            for name, own in flat.items():
                with on_device_of(own):
                    whole = array_module(own).empty(bucket.size, own.dtype)
                whole[bucket.update_range] = own
                self._comm.all_gather_slices(whole, self._slice_bounds(bucket, holders))
                yield bucket, name, whole

    def _prepare_resharding(self, holders: Sequence[int]) -> _Resharding:
        assignment = self._assign_shards()
        index = assignment[self._comm.rank]
        states = []
        for bucket, name, whole in self._gather_states(holders):
            start, stop = self._cut(bucket, assignment)[index : index + 2]
            states.append((bucket, name, whole[start:stop].copy()))
        return _Resharding(assignment, states)

    def _apply_resharding(self, resharding: _Resharding) -> None:
        self._assignment = resharding.assignment
        self._shard_index = self._assignment[self._comm.rank]
        self._shards.clear()
        self._shard_buckets()
        for bucket, name, state in resharding.states:
            self.optim._flat[bucket][name] = state

    def gather_grads(self) -> None:
        """Make every `param.grad` the whole mean gradient; every rank calls it."""
        for bucket in self._buckets():
            shard = find_shard(bucket)
            if shard is not None:
                shard.gather_gradients(self._comm)

    # --- the face of the optimizer within ---

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The parameter groups of the optimizer within."""
        return self.optim.param_groups

    @property
    def defaults(self) -> dict[str, Any]:  # type: ignore[override]
        """The options of the optimizer within."""
        return self.optim.defaults

    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        """Raises RuntimeError: no rank has the whole state."""
        raise _sharded_state_error()

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add parameters with options of their own, and shard them."""
        self.optim.add_param_group(group)
        self._shard_buckets()

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gather the state on rank `to`, for its `state_dict()`; every rank calls it."""
        gathered: dict[Bucket, dict[str, Array]] = {}

        def work() -> None:
            for bucket, name, whole in self._gather_states(self._holders()):
                if self._comm.rank == to:
                    gathered.setdefault(bucket, {})[name] = whole

        while not run_transaction(work, gathered.clear):
            pass
        if self._comm.rank == to:
            state = self.optim._collect_state(lambda bucket, _: gathered[bucket])
            self._consolidated = self.optim._build_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """The state of all ranks, in the form of `optimizer_class`.

        Raises
        ------
        RuntimeError
            If it was not gathered here by `consolidate_state_dict` since the last step.
        """
        if self._consolidated is None:
            raise _sharded_state_error()
        return self._consolidated

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load this rank's shard of a whole state, of `optimizer_class` or of this class."""
        self._consolidated = None
        self.optim.load_state_dict(state_dict)

    def __repr__(self) -> str:
        return f"ZeroRedundancyOptimizer of {self.optim!r}"


def _sharded_state_error() -> RuntimeError:
    return RuntimeError(
        "ZeroRedundancyOptimizer: the state is sharded over the ranks: call "
        "consolidate_state_dict() on every rank, then state_dict() on rank 0"
    )
