"""An optimizer's state arrays over buckets: initial values, moves to new buckets, copies."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket, make_buckets
from dtrain.autograd.tensor import wrap
from dtrain.backend import Array, array_module, move, on_device_of
from dtrain.functions.inplace import copy_values
from dtrain.optim.half_precision import MASTER
from dtrain.optim.types import Group, Numbers, State

if TYPE_CHECKING:
    from dtrain.optim.optimizer import Optimizer


class ParamState(NamedTuple):
    """The state of one parameter, apart from any bucket: what a copy or a pickle holds."""

    param: Tensor
    numbers: Numbers
    arrays: State  # in the parameter's shape


def new_array(optimizer: Optimizer, bucket: Bucket, name: str) -> Array:
    """A state array over this process's part of a bucket.

    It holds the state that parameters had in buckets they have left (after `.double()` or
    `.to(device)`), and elsewhere the initial value of each parameter's group.
    """
    dtype = bucket.data.dtype
    like = bucket.own_values()
    array = array_module(like).zeros_like(like, optimizer._state_dtype(dtype))
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    left = _left_places(optimizer, bucket)
    for index, param in enumerate(bucket.params):
        group = groups.get(id(param))
        if group is None or name not in optimizer._state_names(group, dtype):
            continue
        here, there = own_slices(bucket, index)
        array[here] = _initial(optimizer, name, group, array)
        old, old_index = left.get(id(param), (None, 0))
        if old is not None and name in optimizer._flat[old] and id(param) in optimizer._numbers:
            _require_whole(old)
            start = old.starts[old_index]
            moved = optimizer._flat[old][name][start : start + param.numel()]
            array[here] = move(moved, param.device)[there]
    return array


def drop_left_buckets(optimizer: Optimizer) -> None:
    """Forget the state in buckets that all their parameters have left for others."""
    for old, state in list(optimizer._flat.items()):
        arrays = [optimizer._flat.get(p._bucket) for p in old.params if p._bucket is not None]
        if len(arrays) == len(old.params) and all(
            new is not state and new is not None and state.keys() <= new.keys() for new in arrays
        ):
            del optimizer._flat[old]


def write_initial(optimizer: Optimizer, param: Tensor, group: Group) -> None:
    """Give the state arrays of a parameter their initial values."""
    bucket = param._bucket
    assert bucket is not None
    here, _ = own_slices(bucket, param._bucket_index)
    with on_device_of(bucket.data):
        flat = optimizer._flat_state(bucket, group)
        for name in optimizer._state_names(group, bucket.data.dtype):
            flat[name][here] = _initial(optimizer, name, group, flat[name])


class _Fitting(NamedTuple):
    """A state_dict that fits an optimizer."""

    #: each parameter, its state if it has some, and its group in the state_dict
    pairs: list[tuple[Tensor, dict[str, Any] | None, Group]]
    #: the groups' options
    options: list[Group]


def check(optimizer: Optimizer, state_dict: dict[str, Any]) -> _Fitting:
    """Refuse a state_dict that does not fit an optimizer."""
    groups = state_dict["param_groups"]
    have = [len(group["params"]) for group in optimizer.param_groups]
    given = [len(group["params"]) for group in groups]
    if have != given:
        raise ValueError(
            "loaded state dict contains a parameter group that doesn't match the size of "
            f"optimizer's group: {given} parameters in its groups, {have} in this optimizer's"
        )
    pairs = [
        (param, state_dict["state"].get(number), saved)
        for group, saved in zip(optimizer.param_groups, groups)
        for param, number in zip(group["params"], saved["params"])
    ]
    for index, (param, state, saved) in enumerate(pairs):
        for name, value in (state or {}).items():
            own = optimizer._state_names(saved, param.dtype)
            if name == MASTER and not optimizer._has_master_weights:
                raise ValueError(
                    f"loaded state dict: parameter {index} has master weights, {name}, but this "
                    "optimizer was made without master_weights=True"
                )
            if name in own and value is not None and tuple(value.shape) != param.shape:
                raise ValueError(
                    f"loaded state dict: {name} of parameter {index} has shape "
                    f"{tuple(value.shape)}, the parameter has {param.shape}"
                )
    options = [
        {**group, **{key: deepcopy(value) for key, value in saved.items() if key != "params"}}
        for group, saved in zip(optimizer.param_groups, groups)
    ]
    if optimizer._steps_by_rule():
        for new in options:
            optimizer._read_options(new)
    return _Fitting(pairs, options)


def load_all(optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
    """Load an optimizer's options and state; refuses what does not fit before it changes any."""
    pairs, options = check(optimizer, state_dict)
    for group, new in zip(optimizer.param_groups, options):
        group.update(new)
        make_buckets(group["params"])
    optimizer._numbers = {}
    groups_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for param, state, _ in pairs:
        if state is not None:
            load(optimizer, param, groups_of[id(param)], state)


