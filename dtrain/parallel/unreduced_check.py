"""Warns of an optimizer whose gradients nobody sums over the ranks: a model that is not wrapped."""

from __future__ import annotations

import warnings
from typing import Any

from dtrain import env
from dtrain.autograd import Tensor
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.context import run_context
from dtrain.distributed.differences import digest_arrays, find_difference
from dtrain.errors import DesyncError
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.step_hooks import register_optimizer_step_pre_hook


def check_gradients_are_reduced(optimizer: Optimizer, *_: Any) -> None:
    """Before each step of any optimizer: warn once if its gradients are this rank's own.

    Only where a DataLoader has sharded samples over several ranks. Under ``DTRAIN_DEBUG=detail``
    the parameters that are in no DataParallel are compared over the ranks, every
    DTRAIN_DEBUG_EVERY-th step.
    """
    context = run_context()
    comm = context.communicator
    if not context.has_sharded_steps or comm is None or comm.size == 1:
        return
    number = context.optimizer_steps.get(optimizer, 0)
    if number and env.DEBUG.read() is None:
        return
    params = (param for group in optimizer.param_groups for param in group["params"])
    if not number and all(param._grad is None for param in params):
        return  # the closure of this step computes the first gradients
    context.optimizer_steps[optimizer] = number + 1
    unreduced = _find_unreduced(optimizer)
    if not number and unreduced and comm.rank == 0:
        warnings.warn(_describe(optimizer, unreduced, comm.size), stacklevel=3)
    if env.DEBUG.read() is not None and number % env.DEBUG_EVERY.read() == 0:
        _require_same_values(comm, unreduced, number)


def _find_unreduced(optimizer: Optimizer) -> list[tuple[int, int, Tensor]]:
    """(group, index in the group, parameter) of gradients that no DataParallel has reduced."""
    return [
        (group_index, index, param)
        for group_index, group in enumerate(optimizer.param_groups)
        for index, param in enumerate(group["params"])
        if param._grad is not None and (param._bucket is None or param._bucket.before_write is None)
    ]


def _describe(optimizer: Optimizer, unreduced: list[tuple[int, int, Tensor]], ranks: int) -> str:
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    return (
        f"{type(optimizer).__name__}.step(): {len(unreduced)} of {count} parameters are in no "
        f"DataParallel, while a DataLoader shards the samples over {ranks} ranks: each rank trains "
        "a model of its own, on its part of the data. Wrap the model: "
        "model = dtrain.DataParallel(model). If you sum the gradients over the ranks yourself, "
        "ignore this warning"
    )


def _require_same_values(
    comm: Communicator, unreduced: list[tuple[int, int, Tensor]], number: int
) -> None:
    own = [
        (group, index, tuple(param.shape), digest_arrays([param.array]))
        for group, index, param in unreduced
    ]
    difference = find_difference(comm.allgather(own, "the parameters of an optimizer"))
    if difference is not None:
        rank = difference.rank
        entry = difference.entries[0] or difference.entries[rank]
        assert entry is not None
        group, index, shape, _ = entry
        raise DesyncError(
            f"DTRAIN_DEBUG=detail: before step {number} of an optimizer parameter {index} of "
            f"group {group}, of shape {shape}, is not the same on ranks 0 and {rank}, and is in "
            "no DataParallel: wrap the model: model = dtrain.DataParallel(model)"
        )


register_optimizer_step_pre_hook(check_gradients_are_reduced)
