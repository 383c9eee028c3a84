"""`Optimizer`: parameter groups, state, and steps over contiguous runs of parameters.

The parameters of an optimizer lie in flat buckets (`dtrain.autograd.bucket`). Adjacent parameters
that have gradients form a run, and one call of the update rule updates a whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

import numpy as np

from dtrain.autograd import Tensor, enable_grad
from dtrain.autograd.bucket import Bucket, make_buckets
from dtrain.autograd.hooks import HookHandle
from dtrain.autograd.tensor import wrap
from dtrain.backend import Array, on_device_of, pieces
from dtrain.backend.capture import captures
from dtrain.backend.dtypes import float32, is_half
from dtrain.backend.profiler import span
from dtrain.optim import flat_state, graph_step, sharding, step_hooks
from dtrain.optim.complex_parts import adapt
from dtrain.optim.half_precision import MASTER
from dtrain.optim.options import like_default, plain_options, wants_master_weights
from dtrain.optim.step_hooks import Hook
from dtrain.optim.types import Group, Implementation, Numbers, Params, Run, State

_T = TypeVar("_T")

#: Returns the state arrays over a whole bucket.
_FlatState = Callable[[Bucket, Group], State]

#: About so many elements one call of a rule updates on a CPU, so that they stay in its cache.
BLOCK = 1 << 15


class Optimizer:
    """The base class of optimizers (torch.optim.Optimizer).

    A subclass names its state arrays in `_slots(group)` and defines the rule in `_update`.

    Parameters
    ----------
    params : tensors, (name, tensor) pairs, or dicts with "params" and options of their own
    defaults : the options of groups that do not set them
    implementation : master_weights=True keeps, of float16 and bfloat16 parameters, the weights in
        float32 ("master_param" in the state), with the rest of their state: a step that is less
        than half of a half's last bit is not lost. A parameter is its weights rounded; one that
        somebody else writes to gives them its values. PyTorch's choices among its kernels
        (foreach, fused, capturable) have no effect
    """

    defaults: dict[str, Any]
    param_groups: list[Group]
    #: called before and after each step
    _pre_hooks: list[Hook] | None = None
    _post_hooks: list[Hook] | None = None
    #: True if the rule needs each parameter whole and in its shape (norms, matrices)
    _by_parameter = False
    _has_master_weights = False
    _has_flat_state = True  #: False if the state is not in arrays over buckets: no sharding

    def __init__(
        self,
        params: Params,
        defaults: dict[str, Any],
        implementation: Implementation | None = None,
    ):
        if wants_master_weights(type(self).__name__, implementation):
            if type(self)._update_blocks is not Optimizer._update_blocks:
                raise NotImplementedError(f"{type(self).__name__}: master_weights is not supported")
            self._has_master_weights = True
        self.defaults = plain_options(defaults)
        self.param_groups = []
        self._numbers: dict[int, Numbers] = {}  # by the id of each updated parameter
        self._flat: dict[Bucket, State] = {}
        if isinstance(params, Tensor):
            raise TypeError("optimizer: expected an iterable of tensors or dicts, got a tensor")
        given: list[Any] = list(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def _slots(self, group: Group) -> tuple[str, ...]:
        """The names of the state arrays that a parameter of this group has."""
        raise NotImplementedError

    def _state_names(self, group: Group, dtype: np.dtype) -> tuple[str, ...]:
        """The names of all state arrays of a parameter of this group and dtype."""
        slots = self._slots(group)
        return (*slots, MASTER) if self._has_master_weights and is_half(dtype) else slots

    def _state_dtype(self, dtype: np.dtype) -> np.dtype:
        """The dtype of the state arrays of parameters of a dtype."""
        return float32 if self._has_master_weights and is_half(dtype) else dtype

    def _fill(self, name: str, group: Group) -> float:
        """The initial value of a state array."""
        return 0

    def _advance(self, numbers: Numbers, group: Group) -> None:
        """Update the numbers in the state of a parameter at the start of a step."""
        numbers["step"] = numbers.get("step", 0) + 1

    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        """Update `param` and the arrays of `state` in place, all flat; must not change `grad`."""
        raise NotImplementedError

    def add_param_group(self, group: Group) -> None:
        """Add a dict with "params" and options of its own; the defaults supply missing options."""
        group = {**group}
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        named = [param for param in params if isinstance(param, tuple)]
        if named:
            if len(named) < len(params):
                raise ValueError(
                    f"optimizer: expected names for all parameters or none, got {len(named)} of "
                    f"{len(params)}"
                )
            group["param_names"] = [name for name, _ in params]
            params = [param for _, param in params]
        if self.param_groups and ("param_names" in group) != (
            "param_names" in self.param_groups[0]
        ):
            raise ValueError("optimizer: expected names in all parameter groups or in none")
        group["params"] = params
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for index, param in enumerate(group["params"]):
            if not isinstance(param, Tensor):
                raise TypeError(f"optimizer: parameter {index} is a {type(param).__name__}")
            if not param.is_leaf:
                raise ValueError(f"optimizer: parameter {index} is not a leaf tensor")
            if id(param) in known:
                raise ValueError("some parameters appear in more than one parameter group")
            known.add(id(param))
        for key, value in self.defaults.items():
            group.setdefault(key, value)
        if self._steps_by_rule():
            self._read_options(group)
        sharding.take_shards(self, make_buckets(group["params"]))
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set all gradients to None, or without `set_to_none` to zero."""
        for param in (param for group in self.param_groups for param in group["params"]):
            if set_to_none:
                param.grad = None
            elif param._grad is not None:
                if param._bucket is not None:  # of a backward pass that raised
                    param._bucket.write_waiting_grads()
                param._grad.zero_()

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], _T]) -> _T: ...

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient; returns the result of `closure`.

        `closure` is called once, before the update, and computes the gradients.

        Raises
        ------
        RuntimeError
            If gradients have not been reduced over the ranks yet: the step was not completed.
        """
        args: tuple[Any, ...] = (self,) if closure is None else (self, closure)
        for hook in (*step_hooks.all_pre_hooks, *(self._pre_hooks or ())):
            changed = hook(self, args, {})
            if changed is not None:
                args, kwargs = changed
                closure = args[1] if len(args) > 1 else kwargs.get("closure")
        result = None
        if closure is not None:
            with enable_grad():
                result = closure()
        with span("optimizer step"):
            self._step()
        for hook in list(self._post_hooks or ()):
            hook(self, args, {})
        return result

    def register_step_pre_hook(self, hook: Hook) -> HookHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new ones."""
        self._require_own_step()
        self._pre_hooks = self._pre_hooks or []
        self._pre_hooks.append(hook)
        return HookHandle(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Hook) -> HookHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        self._require_own_step()
        self._post_hooks = self._post_hooks or []
        self._post_hooks.append(hook)
        return HookHandle(self._post_hooks, hook)

    def _require_own_step(self) -> None:
        if type(self).step is not Optimizer.step:
            raise NotImplementedError(
                f"{type(self).__name__} has a step of its own: register the hooks with the "
                "optimizer that it wraps"
            )

    def _steps_by_rule(self) -> bool:
        """Whether the class has an `_update` of its own: a user's subclass may have a `step`."""
        return type(self)._update is not Optimizer._update

    def _read_options(self, group: dict[str, Any]) -> None:
        """Make the options of a group Python numbers; refuse what is none, by name."""
        for name, default in self.defaults.items():
            value = group[name]
            if type(value) is not float and value is not default:
                group[name] = like_default(f"{type(self).__name__}: {name}", value, default)

    def _step(self) -> None:
        update = graph_step.begin_step(self) if captures else self._update_run
        for group in self.param_groups:
            self._read_options(group)
        buckets: dict[Bucket, None] = {}
        for group in self.param_groups:
            for bucket in make_buckets(group["params"]):  # they may have moved to another device
                buckets[bucket] = None
                if bucket.before_step is not None:
                    bucket.before_step()
            with np.errstate(all="ignore"):  # NaN and infinity do not warn in PyTorch
                for run in list(self._runs(group)):
                    update(run, group)
        sharding.end_update(buckets)

    def _agree_on_found_inf(self, found: bool) -> bool:
        """Whether some gradient is not finite, on any rank that has a part of the gradients."""
        return sharding.agree(self, found)

    def _runs(self, group: Group) -> Iterator[Run]:
        run: Run | None = None
        for param in group["params"]:
            if param._grad is None:
                continue
            numbers = self._numbers.get(id(param))
            if numbers is None:
                numbers = self._numbers[id(param)] = {}
                flat_state.write_initial(self, param, group)
            self._advance(numbers, group)
            bucket = param._bucket
            start = bucket.starts[param._bucket_index]
            stop = start + param.array.size
            if run and run.bucket is bucket and run.numbers == numbers:
                if start == run.stop:
                    run.stop = stop
                    run.params.append(param)
                    continue
                if stop == run.start:  # DataParallel lays out in reverse
                    run.start = start
                    run.params.append(param)
                    continue
            if run:
                yield run
            run = Run(bucket, start, stop, numbers, [param])
        if run:
            yield run

    def _update_run(self, run: Run, group: Group) -> None:
        with on_device_of(run.bucket.data):
            self._update_blocks(run, group)
        for param in run.params:
            param._version[0] += 1

    def _update_blocks(self, run: Run, group: Group) -> None:
        bucket, flat = run.bucket, self._flat_state(run.bucket, group)
        values, own = bucket.own_values(), bucket.update_range.start
        grads, first = bucket.grads.flat, bucket.grads.start
        dtype = bucket.data.dtype
        update = adapt(self._update, dtype, self._has_master_weights)
        if captures and graph_step.gives_numbers_alone(dtype):
            update = self._update
        names = self._state_names(group, dtype)
        for start, stop, shape in self._parts(run):
            here = slice(start - own, stop - own)
            param = values[here].reshape(shape)
            grad = grads[start - first : stop - first].reshape(shape)
            state = {name: flat[name][here].reshape(shape) for name in names}
            update(param, grad, state, group, run.numbers)

    def _parts(self, run: Run) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """(start, stop, shape) of each part of the run that one call of `_update` updates."""
        own = run.bucket.update_range
        if self._by_parameter:
            for param in run.params:
                start = run.bucket.starts[param._bucket_index]
                if own.start <= start < own.stop:
                    yield start, start + param.numel(), tuple(param.shape)
            return
        low, high = max(run.start, own.start), min(run.stop, own.stop)
        # Equal pieces: the rest after whole blocks could be too short for compiled kernels.
        length = -(-(high - low) // max(1, round((high - low) / BLOCK)))
        for here in pieces(run.bucket.data, max(length, 1), low, high):
            yield here.start, here.stop, (-1,)

    def _flat_state(self, bucket: Bucket, group: Group) -> State:
        """The state arrays over this process's part of a bucket, created on first use."""
        flat = bucket.states[self] = self._flat.setdefault(bucket, {})
        for name in self._state_names(group, bucket.data.dtype):
            if name not in flat:
                flat[name] = flat_state.new_array(self, bucket, name)
                flat_state.drop_left_buckets(self)
        return flat

    # --- state ---

    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        """For each updated parameter: its numbers (step) and views of its state arrays.

        Those of sharded parameters are gathered from all ranks, which all ask for them.
        """
        return self._collect_state(sharding.whole_state(self))

    def _collect_state(self, get_flat: _FlatState) -> dict[Tensor, dict[str, Any]]:
        """The state of each updated parameter, as views of arrays over whole buckets."""
        state: dict[Tensor, dict[str, Any]] = {}
        for group in self.param_groups:
            make_buckets(group["params"])
            for param in group["params"]:
                if id(param) in self._numbers:
                    state[param] = self._param_state(param, group, get_flat(param._bucket, group))
        return state

    def _param_state(self, param: Tensor, group: Group, flat: State) -> dict[str, Any]:
        bucket = param._bucket
        assert bucket is not None
        start = bucket.starts[param._bucket_index]
        part = slice(start, start + param.numel())
        names = self._state_names(group, bucket.data.dtype)
        views = {name: wrap(flat[name][part].reshape(param.shape)) for name in names}
        numbers = {
            name: wrap(np.asarray(value, np.float32 if name == "step" else np.float64))
            for name, value in self._numbers.get(id(param), {"step": 0}).items()
        }
        return {**numbers, **views}

    def state_dict(self) -> dict[str, Any]:
        """State and options in PyTorch's format, with parameters numbered in order."""
        return self._build_state_dict(self.state)

    def _build_state_dict(self, states: dict[Tensor, dict[str, Any]]) -> dict[str, Any]:
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                numbers[id(param)] = len(numbers)
            own = {key: value for key, value in group.items() if key != "params"}
            groups.append({**own, "params": [numbers[id(p)] for p in group["params"]]})
        state = {numbers[id(param)]: state for param, state in states.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore state and options; state arrays are copied.

        Raises
        ------
        ValueError
            If the groups, the parameters or their shapes differ; nothing has been changed then.
        """
        flat_state.load_all(self, state_dict)

    def _check_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raise what `load_state_dict` would raise; change nothing."""
        flat_state.check(self, state_dict)

    def __getstate__(self) -> dict[str, Any]:
        """The attributes for `copy` and `pickle`: the state is apart from the buckets."""
        kept = {k: v for k, v in self.__dict__.items() if k not in ("_numbers", "_flat")}
        return {**kept, "_states": flat_state.collect(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({k: v for k, v in state.items() if k != "_states"})
        self._numbers, self._flat = {}, {}
        flat_state.restore(self, state.get("_states", []))

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for index, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {index}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])
