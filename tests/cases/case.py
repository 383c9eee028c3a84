"""`Case`, a row of the table of operations, and what a test needs to try one."""

from __future__ import annotations

import math
import operator
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import dtrain

Shape = tuple[int, ...]

ANY = [[(2, 3, 4)], [()], [(0, 3)]]  # samples for functions of one tensor: 3-d, 0-d, empty
MATRIX = [[(3, 4)]]


@dataclass(frozen=True)
class Case:
    """An operation on some inputs, and what it should give.

    `call(t, *tensors)` is the operation, where `t` is dtrain or torch; if None it is the function
    `op` of `t`, where `F.` stands for `nn.functional.`. `reference(*arrays)` is the same in float64
    NumPy. Inputs are uniform in [low, high), one for each shape of a sample.
    """

    op: str
    samples: Sequence[Sequence[Shape]]
    reference: Callable[..., Any]
    call: Callable[..., Any] | None = None
    label: str = ""
    low: float = -2.0
    high: float = 2.0
    differentiable: bool = True
    smooth: bool = True  # False: the gradient jumps where elements are equal
    in_torch: bool = True
    solver: bool = False  # cuSOLVER or cuFFT runs it on a GPU: host memory does not emulate them

    def __str__(self) -> str:
        return f"{self.op} {self.label}".strip()

    def run(self, t: Any, *tensors: Any) -> list[Any]:
        """The outputs, by dtrain or torch."""
        call = self.call
        if call is None:
            function = operator.attrgetter(self.op.replace("F.", "nn.functional."))(t)
            return several(function(*tensors))
        return several(call(t, *tensors))

    def expected(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs, by the reference."""
        return [np.asarray(out) for out in several(self.reference(*arrays))]

    def arrays(self, sample: Sequence[Shape]) -> list[np.ndarray]:
        """Random inputs, always the same for one sample."""
        rng = np.random.default_rng(zlib.crc32(f"{self} {sample}".encode()))
        return [np.asarray(rng.uniform(self.low, self.high, shape)) for shape in sample]


def several(outputs: Any) -> list[Any]:
    """One output or a sequence of them, as a list."""
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


# --- references used by several rows ---

erf = np.vectorize(math.erf, otypes=[float])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


# --- layouts of the same shape in memory ---


def _stepped(a: np.ndarray) -> np.ndarray:
    wide = np.full([2 * n for n in a.shape], np.nan)
    view = wide[(*[slice(None, None, 2)] * a.ndim, ...)]
    view[...] = a
    return view


#: arrays of the shape of `a`; all but "broadcast" have its values too
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda a: a,
    "transposed": lambda a: a.T.copy().T,
    "stepped": _stepped,
    "reversed": lambda a: np.asarray(np.flip(np.flip(a).copy())),
    "broadcast": lambda a: np.broadcast_to(a[:1] if a.ndim else a, a.shape),
}


def layouts_of(case: Case) -> list[str]:
    """The layouts in which a case can be differentiated."""
    return [name for name in LAYOUTS if case.smooth or name != "broadcast"]


# --- gradients ---


def cotangents(outputs: Sequence[Any]) -> list[np.ndarray]:
    """Random gradients for float64 outputs; zeros for outputs of other dtypes."""
    rng = np.random.default_rng(0)
    return [
        rng.uniform(-1, 1, out.shape)
        if np.asarray(out).dtype == np.float64
        else np.zeros(out.shape)
        for out in outputs
    ]


def central_differences(
    function: Callable[..., Sequence[np.ndarray]],
    arrays: Sequence[np.ndarray],
    step: float = 1e-6,
    weights: Sequence[Any] = (),
) -> list[np.ndarray]:
    """The gradients of sum(outputs * weights), or cotangents, for each array, by elements."""
    arrays = [np.array(a) for a in arrays]
    weights = weights or cotangents(function(*arrays))

    def total() -> float:
        return sum(float((out * g).sum()) for out, g in zip(function(*arrays), weights))

    gradients = []
    for array in arrays:
        gradient = np.empty_like(array)
        for place in np.ndindex(array.shape):
            value = array[place]
            array[place] = value + step
            above = total()
            array[place] = value - step
            gradient[place] = (above - total()) / (2 * step)
            array[place] = value
        gradients.append(gradient)
    return gradients


def directional_differences(
    function: Callable[..., float],
    arrays: Sequence[np.ndarray],
    directions: Sequence[np.ndarray],
    step: float = 1e-6,
) -> list[float]:
    """The derivative of a number by each array, in a direction: two calls an array."""

    def at(index: int, change: np.ndarray) -> float:
        changed = np.asarray(arrays[index] + change)
        return function(*arrays[:index], changed, *arrays[index + 1 :])

    changes = [step * direction for direction in directions]
    return [(at(i, c) - at(i, -c)) / (2 * step) for i, c in enumerate(changes)]


def leaf(array: np.ndarray, wants_grad: bool = True) -> dtrain.Tensor:
    """A tensor that shares the memory, and the strides, of an array."""
    return dtrain.from_numpy(array).requires_grad_(wants_grad)


def run_backward(outputs: Sequence[Any], t: Any = dtrain) -> None:
    """Backward from all outputs that have a gradient, from their cotangents."""
    weights = cotangents([out.detach().cpu().numpy() for out in outputs])
    for out, weight in zip(outputs, weights):
        if out.requires_grad:
            gradient = t.tensor(weight, dtype=out.dtype)
            out.backward(gradient, retain_graph=True)
