"""`FunctionLayer`: the base class of layers that hold nothing but the options of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn.module import Module


class FunctionLayer(Module):
    """Calls a function with its options, which are attributes of the layer.

    >>> import dtrain
    >>> class Power(FunctionLayer, function=dtrain.pow):
    ...     def __init__(self, exponent: float):
    ...         super().__init__(exponent=exponent)
    >>> Power(2)
    Power(exponent=2)
    >>> Power(2)(dtrain.tensor([3.0]))
    tensor([9.])
    """

    _function: Callable[..., Any]

    def __init_subclass__(cls, function: Callable[..., Any] | None = None) -> None:
        if function is not None:
            cls._function = staticmethod(function)

    def __init__(self, **options: Any):
        super().__init__()
        self._options = tuple(options)
        for name, value in options.items():
            setattr(self, name, value)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        options = {name: getattr(self, name) for name in self._options}
        return self._function(*inputs, **named, **options)

    def extra_repr(self) -> str:
        return self._format(*(name for name in self._options if name != "inplace" or self.inplace))

    def _format(self, *names: str) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)


class UnaryLayer(FunctionLayer):
    """A FunctionLayer from one tensor to one tensor."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input)