def load(optimizer: Optimizer, param: Tensor, group: Group, state: dict[str, Any]) -> None:
    """Copy the state of a parameter from a state_dict; arrays not in it get initial values."""
    bucket, slots = param._bucket, optimizer._state_names(group, param.dtype)
    assert bucket is not None
    values = {
        name: value
        for name, value in state.items()
        if value is not None and (name != MASTER or name in slots)
    }
    # SGD's state in PyTorch has no step; SGD only distinguishes the first step
    optimizer._numbers[id(param)] = {
        "step": 1 if any(name in values for name in slots) else 0,
        **{name: float(value) for name, value in values.items() if name not in slots},
    }
    here, there = own_slices(bucket, param._bucket_index)
    flat = optimizer._flat_state(bucket, group)
    for name in slots if here.start < here.stop else ():
        if name in values:
            copy_values(wrap(flat[name][here]), values[name].reshape(-1)[there])
        else:
            flat[name][here] = _initial(optimizer, name, group, flat[name])


def collect(optimizer: Optimizer) -> list[ParamState]:
    """The state of all updated parameters, apart from their buckets."""
    states = []
    for group in optimizer.param_groups:
        make_buckets(group["params"])
        for param in group["params"]:
            if id(param) in optimizer._numbers:
                _require_whole(param._bucket)
                flat = optimizer._flat_state(param._bucket, group)
                start = param._bucket.starts[param._bucket_index]
                arrays = {
                    name: flat[name][start : start + param.numel()].reshape(param.shape)
                    for name in optimizer._state_names(group, param.dtype)
                }
                states.append(ParamState(param, optimizer._numbers[id(param)], arrays))
    return states


def restore(optimizer: Optimizer, states: list[ParamState]) -> None:
    """Lay out buckets for the parameters, and their state in them."""
    for group in optimizer.param_groups:
        make_buckets(group["params"])
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for param, numbers, arrays in states:
        optimizer._numbers[id(param)] = dict(numbers)
        bucket = param._bucket
        assert bucket is not None
        here, there = own_slices(bucket, param._bucket_index)
        flat = optimizer._flat_state(bucket, groups[id(param)])
        for name, array in arrays.items():
            flat[name][here] = array.reshape(-1)[there]


def _initial(optimizer: Optimizer, name: str, group: Group, array: Array) -> complex:
    """The initial value in a state array; of complex parameters, that of both parts."""
    value = 0 if name == MASTER else optimizer._fill(name, group)
    return complex(value, value) if array.dtype.kind == "c" else value


def own_slices(bucket: Bucket, index: int) -> tuple[slice, slice]:
    """This process's part of a parameter: within the state arrays, and within the parameter."""
    start, own = bucket.starts[index], bucket.update_range
    low = max(start, own.start)
    high = max(low, min(start + bucket.params[index].numel(), own.stop))
    return slice(low - own.start, high - own.start), slice(low - start, high - start)


def _left_places(optimizer: Optimizer, bucket: Bucket) -> dict[int, tuple[Bucket, int]]:
    """By the id of each parameter that has left a bucket: the bucket, and its index there."""
    return {
        id(param): (old, index)
        for old in optimizer._flat
        if old is not bucket
        for index, param in enumerate(old.params)
        if param._bucket is not old
    }


def _require_whole(bucket: Bucket) -> None:
    if bucket.update_range != slice(0, bucket.size):
        raise RuntimeError(
            "the optimizer's state is spread over the ranks: it can be neither copied nor moved to "
            "another dtype or device; use consolidate_state_dict() and load_state_dict()"
        )
