"""`fully_shard`: parameters, gradients and optimizer state once for all ranks."""

from __future__ import annotations

from typing import TypeVar

from dtrain.nn import Module
from dtrain.parallel.sharding.policies import (
    CPUOffloadPolicy,
    MixedPrecisionPolicy,
    OffloadPolicy,
    check_offload,
    check_policy,
)
from dtrain.parallel.sharding.units import make_unit

M = TypeVar("M", bound=Module)


def fully_shard(
    module: M,
    *,
    reshard_after_forward: bool | int | None = None,
    mp_policy: MixedPrecisionPolicy | None = None,
    offload_policy: OffloadPolicy | None = None,
) -> M:
    """Shard a module's parameters, gradients and optimizer state over the ranks
    (torch.distributed.fsdp.fully_shard); returns the module.

    Apply it from the inside out: each call makes one unit of the parameters that are in none yet,
    the last one takes the whole model. In host memory all ranks of a machine share one copy of the
    parameters, so nothing is gathered before a unit runs, nor freed after it; every machine has one
    copy. On GPUs each rank has a part of them, copies the others' while a unit runs, and again for
    its backward pass, the next unit's while one computes; all ranks are on one machine, else each
    has all parameters. A unit's gradients are whole on a rank from the first of them to the last;
    then they are reduced, and each rank keeps its part. Any optimizer but LBFGS, made afterwards,
    updates this rank's part and has the state of that part alone. Weights get the bits that
    `DataParallel` gives them on any number of ranks. LARS, LAMB, Muon, Adafactor and SparseAdam
    have parts that end between parameters.

    With several microbatches a rank, the gradients of all but the last one are whole on the rank,
    as the order of the tree wants it. ``loader.steps(one_backward=True)`` lets units be reduced
    while the backward pass runs; without it they are reduced at the end of the step.

    Every rank calls it. Parameters can be read at any time, and written in `summon_full_params`.

    Parameters
    ----------
    module : its parameters may not belong to an optimizer or to DataParallel yet
    reshard_after_forward : whether a GPU frees the unit's parameters between forward and backward
        pass; None: unless the unit is the outermost one. The memory that ranks share is never freed
    mp_policy : the dtypes in which the unit computes; None: its parameters'
    offload_policy : `CPUOffloadPolicy`: the unit's parameters, gradients and state lie in host
        memory, where the module is on a GPU; None: on the module's device

    Raises
    ------
    NotImplementedError
        If gradients are to be added in a dtype of their own.
    TypeError, ValueError
        If a policy is none, or has a dtype that is not floating.
    RuntimeError
        If the module is sharded already, or its parameters belong to an optimizer.
    DesyncError
        If the ranks' modules or seeds differ.

    Examples
    --------
    >>> import dtrain
    >>> model = dtrain.nn.Sequential(dtrain.nn.Linear(4, 8), dtrain.nn.Linear(8, 2))
    >>> for layer in model:
    ...     _ = fully_shard(layer)
    >>> model = fully_shard(model)
    >>> optimizer = dtrain.optim.AdamW(model.parameters(), lr=0.1)
    >>> model(dtrain.ones(3, 4)).mean().backward()
    >>> optimizer.step()
    """
    policy = check_policy(mp_policy, "fully_shard: mp_policy")
    check_offload(offload_policy, OffloadPolicy, "fully_shard: offload_policy")
    reshard = None if reshard_after_forward is None else bool(reshard_after_forward)
    offload = isinstance(offload_policy, CPUOffloadPolicy)
    make_unit(module, policy, "fully_shard", reshard, offload)
    return module
