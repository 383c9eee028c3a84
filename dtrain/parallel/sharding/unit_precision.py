"""A unit computes in the dtypes of its policy; parameters and gradients stay in their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from dtrain.autograd import Tensor
from dtrain.autograd.recompute import repeated
from dtrain.backend.dtypes import DTypeLike, is_floating
from dtrain.backend.nested import map_nested
from dtrain.nn import Module
from dtrain.nn.functional_call import replaced
from dtrain.parallel.sharding.bucket_shard import BucketShard
from dtrain.parallel.sharding.policies import MixedPrecisionPolicy


class UnitPrecision:
    """The hooks of a unit, which computes in the dtypes of a policy.

    Parameters
    ----------
    module, shards : the unit, and the parameters that it has sharded
    policy : checked
    """

    def __init__(self, module: Module, shards: list[BucketShard], policy: MixedPrecisionPolicy):
        self._policy: MixedPrecisionPolicy = policy
        self._calls: list[AbstractContextManager[None]] = []  # that have not ended
        #: how many runs, in forward or backward pass, have copies in place of the parameters
        self.replacements: int = 0
        params = (param for shard in shards for param in shard.bucket.params)
        own = {id(param) for param in params if is_floating(param.dtype)}
        self._own = [
            (owner._parameters, name, param)
            for owner in module.modules()
            for name, param in owner._parameters.items()
            if id(param) in own
        ]

    def register(self, module: Module) -> None:
        """Register the hooks that the policy needs."""
        if self._policy.param_dtype is not None:
            module.register_forward_pre_hook(self._before_forward, with_kwargs=True)
            module.register_forward_hook(self._restore, always_call=True)
        if self._policy.output_dtype is not None:
            module.register_forward_hook(self._convert_output)

    def __getstate__(self) -> dict[str, Any]:
        """For `copy` and `pickle`: a copy of a sharded module computes in its own dtype."""
        empty = {"_own": [], "_calls": [], "replacements": 0}
        return {"_policy": MixedPrecisionPolicy(), **empty}

    def _before_forward(
        self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        dtype = self._policy.param_dtype
        if dtype is not None and self._policy.cast_forward_inputs:
            args, kwargs = _convert(args, dtype), _convert(kwargs, dtype)
        copies = {id(param): param.to(dtype) for _, _, param in self._own}
        entries = [(table, name, copies[id(param)]) for table, name, param in self._own]
        call = repeated(lambda: self._replace(module, entries))
        call.__enter__()
        self._calls.append(call)
        return args, kwargs

    @contextmanager
    def _replace(self, module: Module, entries: list[Any]) -> Iterator[None]:
        self.replacements += 1
        try:
            with replaced(module, entries):
                yield
        finally:
            self.replacements -= 1

    def _restore(self, module: Module, args: Any, output: Any) -> None:
        if self._calls:  # else an input could not be converted
            self._calls.pop().__exit__(None, None, None)

    def _convert_output(self, module: Module, args: Any, output: Any) -> Any:
        dtype = self._policy.output_dtype
        return output if dtype is None else _convert(output, dtype)


def _convert(value: Any, dtype: DTypeLike) -> Any:
    """Nested values with floating tensors of another dtype."""

    def convert(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if is_floating(tensor.dtype) else tensor

    return map_nested(value, Tensor, convert)
