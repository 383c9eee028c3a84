"""`Layer`, a row of the table of modules, and what a test needs to try one in any library."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.cases.case import Shape

LINE, IMAGE, VOLUME = (2, 4, 7), (2, 4, 6, 7), (2, 2, 4, 4, 3)


@dataclass(frozen=True)
class Layer:
    """A module, and inputs for it.

    `make(nn)` makes it, where `nn` is dtrain's or PyTorch's; `call(nn, module, *inputs)` runs it if
    it is not simply called. An input is the shape of random numbers that have a gradient, an array,
    or a function from a seed to one. A layer that draws random numbers (`drawn`) has its values from dtrain's own generator.
    """

    make: Callable[[Any], Any]
    inputs: Sequence[Shape | np.ndarray | Callable[[int], np.ndarray]]
    call: Callable[..., Any] | None = None
    drawn: bool = False

    @property
    def shapes(self) -> list[Shape]:
        """Those of the inputs that have a gradient."""
        return [given for given in self.inputs if isinstance(given, tuple)]

    def arrays(self, seed: int = 0) -> list[np.ndarray]:
        """Inputs, always the same for one seed."""
        return [
            numbers(given, 100 * seed + index)
            if isinstance(given, tuple)
            else given(seed)
            if callable(given)
            else given
            for index, given in enumerate(self.inputs)
        ]

    def run(self, nn: Any, module: Any, *inputs: Any) -> list[Any]:
        """The outputs, in a row."""
        if self.call is None:
            return list(_flat(module(*inputs)))
        return list(_flat(self.call(nn, module, *inputs)))


def numbers(shape: Shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def library(nn: Any) -> Any:
    """dtrain or torch, whose `nn` this is."""
    return sys.modules[nn.__name__.partition(".")[0]]


def samples_for(nn: Any, shape: Shape) -> Any:
    t, size = library(nn), math.prod(shape)
    return t.arange(size, dtype=t.float32).reshape(shape) / size


def called(nn: Any, lazy: Any, shape: Shape) -> Any:
    """A lazy layer that has seen its first input."""
    lazy(samples_for(nn, shape))
    return lazy


def filled(layer: Layer, nn: Any) -> Any:
    """The module, with the same numbers in every library."""
    module = layer.make(nn)
    for index, (name, tensor) in enumerate(module.state_dict().items()):
        if tensor.is_floating_point():
            values = 0.7 * numbers(tuple(tensor.shape), index + 1)
            if name.endswith("running_var"):
                values = abs(values) + np.float32(0.1)
            tensor.copy_(library(nn).from_numpy(np.asarray(values, np.float32)))
    return module


def tensors(layer: Layer, t: Any, seed: int = 0, **where: Any) -> list[Any]:
    """The inputs as tensors; those that are random numbers want a gradient."""
    return [
        t.tensor(array, requires_grad=isinstance(given, tuple), **where)
        for array, given in zip(layer.arrays(seed), layer.inputs)
    ]


def weighed(t: Any, outputs: Sequence[Any]) -> Any:
    """The outputs that have a gradient, in one number; None if there are none."""
    loss = None
    for index, out in enumerate(outputs):
        if out.requires_grad:
            weights = t.tensor(numbers(tuple(out.shape), 9 + index), device=out.device)
            term = (out * weights).sum()
            loss = term if loss is None else loss + term
    return loss


def ran_backward(layer: Layer, t: Any, module: Any, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of the module on these inputs, with gradients wherever there are some."""
    own = [x * 1 if x.requires_grad else x for x in inputs]  # a layer may write into its input
    outputs = layer.run(t.nn, module, *own)
    loss = weighed(t, outputs)
    if loss is not None:
        loss.backward()
    return outputs


def _flat(outputs: Any) -> Iterator[Any]:
    if hasattr(outputs, "dtype"):
        yield outputs
        return
    for output in outputs if outputs is not None else ():
        yield from _flat(output)
